#include "tests/blackbox/http_history_client.h"

#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "millrace/message_id.h"
#include "net/aws/base64.h"

namespace millrace::blackbox {
namespace {

using Json = nlohmann::json;

constexpr int kConnectMs = 5'000;
constexpr uint32_t kUnknownStatus = 0;  // the connection ended first

End end_of(uint32_t status) {
  if (status == 200) return End::ok;
  return status >= 400 && status < 500 ? End::fail : End::info;
}

std::string queue_url(const Queue& queue) {
  return "http://localhost/000000000000/" + queue.name;
}

std::string handle_of(const Receipt& receipt) {
  std::string handle;
  net::append_base64(handle, std::as_bytes(std::span(&receipt, 1)));
  return handle;
}

std::optional<Receipt> receipt_of(std::string handle) {
  const auto bytes = net::decode_base64(handle.data(), handle.size());
  Receipt receipt{};
  if (!bytes || bytes->size() != sizeof receipt) return std::nullopt;
  std::memcpy(&receipt, bytes->data(), sizeof receipt);
  return receipt;
}

// A text member; empty if there is none.
std::string text_of(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Json& list_of(const Json& object, const char* name) {
  static const Json kNone = Json::array();
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_array() ? *found : kNone;
}

uint64_t number_of(const std::string& text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Where a message lies in its FIFO queue, over all shards. Its sequence number says it but for the
// shard, and its id says that as long as it was not moved; 0: it was.
uint64_t place_of(const std::string& id, const std::string& sequence) {
  const auto known = parse_message_id(id);
  if (!known || sequence.empty()) return 0;
  return sequence_number(known->shard_slot) == number_of(sequence) ? known->shard_slot + 1 : 0;
}

// What became of each entry of a batch.
struct EntryEnd {
  End end = End::info;
  std::string error;
  const Json* told = nullptr;
};

std::vector<EntryEnd> entry_ends(const Json& answer, uint32_t status, size_t entries) {
  std::vector<EntryEnd> ends(entries);
  for (EntryEnd& one : ends) {
    one.end = status == 200 ? End::info : end_of(status);
    one.error = text_of(answer, "__type");
  }
  for (const Json& entry : list_of(answer, "Successful"))
    if (const uint64_t i = number_of(text_of(entry, "Id")); i < entries)
      ends[i] = {End::ok, {}, &entry};
  for (const Json& entry : list_of(answer, "Failed")) {
    const uint64_t i = number_of(text_of(entry, "Id"));
    const auto fault = entry.find("SenderFault");
    const bool sender = fault != entry.end() && fault->is_boolean() && fault->get<bool>();
    if (i < entries) ends[i] = {sender ? End::fail : End::info, text_of(entry, "Code"), &entry};
  }
  return ends;
}

}  // namespace

const HistoryClient::Manner& HttpHistoryClient::manner() const {
  static constexpr Manner kManner{.batch_max = 10,
                                  .receive_max = 10,
                                  .under_way_max = 2,
                                  .administers = false,
                                  .whole_seconds = true};
  return kManner;
}

bool HttpHistoryClient::connect(const std::string& address) {
  complain({});
  std::string why;
  auto socket = client::Socket::connect(address, kConnectMs, &why);
  if (!socket) {
    complain(why);
    return false;
  }
  tools::HttpAnswers& answers = *this;
  connection_ = std::make_unique<tools::HttpConnection>(std::move(*socket), 0, answers);
  return true;
}

bool HttpHistoryClient::exchange() {
  if (connection_->flush() && connection_->receive(scratch_)) return true;
  lose();
  return false;
}

void HttpHistoryClient::lose() {
  connection_.reset();
  while (!asked_.empty()) {
    const Asked asked = std::move(asked_.front());
    asked_.pop_front();
    std::visit([this](const auto& what) { take(what, kUnknownStatus, {}); }, asked);
  }
}

void HttpHistoryClient::ask(const char* action, const std::string& body, Asked asked) {
  connection_->out() += fmt::format(
      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"
      "X-Amz-Target: AmazonSQS.{}\r\nContent-Length: {}\r\n\r\n{}",
      action, body.size(), body);
  connection_->asked({});
  asked_.push_back(std::move(asked));
}

void HttpHistoryClient::ask_send(size_t queue, std::vector<Outgoing> messages) {
  Json body{{"QueueUrl", queue_url(world().queues[queue])}, {"Entries", Json::array()}};
  for (size_t i = 0; i < messages.size(); ++i) {
    Json entry{{"Id", std::to_string(i)}, {"MessageBody", messages[i].body}};
    if (world().queues[queue].fifo) {
      entry["MessageGroupId"] = messages[i].group;
      entry["MessageDeduplicationId"] = messages[i].id;
    }
    body["Entries"].push_back(std::move(entry));
  }
  ask("SendMessageBatch", body.dump(), Sends{queue, std::move(messages)});
}

void HttpHistoryClient::ask_receive(size_t queue, uint64_t number, uint32_t, uint32_t wait_ms,
                                    uint32_t messages_max) {
  const Json body{{"QueueUrl", queue_url(world().queues[queue])},
                  {"MaxNumberOfMessages", messages_max},
                  {"WaitTimeSeconds", wait_ms / 1000},
                  {"MessageSystemAttributeNames", {"ApproximateReceiveCount", "SequenceNumber"}}};
  ask("ReceiveMessage", body.dump(), Receives{queue, number});
}

void HttpHistoryClient::ask_remove(std::vector<Held> held, std::vector<uint64_t> numbers) {
  Json body{{"QueueUrl", queue_url(world().queues[held.front().queue])},
            {"Entries", Json::array()}};
  for (size_t i = 0; i < held.size(); ++i)
    body["Entries"].push_back(
        {{"Id", std::to_string(i)}, {"ReceiptHandle", handle_of(held[i].receipt)}});
  ask("DeleteMessageBatch", body.dump(), Removes{std::move(held), std::move(numbers)});
}

void HttpHistoryClient::ask_visibility(const Held& held, uint64_t number, uint32_t visibility_ms) {
  const Json body{{"QueueUrl", queue_url(world().queues[held.queue])},
                  {"ReceiptHandle", handle_of(held.receipt)},
                  {"VisibilityTimeout", visibility_ms / 1000}};
  ask("ChangeMessageVisibility", body.dump(), Change{number});
}

bool HttpHistoryClient::on_answer(tools::HttpConnection&, tools::HttpAsked, uint32_t status,
                                  std::string& body) {
  const Asked asked = std::move(asked_.front());
  asked_.pop_front();
  std::visit([&](const auto& what) { take(what, status, body); }, asked);
  return true;
}

void HttpHistoryClient::take(const Sends& asked, uint32_t status, const std::string& body) {
  const Json answer = Json::parse(body, nullptr, false);
  const auto ends = entry_ends(answer, status, asked.messages.size());
  for (size_t i = 0; i < ends.size(); ++i) {
    const std::string id = ends[i].told != nullptr ? text_of(*ends[i].told, "MessageId") : "";
    const std::string place =
        ends[i].told != nullptr ? text_of(*ends[i].told, "SequenceNumber") : "";
    sent(asked.messages[i], asked.queue, ends[i].end, id, place_of(id, place), {}, ends[i].error);
  }
}

void HttpHistoryClient::take(const Receives& asked, uint32_t status, const std::string& body) {
  const Json answer = Json::parse(body, nullptr, false);
  if (status != 200) return ended(asked.number, "recv", end_of(status), text_of(answer, "__type"));
  std::vector<std::string> bodies;
  std::vector<Incoming> messages;
  for (const Json& message : list_of(answer, "Messages")) {
    const auto receipt = receipt_of(text_of(message, "ReceiptHandle"));
    if (!receipt) return complain("a receipt handle is no receipt");
    const auto attributes = message.find("Attributes");
    const Json& told = attributes != message.end() ? *attributes : message;
    bodies.push_back(text_of(message, "Body"));
    const std::string id = text_of(message, "MessageId");
    messages.push_back({{},
                        id,
                        *receipt,
                        static_cast<uint32_t>(number_of(text_of(told, "ApproximateReceiveCount"))),
                        place_of(id, text_of(told, "SequenceNumber"))});
  }
  for (size_t i = 0; i < messages.size(); ++i)
    messages[i].body = bodies[i];
  received(asked.queue, asked.number, messages);
}

void HttpHistoryClient::take(const Removes& asked, uint32_t status, const std::string& body) {
  const Json answer = Json::parse(body, nullptr, false);
  const auto ends = entry_ends(answer, status, asked.held.size());
  // Of a standard queue a receipt of the past is answered with success.
  for (size_t i = 0; i < ends.size(); ++i)
    removed(asked.held[i], asked.numbers[i], ends[i].end, false, ends[i].error);
}

void HttpHistoryClient::take(const Change& asked, uint32_t status, const std::string& body) {
  ended(asked.number, "vis", end_of(status), text_of(Json::parse(body, nullptr, false), "__type"));
}

}  // namespace millrace::blackbox

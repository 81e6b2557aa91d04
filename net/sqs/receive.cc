// ReceiveMessage.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "engine/message_names.h"
#include "millrace/message.h"
#include "millrace/message_id.h"
#include "millrace/properties.h"
#include "net/sqs/actions.h"
#include "net/sqs/attribute_digest.h"
#include "net/sqs/attribute_names.h"
#include "net/sqs/message_check.h"
#include "net/sqs/receipt_handle.h"

namespace millrace::net::sqs {
namespace {

constexpr MemberName kMessages{"Messages", "Message"};
constexpr MemberName kSystem{"Attributes", "Attribute"};
constexpr MemberName kUser{"MessageAttributes", "MessageAttribute"};

// Of all that one receive gives, as of a batch that is sent.
constexpr uint32_t kReceivedBytesMax = kMessageBytesMax + kPropertyOverheadMax;

enum System : uint16_t {
  kSenderId = 1 << 0,
  kSentTimestamp = 1 << 1,
  kReceiveCount = 1 << 2,
  kFirstReceive = 1 << 3,
  kTrace = 1 << 4,
  kGroupId = 1 << 5,
  kDeduplicationId = 1 << 6,
  kSequenceNumber = 1 << 7,
  kSourceArn = 1 << 8,
  kAllSystem = (1 << 9) - 1,
};
constexpr struct {
  std::string_view name;
  uint16_t bit;
} kSystemNames[] = {
    {"All", kAllSystem},
    {"SenderId", kSenderId},
    {"SentTimestamp", kSentTimestamp},
    {"ApproximateReceiveCount", kReceiveCount},
    {"ApproximateFirstReceiveTimestamp", kFirstReceive},
    {"AWSTraceHeader", kTrace},
    {"MessageGroupId", kGroupId},
    {"MessageDeduplicationId", kDeduplicationId},
    {"SequenceNumber", kSequenceNumber},
    {"DeadLetterQueueSourceArn", kSourceArn},
};

AwsError read_system_names(const List<std::string_view>& names, uint16_t* wanted) {
  for (const std::string_view name : names) {
    const auto known = std::find_if(std::begin(kSystemNames), std::end(kSystemNames),
                                    [&](const auto& one) { return one.name == name; });
    if (known != std::end(kSystemNames))
      *wanted = static_cast<uint16_t>(*wanted | known->bit);
    else if (!is_queue_attribute(name))  // which old clients ask for here
      return unknown_attribute(name);
  }
  return {};
}

// Which of a message's attributes the client asked for; a view of what was kept.
struct Selection {
  uint16_t system = 0;
  bool every_user = false;
  KeptReader user{{}};  // names, and prefixes with ".*"

  bool takes(std::string_view name) const {
    if (every_user) return true;
    KeptReader rest = user;
    while (!rest.empty()) {
      const std::string_view wanted = rest.text();
      if (wanted == name ||
          (wanted.ends_with(".*") && name.starts_with(wanted.substr(0, wanted.size() - 2))))
        return true;
    }
    return false;
  }
};

// A number in its range, as milliseconds or as it is; or what is wrong with it.
AwsError read_number(const Integer& given, std::string_view name, int64_t low, int64_t high,
                     std::string_view reason, int64_t* number) {
  if (!given.given) return {};
  if (given.value < low || given.value > high)
    return invalid_value(name, std::to_string(given.value), reason);
  *number = given.value;
  return {};
}

// A message as it lies in the shard's log.
struct Received {
  std::string_view body;
  std::string_view sender, trace_header, group, deduplication;
  Bytes content_hash;
  std::optional<MovedFrom> moved;
  std::array<AttributeView, kAttributesMax> attributes;  // those selected
  size_t attribute_count = 0;
  Bytes properties;
};

void read_message(Bytes message, const Selection& selection, Received& received) {
  MessageHeader header;
  std::memcpy(&header, message.data(), sizeof header);
  received.properties = message.subspan(sizeof header, header.properties_bytes);
  received.body =
      as_text(message.subspan(sizeof header + header.properties_bytes, header.body_bytes));
  PropertyReader reader(received.properties);
  while (const auto property = reader.next()) {
    const std::string_view text = as_text(property->value);
    switch (property->tag) {
      case PropertyTag::group:
        received.group = text;
        break;
      case PropertyTag::deduplication_id:
        received.deduplication = text;
        break;
      case PropertyTag::trace_header:
        received.trace_header = text;
        break;
      case PropertyTag::sender_id:
        received.sender = text;
        break;
      case PropertyTag::content_hash:
        received.content_hash = property->value;
        break;
      case PropertyTag::moved:
        received.moved = find_moved(received.properties);
        break;
      case PropertyTag::attribute:
        if (received.attribute_count < kAttributesMax && selection.takes(property->name))
          received.attributes[received.attribute_count++] = {property->name, property->type, text,
                                                             is_binary(property->type)};
        break;
    }
  }
}

class MessageWriter {
 public:
  MessageWriter(Reply& reply, AnswerWriter& writer, const Selection& selection,
                std::string_view region)
      : reply_(reply), writer_(writer), selection_(selection), region_(region) {
    const QueueInfo* queue = reply.queue();
    fifo_ = queue != nullptr && queue->attributes.fifo;
  }

  void write(const Delivery& delivery) {
    Received received;
    Bytes message = delivery.message;
    if (delivery.stamp.uuid != nullptr) {
      stamped_.assign(message.begin(), message.end());
      put_stamp(delivery.stamp, stamped_.data());
      message = stamped_;
    }
    read_message(message, selection_, received);
    const std::string id = message_id_text(
        message_id(delivery.receipt.queue_id, delivery.receipt.shard_slot, received.properties));
    writer_.begin_item(kMessages);
    writer_.plain("MessageId", id);
    writer_.base64("ReceiptHandle", bytes_of(delivery.receipt));
    const auto digest = reply_.scratch().md5.of(as_bytes(received.body)).text();
    writer_.plain("MD5OfBody", {digest.data(), digest.size()});
    writer_.text("Body", received.body);
    if (selection_.system != 0) write_system(delivery, received, id);
    if (received.attribute_count > 0) write_user(received);
    writer_.end_item(kMessages);
  }

 private:
  void write_system(const Delivery& delivery, const Received& received, std::string_view id) {
    bool begun = false;
    const auto wanted = [&](uint16_t bit) { return (selection_.system & bit) != 0; };
    const auto put = [&](std::string_view name, std::string_view value) {
      if (!begun) writer_.begin_map(kSystem);
      begun = true;
      writer_.pair(kSystem, name, value);
    };
    if (wanted(kSenderId))
      put("SenderId", received.sender.empty() ? reply_.settings().account : received.sender);
    if (wanted(kSentTimestamp)) put("SentTimestamp", fmt::format_int(delivery.sent_at.value).str());
    if (wanted(kReceiveCount))
      put("ApproximateReceiveCount", fmt::format_int(delivery.receive_count).str());
    if (wanted(kFirstReceive))
      put("ApproximateFirstReceiveTimestamp",
          fmt::format_int(delivery.first_received_at.value).str());
    if (wanted(kTrace) && !received.trace_header.empty())
      put("AWSTraceHeader", received.trace_header);
    if (wanted(kGroupId) && !received.group.empty()) put("MessageGroupId", received.group);
    if (wanted(kDeduplicationId) && fifo_)
      put("MessageDeduplicationId", deduplication_id(received, id));
    if (wanted(kSequenceNumber) && fifo_)
      put("SequenceNumber", fmt::format_int(sequence_number(delivery.receipt.shard_slot)).str());
    if (wanted(kSourceArn) && received.moved) {
      // Nothing of a source that is gone by now: its name went with it.
      const QueueInfo* source = reply_.port().find_queue(QueueId{received.moved->source_queue});
      if (source != nullptr)
        put("DeadLetterQueueSourceArn", reply_.queue_arn(region_, source->name));
    }
    if (begun) writer_.end_map();
  }

  // Of a message that was moved it is what the message is told from others by: its id.
  std::string_view deduplication_id(const Received& received, std::string_view id) {
    if (!received.deduplication.empty()) return received.deduplication;
    engine::ContentHash hash;
    if (received.content_hash.size() != hash.size()) return id;
    std::memcpy(hash.data(), received.content_hash.data(), hash.size());
    hash_text_ = engine::hex_text(hash);
    return {hash_text_.data(), hash_text_.size()};
  }

  void write_user(Received& received) {
    const auto attributes = std::span(received.attributes).first(received.attribute_count);
    const auto digest = digest_of(attributes, reply_.scratch().md5).text();
    writer_.plain("MD5OfMessageAttributes", {digest.data(), digest.size()});
    writer_.begin_map(kUser);
    for (const AttributeView& attribute : attributes) {
      writer_.begin_entry(kUser, attribute.name);
      if (attribute.binary)
        writer_.base64("BinaryValue", as_bytes(attribute.value));
      else
        writer_.text("StringValue", attribute.value);
      writer_.text("DataType", attribute.type);
      writer_.end_entry(kUser);
    }
    writer_.end_map();
  }

  Reply& reply_;
  AnswerWriter& writer_;
  const Selection& selection_;
  std::string_view region_;
  std::array<char, 64> hash_text_{};
  bool fifo_ = false;
  std::vector<std::byte> stamped_;  // a copy of a message that has a stamp
};

}  // namespace

void receive_message(Request& request, const ReceiveMessageInput& input) {
  int64_t messages = 1;
  int64_t wait_s = -1;
  int64_t visibility_s = -1;
  AwsError error = read_number(input.max_number_of_messages, "MaxNumberOfMessages", 1, 10,
                               "Must be between 1 and 10, if provided.", &messages);
  if (!error)
    error = read_number(input.wait_time_seconds, "WaitTimeSeconds", 0, 20,
                        "Must be >= 0 and <= 20, if provided.", &wait_s);
  if (!error)
    error = read_number(input.visibility_timeout, "VisibilityTimeout", 0, 43'200,
                        "Must be >= 0 and <= 43200, if provided.", &visibility_s);
  const bool fifo = request.queue->attributes.fifo;
  const std::string_view attempt = input.receive_request_attempt_id.value;
  if (!error && fifo && input.receive_request_attempt_id.given)
    error = check_id("ReceiveRequestAttemptId", attempt);
  uint16_t system = 0;
  if (!error) error = read_system_names(input.attribute_names, &system);
  if (!error) error = read_system_names(input.message_system_attribute_names, &system);
  if (error) return request.refuse(error);

  bool every = false;
  for (const std::string_view name : input.message_attribute_names)
    every = every || name == "All" || name == ".*" || name == "*";
  std::string& kept = request.kept();
  keep(kept, system);
  keep(kept, every);
  keep_text(kept, request.caller.region);
  if (!every)
    for (const std::string_view name : input.message_attribute_names)
      keep_text(kept, name);

  const auto ms = [](int64_t seconds) {
    return seconds < 0 ? kDelayQueueDefault : static_cast<uint32_t>(seconds * 1'000);
  };
  // An attempt is repeated as it was; and what is not hidden would come twice.
  const uint32_t visibility_ms =
      visibility_s < 0 ? request.queue->attributes.visibility_timeout_ms : ms(visibility_s);
  const bool whole = (fifo && !attempt.empty()) || visibility_ms == 0;
  const uint32_t holder = request.holder();
  const ReplyTo to = request.wait_for_messages(whole ? 0 : static_cast<uint32_t>(messages),
                                               ms(visibility_s), holder);
  request.port().receive({.queue = request.queue->id,
                          .messages_max = static_cast<uint32_t>(messages),
                          .bytes_max = kReceivedBytesMax,
                          .visibility_ms = ms(visibility_s),
                          .wait_ms = ms(wait_s),
                          .attempt_id = fifo ? attempt : std::string_view(),
                          .holder = holder},
                         to);
}

void messages_received(Reply& reply, const ReceiveReply& from_shard) {
  Errc error = from_shard.error;
  const QueueInfo* queue = reply.queue();
  // A FIFO queue gives nothing then, and says nothing.
  if (error == Errc::over_limit && queue != nullptr && queue->attributes.fifo) error = Errc::ok;
  if (error != Errc::ok) return reply.refuse(error_of(error));
  Selection selection;
  selection.system = reply.request.take<uint16_t>();
  selection.every_user = reply.request.take<bool>();
  const std::string_view region = reply.request.text();
  selection.user = reply.request;
  AnswerWriter& writer = reply.begin();
  if (!from_shard.deliveries.empty()) {
    MessageWriter messages(reply, writer, selection, region);
    writer.begin_list(kMessages);
    for (const Delivery& delivery : from_shard.deliveries)
      messages.write(delivery);
    writer.end_list();
  }
  reply.finish();
}

}  // namespace millrace::net::sqs

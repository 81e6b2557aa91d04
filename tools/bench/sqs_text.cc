#include "tools/bench/sqs_text.h"

#include <cstring>
#include <simdjson.h>

#include "millrace/message.h"
#include "millrace/properties.h"
#include "net/aws/json_text.h"

namespace millrace::tools {
namespace {

namespace od = simdjson::ondemand;

void append_stamp(std::string& out, Bytes stamp) {
  const size_t at = out.size();
  out.resize(at + kStampLetters);
  char* to = out.data() + at;
  for (const std::byte byte : stamp) {
    *to++ = static_cast<char>('a' + std::to_integer<int>(byte >> 4));
    *to++ = static_cast<char>('a' + std::to_integer<int>(byte & std::byte{15}));
  }
}

bool read_stamp(std::string_view body, std::array<std::byte, sizeof(Stamp)>& stamp) {
  if (body.size() < kStampLetters) return false;
  for (size_t i = 0; i < sizeof(Stamp); ++i) {
    const unsigned high = static_cast<unsigned char>(body[2 * i]) - unsigned{'a'};
    const unsigned low = static_cast<unsigned char>(body[2 * i + 1]) - unsigned{'a'};
    if (high > 15 || low > 15) return false;
    stamp[i] = static_cast<std::byte>(high << 4 | low);
  }
  return true;
}

void append_id(std::string& out, uint32_t number) {
  out.append(R"({"Id":")").append(std::to_string(number)).append(R"(",)");
}

// The fields of one message: with what comes before them, an object but for its end.
void append_message(std::string& out, const std::byte* message, const MessageHeader& header,
                    uint32_t size) {
  const Bytes properties{message + sizeof header, header.properties_bytes};
  const Bytes body{message + sizeof header + header.properties_bytes, header.body_bytes};
  out.append(R"("MessageBody":")");
  append_stamp(out, body.first(sizeof(Stamp)));
  out.append(size - kStampLetters, 'm').append("\"");
  PropertyReader reader(properties);
  while (const auto property = reader.next()) {
    out.append(property->tag == PropertyTag::group ? R"(,"MessageGroupId":")"
                                                   : R"(,"MessageDeduplicationId":")");
    out.append(as_text(property->value)).append("\"");
  }
}

void append_queue(std::string& out, std::string_view queue_url) {
  out.append(R"({"QueueUrl":")");
  net::append_json_text(out, queue_url);
  out.append(R"(",)");
}

}  // namespace

void append_sends(std::string& out, std::string_view queue_url, Bytes run, uint32_t count,
                  uint32_t size, bool alone) {
  append_queue(out, queue_url);
  if (!alone) out.append(R"("Entries":[)");
  const std::byte* message = run.data();
  for (uint32_t i = 0; i < count; ++i) {
    MessageHeader header{};
    std::memcpy(&header, message, sizeof header);
    if (i > 0) out.append(",");
    if (!alone) append_id(out, i);
    append_message(out, message, header, size);
    out.append("}");
    message += message_stride(header);
  }
  if (!alone) out.append("]}");
}

void append_deletes(std::string& out, std::string_view queue_url,
                    std::span<const std::string_view> handles, bool alone) {
  append_queue(out, queue_url);
  if (!alone) out.append(R"("Entries":[)");
  for (uint32_t i = 0; i < handles.size(); ++i) {
    if (i > 0) out.append(",");
    if (!alone) append_id(out, i);
    out.append(R"("ReceiptHandle":")");
    net::append_json_text(out, handles[i]);
    out.append(R"("})");
  }
  if (!alone) out.append("]}");
}

uint32_t failed_entries(std::string_view answer) {
  size_t at = answer.find(R"("Failed":[)");
  uint32_t failed = 0;
  while (at != std::string_view::npos &&
         (at = answer.find(R"("SenderFault":)", at + 1)) != std::string_view::npos)
    ++failed;
  return failed;
}

struct ReceivedTexts::Parser {
  od::parser json;
};

ReceivedTexts::ReceivedTexts() : parser_(std::make_unique<Parser>()) {}
ReceivedTexts::~ReceivedTexts() = default;

bool ReceivedTexts::read(std::string& answer) {
  messages_.clear();
  answer.reserve(answer.size() + simdjson::SIMDJSON_PADDING);
  od::document document;
  od::array list;
  if (parser_->json
          .iterate(simdjson::padded_string_view(answer.data(), answer.size(), answer.capacity()))
          .get(document) != simdjson::SUCCESS)
    return false;
  const simdjson::error_code found = document["Messages"].get_array().get(list);
  if (found == simdjson::NO_SUCH_FIELD) return true;
  if (found != simdjson::SUCCESS) return false;
  for (auto item : list) {
    od::object object;
    if (item.get_object().get(object) != simdjson::SUCCESS || messages_.size() == stamps_.size())
      return false;
    Message message{};
    for (auto member : object) {
      od::field field;
      std::string_view name;
      if (std::move(member).get(field) != simdjson::SUCCESS ||
          field.unescaped_key().get(name) != simdjson::SUCCESS)
        return false;
      std::string_view body;
      if (name == "ReceiptHandle") {
        if (field.value().get_string().get(message.handle) != simdjson::SUCCESS) return false;
      } else if (name == "Body") {
        if (field.value().get_string().get(body) != simdjson::SUCCESS) return false;
        auto& stamp = stamps_[messages_.size()];
        if (read_stamp(body, stamp)) message.stamp = stamp;
      }
    }
    messages_.push_back(message);
  }
  return true;
}

}  // namespace millrace::tools

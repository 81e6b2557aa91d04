// Publish and PublishBatch.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "net/aws/request_claims.h"
#include "net/sns/actions.h"

namespace millrace::net::sns {
namespace {

using topics::Publication;
using topics::PublishedAttribute;

constexpr uint32_t kEntriesMax = 10;
constexpr size_t kEntryIdBytesMax = 80;

std::optional<std::string_view> given(const Text& text) {
  if (!text.given) return std::nullopt;
  return text.value;
}

// A field of the request.
std::string_view trace_field(const Request& request) {
  constexpr size_t kBytesMax = 4'096;
  const std::string_view field = request.http.field("x-amzn-trace-id");
  return field.size() <= kBytesMax ? field : std::string_view();
}

// `attributes` holds what it is a view of.
Publication publication_of(const MessageInput& input, std::string_view trace,
                           std::vector<PublishedAttribute>* attributes) {
  for (const AttributeInput& one : input.message_attributes) {
    PublishedAttribute attribute{.name = one.name};
    attribute.type = given(one.data_type);
    attribute.text = given(one.string_value);
    if (one.binary_value.given) attribute.bytes = one.binary_value.value;
    attributes->push_back(attribute);
  }
  Publication publication;
  publication.message = given(input.message);
  publication.subject = given(input.subject);
  publication.structure = given(input.message_structure);
  publication.group = given(input.message_group_id);
  publication.deduplication_id = given(input.message_deduplication_id);
  publication.trace_header = trace;
  publication.attributes = *attributes;
  return publication;
}

AwsError check_entry_id(std::string_view id) {
  if (id.size() > kEntryIdBytesMax)
    return {errors::kInvalidBatchEntryId,
            fmt::format("The Id of a batch entry in the batch request is too long: {}", shown(id))};
  const bool good = !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (good) return {};
  return {errors::kInvalidBatchEntryId,
          fmt::format(
              "The Id of a batch entry in the batch request contains an impermissible character: "
              "{}",
              shown(id))};
}

AwsError check_batch_entries(const List<MessageInput>& entries) {
  if (entries.empty())
    return {errors::kEmptyBatchRequest, "The batch request doesn't contain any entries."};
  if (entries.size() > kEntriesMax)
    return {errors::kTooManyEntries, "The batch request contains more entries than permissible."};
  for (uint32_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].id.given)
      return value_is_null(fmt::format("publishBatchRequestEntries.{}.member.id", i + 1));
    if (auto error = check_entry_id(entries[i].id.value)) return error;
  }
  for (uint32_t i = 1; i < entries.size(); ++i)
    for (uint32_t j = 0; j < i; ++j)
      if (entries[i].id.value == entries[j].id.value)
        return {errors::kBatchEntryIdsNotDistinct,
                "Two or more batch entries in the request have the same Id."};
  return {};
}

// The id and, on a FIFO topic, the sequence number of a message.
void write_published(AnswerWriter& writer, const topics::Published& done, size_t message) {
  writer.plain("MessageId", done.message_ids[message]);
  if (!done.sequences.empty())
    writer.plain("SequenceNumber", std::to_string(done.sequences[message]));
}

}  // namespace

void publish(Request& request, const PublishInput& input) {
  if (input.phone_number.given)
    return request.refuse(invalid_parameter("PhoneNumber Reason: this server sends no SMS"));
  const TopicAttributes& topic = request.topic->attributes;
  std::vector<PublishedAttribute> attributes;
  const Publication message = publication_of(input, trace_field(request), &attributes);
  if (const auto refusal = check_text(message, topic)) return request.refuse(error_of(refusal));
  if (const auto refusal = check_attributes(message)) return request.refuse(error_of(refusal));
  if (const auto refusal = check_ids(message, topic)) return request.refuse(error_of(refusal));
  request.publish(request.topic->id, request.topic->name,
                  base_url(request.http, request.settings().advertise), {&message, 1});
}

void message_published(Reply& reply, const topics::Published& done) {
  if (done.error != Errc::ok) return reply.refuse(error_of(done.error));
  AnswerWriter& writer = reply.begin();
  write_published(writer, done, 0);
  reply.finish();
}

// Each entry is kept as its id and, by whether it is published, its error.
void publish_batch(Request& request, const PublishBatchInput& input) {
  const TopicAttributes& topic = request.topic->attributes;
  if (const auto error = check_batch_entries(input.entries)) return request.refuse(error);
  const std::string_view trace = trace_field(request);
  std::vector<std::vector<PublishedAttribute>> attributes(input.entries.size());
  std::vector<Publication> messages;
  size_t bytes = 0;
  for (uint32_t i = 0; i < input.entries.size(); ++i) {
    messages.push_back(publication_of(input.entries[i], trace, &attributes[i]));
    bytes += publication_bytes(messages.back());
  }
  if (bytes > topic.message_bytes_max)
    return request.refuse({errors::kBatchRequestTooLong,
                           "The length of all the messages put together is more than the limit."});
  for (const Publication& message : messages) {
    if (const auto refusal = check_ids(message, topic)) return request.refuse(error_of(refusal));
    if (const auto refusal = check_attributes(message)) return request.refuse(error_of(refusal));
    if (!message.message) return request.refuse(error_of(check_text(message, topic)));
  }
  std::string& kept = request.kept();
  std::vector<Publication> good;
  for (uint32_t i = 0; i < messages.size(); ++i) {
    const auto refusal = check_text(messages[i], topic);
    keep_text(kept, input.entries[i].id.value);
    keep(kept, !refusal);
    if (refusal)
      keep_text(kept, error_of(refusal).text);
    else
      good.push_back(messages[i]);
  }
  request.publish(request.topic->id, request.topic->name,
                  base_url(request.http, request.settings().advertise), good);
}

void batch_published(Reply& reply, const topics::Published& done) {
  if (done.error != Errc::ok) return reply.refuse(error_of(done.error));
  AnswerWriter& writer = reply.begin();
  // The two lists, one after the other.
  for (const bool successful : {false, true}) {
    const MemberName list = successful ? "Successful" : "Failed";
    writer.begin_list(list);
    KeptReader kept = reply.request;
    size_t next = 0;
    while (!kept.empty()) {
      const std::string_view id = kept.text();
      const bool published = kept.take<bool>();
      const std::string_view text = published ? std::string_view() : kept.text();
      if (published == successful) {
        writer.begin_item(list);
        if (successful) {
          write_published(writer, done, next);
        } else {
          writer.plain("Code", errors::kInvalidParameter.code);
          writer.text("Message", text);
          writer.flag("SenderFault", true);
        }
        writer.plain("Id", id);
        writer.end_item(list);
      }
      next += published;
    }
    writer.end_list();
  }
  reply.finish();
}

}  // namespace millrace::net::sns

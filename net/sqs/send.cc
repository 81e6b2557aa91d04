// SendMessage and SendMessageBatch.
#include <array>
#include <cstring>

#include "millrace/message.h"
#include "millrace/message_id.h"
#include "millrace/properties.h"
#include "net/sqs/actions.h"
#include "net/sqs/attribute_digest.h"
#include "net/sqs/batch.h"
#include "net/sqs/message_check.h"

namespace millrace::net::sqs {
namespace {

constexpr size_t kBatchBytes = kMessageBytesMax;  // of all its messages
constexpr MemberName kSent{"Successful", "SendMessageBatchResultEntry"};

// What the answer says of a message, apart from its name.
struct Digests {
  Digest body;
  Digest attributes;
  Digest system;
  bool has_attributes = false;
  bool has_system = false;
};

Digest digest_of_inputs(const List<AttributeInput>& attributes, Md5& md5) {
  std::array<AttributeView, kAttributesMax> views;
  size_t count = 0;
  for (const AttributeInput& one : attributes)
    views[count++] = {one.name, one.data_type.value, value_of(one), is_binary(one.data_type.value)};
  return digest_of(std::span(views).first(count), md5);
}

Digests digests_of(const MessageInput& message, Md5& md5) {
  Digests digests;
  digests.body = md5.of(as_bytes(message.message_body.value));
  if (!message.message_attributes.empty()) {
    digests.attributes = digest_of_inputs(message.message_attributes, md5);
    digests.has_attributes = true;
  }
  if (!message.message_system_attributes.empty()) {
    digests.system = digest_of_inputs(message.message_system_attributes, md5);
    digests.has_system = true;
  }
  return digests;
}

// Behind what is there.
void lay_out(const MessageInput& message, std::string_view trace_header, std::string_view sender,
             bool fifo, std::string& run) {
  const size_t begin = run.size();
  run.resize(begin + sizeof(MessageHeader));
  if (message.message_group_id.given)
    append_property(run, PropertyTag::group, as_bytes(message.message_group_id.value));
  if (message.message_deduplication_id.given)
    append_property(run, PropertyTag::deduplication_id,
                    as_bytes(message.message_deduplication_id.value));
  if (!message.message_system_attributes.empty())
    trace_header = message.message_system_attributes[0].string_value.value;
  if (!trace_header.empty())
    append_property(run, PropertyTag::trace_header, as_bytes(trace_header));
  if (!sender.empty()) append_property(run, PropertyTag::sender_id, as_bytes(sender));
  for (const AttributeInput& attribute : message.message_attributes)
    append_property(run, PropertyTag::attribute, attribute.name, attribute.data_type.value,
                    as_bytes(value_of(attribute)));
  const size_t properties = run.size() - begin - sizeof(MessageHeader);
  const std::string_view body = message.message_body.value;
  run.append(body);
  // Of a FIFO queue's message 0 is accepted and means nothing.
  const bool delayed = message.delay_seconds.given && !fifo;
  const MessageHeader header{
      static_cast<uint32_t>(body.size()), static_cast<uint32_t>(properties),
      delayed ? static_cast<uint32_t>(message.delay_seconds.value * 1'000) : kDelayQueueDefault, 0};
  run.resize(begin + message_stride(header), '\0');
  std::memcpy(run.data() + begin, &header, sizeof header);
}

// A field of the request, where the request does not say it itself.
std::string_view trace_field(const Request& request) {
  constexpr size_t kBytesMax = 4'096;
  const std::string_view field = request.http.field("x-amzn-trace-id");
  return field.size() <= kBytesMax ? field : std::string_view();
}

void write_sent(AnswerWriter& writer, QueueId queue, uint64_t shard_slot, bool fifo,
                const Digests& digests, const char* body_name) {
  const auto hex = [&](MemberName name, const Digest& digest) {
    const auto text = digest.text();
    writer.plain(name, {text.data(), text.size()});
  };
  writer.plain("MessageId", message_id_text({raw(queue), shard_slot}));
  hex(body_name, digests.body);
  if (digests.has_attributes) hex("MD5OfMessageAttributes", digests.attributes);
  if (digests.has_system) hex("MD5OfMessageSystemAttributes", digests.system);
  if (fifo) writer.plain("SequenceNumber", std::to_string(sequence_number(shard_slot)));
}

uint64_t shard_slot_of(const SendReply& sent, uint32_t index) {
  if (!sent.shard_slots.empty()) return sent.shard_slots[index];
  return uint64_t{raw(sent.shard)} << 48 | raw(sent.first_slot + index);
}

SendRequest run_of(const Request& request, const std::string& run, uint32_t count) {
  return {request.queue->id, count, as_bytes(run)};
}

}  // namespace

void send_message(Request& request, const SendMessageInput& input) {
  const QueueAttributes& queue = request.queue->attributes;
  if (const auto error = check_message(input, queue)) return request.refuse(error);
  if (const auto error = check_fifo(input, queue, false)) return request.refuse(error);
  Scratch& scratch = request.scratch();
  keep(request.kept(), digests_of(input, scratch.md5));
  keep(request.kept(), queue.fifo);
  scratch.run.clear();
  lay_out(input, trace_field(request), request.caller.user_id, queue.fifo, scratch.run);
  request.port().send(run_of(request, scratch.run, 1), request.wait());
}

void message_sent(Reply& reply, const SendReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of(from_shard.error));
  const auto digests = reply.request.take<Digests>();
  const bool fifo = reply.request.take<bool>();
  AnswerWriter& writer = reply.begin();
  write_sent(writer, reply.queue_id(), shard_slot_of(from_shard, 0), fifo, digests,
             "MD5OfMessageBody");
  reply.finish();
}

// Each entry is kept as its id and, by whether it was laid out, its digests or its error.
void send_message_batch(Request& request, const SendMessageBatchInput& input) {
  constexpr std::string_view kEntry = "SendMessageBatchRequestEntry";
  const QueueAttributes& queue = request.queue->attributes;
  if (const auto error = check_entries(input.entries, kEntry, request.xml()))
    return request.refuse(error);
  size_t bytes = 0;
  for (const MessageInput& entry : input.entries)
    bytes += message_size(entry);
  if (bytes > kBatchBytes)
    return request.refuse(
        {errors::kBatchRequestTooLong,
         fmt::format("Batch requests cannot be longer than {} bytes. You have sent {} bytes.",
                     kBatchBytes, bytes)});
  for (const MessageInput& entry : input.entries)
    if (const auto error = check_fifo(entry, queue, true)) return request.refuse(error);

  Scratch& scratch = request.scratch();
  std::string& kept = request.kept();
  const std::string_view trace_header = trace_field(request);
  scratch.run.clear();
  keep(kept, queue.fifo);
  uint32_t count = 0;
  for (uint32_t i = 0; i < input.entries.size(); ++i) {
    const MessageInput& entry = input.entries[i];
    const auto error = entry.message_body.value.empty()
                           ? missing_parameter(fmt::format("{}.{}.MessageBody", kEntry, i + 1))
                           : check_message(entry, queue, kEntry);
    keep_text(kept, entry.id.value);
    keep(kept, !error);
    if (error) {
      keep(kept, error.kind);
      keep_text(kept, error.text);
      continue;
    }
    keep(kept, digests_of(entry, scratch.md5));
    lay_out(entry, trace_header, request.caller.user_id, queue.fifo, scratch.run);
    ++count;
  }
  const ReplyTo to = request.wait();
  if (count == 0) return to.sink->on_send(to.token, {});
  request.port().send(run_of(request, scratch.run, count), to);
}

void batch_sent(Reply& reply, const SendReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of(from_shard.error));
  const bool fifo = reply.request.take<bool>();
  AnswerWriter& writer = reply.begin();
  // The two lists, one after the other.
  for (const bool good : {true, false}) {
    KeptReader kept = reply.request;
    uint32_t index = 0;
    bool begun = false;
    while (!kept.empty()) {
      const std::string_view id = kept.text();
      const bool sent = kept.take<bool>();
      if (sent == good && !begun) {
        writer.begin_list(good ? kSent : kFailed);
        begun = true;
      }
      if (sent) {
        const auto digests = kept.take<Digests>();
        if (good) {
          writer.begin_item(kSent);
          writer.plain("Id", id);
          write_sent(writer, reply.queue_id(), shard_slot_of(from_shard, index), fifo, digests,
                     "MD5OfMessageBody");
          writer.end_item(kSent);
        }
        ++index;
      } else {
        const auto* kind = kept.take<const ErrorKind*>();
        const std::string_view text = kept.text();
        if (!good) write_failure(writer, id, kind->code, text, kind->senders());
      }
    }
    if (begun) writer.end_list();
  }
  reply.finish();
}

}  // namespace millrace::net::sqs

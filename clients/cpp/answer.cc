#include "clients/cpp/answer.h"

#include <string>

#include "base/assert.h"

namespace millrace::client {
namespace {

using wire::Opcode;

constexpr size_t kCount = sizeof(wire::CountBody);
constexpr uint32_t kDurabilityMax = static_cast<uint32_t>(Durability::commit);

// Whether a message lies whole in `run` at `offset`.
bool message_fits(Bytes run, uint32_t offset) {
  if (offset % 8 != 0 || offset > run.size() || run.size() - offset < sizeof(MessageHeader))
    return false;
  return message_stride(take<MessageHeader>(run.data() + offset)) <= run.size() - offset;
}

bool delivery_fits(Bytes body) {
  if (body.size() < sizeof(wire::DeliveryHeader)) return false;
  const auto header = take<wire::DeliveryHeader>(body.data());
  const uint64_t entries = uint64_t{header.count} * sizeof(wire::DeliveryEntry);
  if (sizeof header + entries + header.run_bytes != body.size()) return false;
  const Bytes run = body.subspan(sizeof header + entries);
  const std::byte* entry = body.data() + sizeof header;
  for (uint32_t i = 0; i < header.count; ++i, entry += sizeof(wire::DeliveryEntry)) {
    const auto offset = take<uint32_t>(entry + offsetof(wire::DeliveryEntry, run_offset));
    if (!message_fits(run, offset)) return false;
  }
  return true;
}

bool peek_fits(Bytes body) {
  if (body.size() < kCount) return false;
  const uint64_t count = take<wire::CountBody>(body.data()).count;
  const uint64_t items = count * sizeof(wire::PeekItem);
  if (kCount + items > body.size()) return false;
  const Bytes run = body.subspan(kCount + items);
  for (uint64_t i = 0; i < count; ++i) {
    const auto item = take<wire::PeekItem>(body.data() + kCount + i * sizeof(wire::PeekItem));
    if (!message_fits(run, item.run_offset)) return false;
  }
  return true;
}

bool results_fit(Bytes body) {
  if (body.size() < sizeof(wire::ResultsAnswer)) return false;
  const auto answer = take<wire::ResultsAnswer>(body.data());
  const uint64_t listed = answer.failed == 0 ? 0 : padded8(uint64_t{answer.count} * 2);
  return body.size() == sizeof answer + listed;
}

// Calls visit(item, name) for each queue; false if the bytes do not fit.
template <class Visit>
bool walk_queues(Bytes body, Visit visit) {
  if (body.size() < kCount) return false;
  const uint32_t count = take<wire::CountBody>(body.data()).count;
  size_t at = kCount;
  for (uint32_t i = 0; i < count; ++i) {
    if (body.size() - at < sizeof(wire::QueueItem)) return false;
    const auto item = take<wire::QueueItem>(body.data() + at);
    at += sizeof item;
    if (padded8(item.name_bytes) > body.size() - at) return false;
    if (item.attributes.durability > kDurabilityMax) return false;
    visit(item, as_text(body.subspan(at, item.name_bytes)));
    at += padded8(item.name_bytes);
  }
  return at == body.size();
}

bool shards_fit(Bytes body) {
  return body.size() >= kCount &&
         body.size() ==
             kCount + uint64_t{take<wire::CountBody>(body.data()).count} * sizeof(wire::ShardItem);
}

bool answer_fits(Opcode opcode, Bytes body) {
  switch (opcode) {
    case Opcode::echo:
      return true;
    case Opcode::hello:
      return body.size() == sizeof(wire::Welcome);
    case Opcode::resolve:
    case Opcode::queue_create:
      return body.size() == sizeof(wire::QueueRef);
    case Opcode::send:
      return body.size() == sizeof(wire::SendAnswer);
    case Opcode::receive:
    case Opcode::deliver:
      return delivery_fits(body);
    case Opcode::ack:
    case Opcode::extend:
      return results_fit(body);
    case Opcode::subscribe:
      return body.size() == sizeof(wire::SubscriptionRef);
    case Opcode::peek:
      return peek_fits(body);
    case Opcode::queue_list:
    case Opcode::queue_stats:
      return walk_queues(body, [](const wire::QueueItem&, std::string_view) {});
    case Opcode::server_stats:
      return shards_fit(body);
    case Opcode::credit:
    case Opcode::unsubscribe:
    case Opcode::queue_set:
    case Opcode::queue_purge:
    case Opcode::queue_delete:
    case Opcode::cancel:
      return body.empty();
    case Opcode::error:
      return false;
  }
  return false;
}

QueueInfo to_queue_info(const wire::QueueItem& item, std::string_view name) {
  QueueInfo info;
  info.id = QueueId{item.queue_id};
  info.name = std::string(name);
  info.attributes.visibility_timeout_ms = item.attributes.visibility_timeout_ms;
  info.attributes.delay_ms = item.attributes.delay_ms;
  info.attributes.message_bytes_max = item.attributes.message_bytes_max;
  info.attributes.receive_wait_ms = item.attributes.receive_wait_ms;
  info.attributes.durability = static_cast<Durability>(item.attributes.durability);
  info.created_at_ms = item.created_at_ms;
  info.counters = {item.ready,          item.leased,           item.delayed, item.bytes,
                   item.sent,           item.received,         item.acked,   item.expired,
                   item.empty_receives, item.oldest_sent_at_ms};
  return info;
}

}  // namespace

Result<Answer> Answer::parse(Opcode request, const Frame& frame) {
  Answer answer;
  answer.opcode_ = request;
  answer.correlation_ = frame.header.correlation;
  answer.error_ = static_cast<Errc>(frame.header.status);
  answer.body_ = frame.body;
  if (answer.error_ == Errc::ok) {
    if (!answer_fits(request, frame.body)) return fail(Errc::malformed);
    return answer;
  }
  answer.text_ = errc_text(answer.error_);
  const bool explained =
      (frame.header.opcode & ~wire::kReplyBit) == static_cast<uint8_t>(Opcode::error);
  if (explained) {
    if (frame.body.size() < sizeof(wire::ErrorBody)) return fail(Errc::malformed);
    const auto error = take<wire::ErrorBody>(frame.body.data());
    if (error.text_bytes > frame.body.size() - sizeof error) return fail(Errc::malformed);
    answer.entry_index_ = error.entry_index;
    if (error.text_bytes > 0)
      answer.text_ = as_text(frame.body.subspan(sizeof error, error.text_bytes));
  }
  return answer;
}

Answer Answer::failed(Opcode request, uint64_t correlation, Errc error, std::string_view text) {
  Answer answer;
  answer.opcode_ = request;
  answer.correlation_ = correlation;
  answer.error_ = error;
  answer.text_ = text;
  return answer;
}

Receipt Messages::receipt(uint32_t index) const {
  MR_ASSERT(index < size());
  return take<Receipt>(delivery_.data() + sizeof(wire::DeliveryHeader) +
                       index * sizeof(wire::DeliveryEntry));
}

ReceivedMessage Messages::operator[](uint32_t index) const {
  const uint32_t count = size();
  MR_ASSERT(index < count);
  const std::byte* entries = delivery_.data() + sizeof(wire::DeliveryHeader);
  const auto entry = take<wire::DeliveryEntry>(entries + index * sizeof(wire::DeliveryEntry));
  const std::byte* message = entries + count * sizeof(wire::DeliveryEntry) + entry.run_offset;
  const auto header = take<MessageHeader>(message);
  const std::byte* properties = message + sizeof header;
  return {entry.receipt,
          TimeMs{entry.sent_at_ms},
          entry.receive_count,
          {properties, header.properties_bytes},
          {properties + header.properties_bytes, header.body_bytes}};
}

QueueId Answer::queue() const {
  return QueueId{take<wire::QueueRef>(body_.data()).queue_id};
}

wire::SendAnswer Answer::sent() const {
  return take<wire::SendAnswer>(body_.data());
}

uint32_t Answer::results_size() const {
  return take<wire::ResultsAnswer>(body_.data()).count;
}

uint32_t Answer::results_failed() const {
  return take<wire::ResultsAnswer>(body_.data()).failed;
}

Errc Answer::result(uint32_t index) const {
  MR_ASSERT(index < results_size());
  if (results_failed() == 0) return Errc::ok;
  return static_cast<Errc>(take<uint16_t>(body_.data() + sizeof(wire::ResultsAnswer) + index * 2));
}

uint32_t Answer::peeked_size() const {
  return take<wire::CountBody>(body_.data()).count;
}

PeekedBody Answer::peeked(uint32_t index) const {
  const uint32_t count = peeked_size();
  MR_ASSERT(index < count);
  const std::byte* items = body_.data() + kCount;
  const auto item = take<wire::PeekItem>(items + index * sizeof(wire::PeekItem));
  const std::byte* message = items + count * sizeof(wire::PeekItem) + item.run_offset;
  const auto header = take<MessageHeader>(message);
  const std::byte* properties = message + sizeof header;
  return {item,
          {properties, header.properties_bytes},
          {properties + header.properties_bytes, header.body_bytes}};
}

std::vector<QueueInfo> Answer::queues() const {
  std::vector<QueueInfo> queues;
  walk_queues(body_, [&](const wire::QueueItem& item, std::string_view name) {
    queues.push_back(to_queue_info(item, name));
  });
  return queues;
}

std::span<const wire::ShardItem> Answer::shards() const {
  return {reinterpret_cast<const wire::ShardItem*>(body_.data() + kCount),
          take<wire::CountBody>(body_.data()).count};
}

}  // namespace millrace::client

#include "engine/record_check.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/each_bit.h"
#include "engine/limits.h"
#include "millrace/engine.h"
#include "millrace/publish.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kShort = "it is too short for its kind";
constexpr std::string_view kLength = "its length is not what it holds";
constexpr std::string_view kSlot = "it names a slot that is never given out";
constexpr std::string_view kTime = "it names a time that never comes";
constexpr std::string_view kNumber = "its number is none";
constexpr std::string_view kMessage = "a message in it does not lie where it says";

bool are_slots(uint64_t first, uint64_t count) {
  return first < kSlotsEnd && count <= kSlotsEnd - first;
}
bool is_time(int64_t ms) {
  return ms >= 0 && ms < kRecordTimeMsMax;
}
bool is_id_of_catalog(uint32_t id) {
  return id != 0 && id <= kQueueIdMax;
}

// `count` messages from `at` to the body's end, with their own offsets right.
std::string_view wrong_messages(Bytes body, uint64_t at, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    if (body.size() - at < sizeof(MessageHeader)) return kLength;
    const auto header = read_at<MessageHeader>(body, at);
    if (message_stride(header) > body.size() - at) return kLength;
    if (header.record_offset != at) return kMessage;
    at += message_stride(header);
  }
  return at == body.size() ? std::string_view() : kLength;
}

// All there are from `at` to the body's end, and how many.
std::string_view wrong_messages(Bytes body, uint64_t at, uint64_t* count) {
  for (uint64_t next = at; next < body.size(); ++*count) {
    if (body.size() - next < sizeof(MessageHeader)) return kLength;
    const uint64_t stride = message_stride(read_at<MessageHeader>(body, next));
    if (stride > body.size() - next) return kLength;
    next += stride;
  }
  return wrong_messages(body, at, *count);
}

template <class Item, class Head, class Wrong>
std::string_view wrong_items(Bytes body, uint64_t count, Wrong&& wrong) {
  if (body.size() - sizeof(Head) != count * sizeof(Item)) return kLength;
  for (const Item& item : items_after<Item, Head>(body, static_cast<uint32_t>(count)))
    if (const std::string_view found = wrong(item); !found.empty()) return found;
  return {};
}

std::string_view wrong_run(const SlotRun& run) {
  return run.count > 0 && are_slots(run.first_slot, run.count) ? std::string_view() : kSlot;
}

std::string_view wrong_body(const EnqueueHead& head, Bytes body) {
  if (!are_slots(head.first_slot, head.count)) return kSlot;
  if (!is_time(head.sent_at_ms)) return kTime;
  return wrong_messages(body, sizeof head, uint64_t{head.count});
}

std::string_view wrong_body(const LeaseHead& head, Bytes body) {
  if (!is_time(head.leased_at_ms)) return kTime;
  return wrong_items<SlotRun, LeaseHead>(body, head.run_count, wrong_run);
}

std::string_view wrong_body(const ExtendHead& head, Bytes body) {
  if (!is_time(head.at_ms)) return kTime;
  return wrong_items<ExtendMark, ExtendHead>(body, head.count, [](const ExtendMark& mark) {
    return are_slots(mark.slot, 1) ? std::string_view() : kSlot;
  });
}

std::string_view wrong_body(const AckHead& head, Bytes body) {
  return wrong_items<SlotRun, AckHead>(body, head.run_count, wrong_run);
}

std::string_view wrong_body(const CarryHead& head, Bytes body) {
  uint64_t count = 0;
  if (const std::string_view wrong = wrong_messages(body, sizeof head, &count); !wrong.empty())
    return wrong;
  if (!are_slots(head.slot, count)) return kSlot;
  if (!is_time(head.sent_at_ms) || !is_time(head.due_ms)) return kTime;
  if (head.state > static_cast<uint8_t>(MessageState::leased)) return "its state is none";
  return {};
}

std::string_view wrong_body(const DeadLetterHead& head, Bytes body) {
  if (!are_slots(head.slot, 1) || !are_slots(head.source_slot, 1)) return kSlot;
  if (!is_time(head.sent_at_ms) || !is_time(head.first_received_at_ms)) return kTime;
  return wrong_messages(body, sizeof head, uint64_t{1});
}

std::string_view wrong_body(const MoveHead& head, Bytes body) {
  const uint64_t runs = uint64_t{head.run_count} * sizeof(SlotRun);
  if (body.size() - sizeof head < runs) return kLength;
  if (!are_slots(head.first_slot, head.count)) return kSlot;
  if (!is_time(head.sent_at_ms)) return kTime;
  uint64_t slots = 0;
  for (const SlotRun& run : items_after<SlotRun, MoveHead>(body, head.run_count)) {
    if (const std::string_view wrong = wrong_run(run); !wrong.empty()) return wrong;
    slots += run.count;
  }
  if (slots != head.count) return kLength;
  return wrong_messages(body, sizeof head + runs, uint64_t{head.count});
}

// A SharedHead and a message each, `count` of them from `at` to the body's end; `references` says
// how many the i-th has.
template <class References>
std::string_view wrong_shared(Bytes body, uint64_t at, uint64_t count, References&& references) {
  for (uint64_t i = 0; i < count; ++i) {
    if (body.size() - at < sizeof(SharedHead) + sizeof(MessageHeader)) return kLength;
    const auto shared = read_at<SharedHead>(body, at);
    at += sizeof shared;
    const auto header = read_at<MessageHeader>(body, at);
    if (message_stride(header) > body.size() - at) return kLength;
    if (header.record_offset != (at | kSharedMessage)) return kMessage;
    if (header.delay_ms != 0) return "a message in it has a delay of its own";
    if (shared.references != references(i))
      return "a message in it is in more or fewer queues than it says";
    if (shared.stamp_at != 0 && shared.stamp_at + uint64_t{kUuidTextBytes} > header.body_bytes)
      return "a message in it ends before its stamp";
    at += message_stride(header);
  }
  return at == body.size() ? std::string_view() : kLength;
}

// By queue, and the slots of one queue rising.
template <class Entry>
bool are_in_order(std::span<const Entry> entries, uint64_t Entry::*slot) {
  for (size_t i = 1; i < entries.size(); ++i)
    if (std::pair(entries[i - 1].queue_id, entries[i - 1].*slot) >=
        std::pair(entries[i].queue_id, entries[i].*slot))
      return false;
  return true;
}

std::string_view wrong_body(const PublishHead& head, Bytes body) {
  if (!is_time(head.sent_at_ms)) return kTime;
  const uint64_t table = uint64_t{head.target_count} * sizeof(PublishTarget);
  if (body.size() - sizeof head < table) return kLength;
  if (head.target_count == 0 || head.message_count == 0 || head.message_count > kSharedMessagesMax)
    return "it has no messages, or too many";
  const auto targets = items_after<PublishTarget, PublishHead>(body, head.target_count);
  const uint64_t all = ~uint64_t{0} >> (kSharedMessagesMax - head.message_count);
  std::array<uint32_t, kSharedMessagesMax> references{};
  for (const PublishTarget& target : targets) {
    if (target.messages == 0 || (target.messages & ~all) != 0)
      return "a queue gets a message that it does not have";
    if (!are_slots(target.first_slot, slots_of(target))) return kSlot;
    if (target.delay_ms > kDelayMsMax) return "a queue has a delay that none can have";
    base::each_bit(target.messages, [&](size_t i) { ++references[i]; });
  }
  if (!are_in_order(targets, &PublishTarget::first_slot)) return "its queues are in no order";
  return wrong_shared(body, sizeof head + table, head.message_count,
                      [&](uint64_t i) { return references[i]; });
}

std::string_view wrong_body(const CarrySharedHead& head, Bytes body) {
  if (!is_time(head.sent_at_ms)) return kTime;
  const uint64_t table = uint64_t{head.reference_count} * sizeof(SharedReference);
  if (body.size() - sizeof head < table) return kLength;
  const auto references = items_after<SharedReference, CarrySharedHead>(body, head.reference_count);
  for (const SharedReference& reference : references) {
    if (!are_slots(reference.slot, 1)) return kSlot;
    if (!is_time(reference.due_ms)) return kTime;
    if (reference.state > static_cast<uint8_t>(MessageState::leased)) return "its state is none";
  }
  if (!are_in_order(references, &SharedReference::slot)) return "its queues are in no order";
  return wrong_shared(body, sizeof head + table, 1, [&](uint64_t) { return head.reference_count; });
}

bool are_all_slots(Bytes body, uint64_t at, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i)
    if (!are_slots(read_at<uint64_t>(body, at + i * sizeof(uint64_t)), 1)) return false;
  return true;
}

std::string_view wrong_body(const MoveInHead& head, Bytes body) {
  const uint64_t ids = uint64_t{head.count} * sizeof(uint64_t);
  if (body.size() - sizeof head < ids) return kLength;
  if (!are_slots(head.first_slot, head.count) || !are_all_slots(body, sizeof head, head.count))
    return kSlot;
  if (!is_time(head.sent_at_ms)) return kTime;
  return wrong_messages(body, sizeof head + ids, uint64_t{head.count});
}

std::string_view wrong_body(const MoveIdsHead& head, Bytes body) {
  const uint64_t ids = body.size() - sizeof head;
  if (ids % sizeof(uint64_t) != 0) return kLength;
  return are_all_slots(body, sizeof head, ids / sizeof(uint64_t)) ? std::string_view() : kSlot;
}

std::string_view wrong_body(const DedupHead& head, Bytes body) {
  return wrong_items<DedupMark, DedupHead>(body, head.count, [](const DedupMark& mark) {
    if (!are_slots(mark.slot, 1)) return kSlot;
    return is_time(mark.at_ms) ? std::string_view() : kTime;
  });
}

std::string_view wrong_slot_ends(Bytes body, bool one) {
  if (body.size() % sizeof(SlotEnd) != 0 || (one && body.size() != sizeof(SlotEnd))) return kLength;
  for (size_t at = 0; at < body.size(); at += sizeof(SlotEnd))
    if (read_at<SlotEnd>(body, at).slot_end > kSlotsEnd) return kSlot;
  return {};
}

template <class Head>
std::string_view wrong_with_body(Bytes body) {
  const auto head = read_head<Head>(body);
  return head ? wrong_body(*head, body) : kShort;
}

}  // namespace

std::string_view wrong_with(const storage::Record& record) {
  const Bytes body = record.body;
  switch (static_cast<RecordKind>(record.kind)) {
    case RecordKind::enqueue:
      return wrong_with_body<EnqueueHead>(body);
    case RecordKind::lease:
      return wrong_with_body<LeaseHead>(body);
    case RecordKind::extend:
      return wrong_with_body<ExtendHead>(body);
    case RecordKind::ack:
    case RecordKind::expire:
      return wrong_with_body<AckHead>(body);
    case RecordKind::dead_letter:
      return wrong_with_body<DeadLetterHead>(body);
    case RecordKind::carry:
      return wrong_with_body<CarryHead>(body);
    case RecordKind::purge:
      return wrong_slot_ends(body, true);
    case RecordKind::slot_end:
      return wrong_slot_ends(body, false);
    case RecordKind::dedup:
      return wrong_with_body<DedupHead>(body);
    case RecordKind::move:
      return wrong_with_body<MoveHead>(body);
    case RecordKind::move_in:
      return wrong_with_body<MoveInHead>(body);
    case RecordKind::move_ids:
      return wrong_with_body<MoveIdsHead>(body);
    case RecordKind::publish:
      return wrong_with_body<PublishHead>(body);
    case RecordKind::carry_shared:
      return wrong_with_body<CarrySharedHead>(body);
    case RecordKind::queue_put:
    case RecordKind::queue_delete:
    case RecordKind::meta:
    case RecordKind::move_task:
    case RecordKind::topic_put:
    case RecordKind::topic_delete:
    case RecordKind::subscription_put:
    case RecordKind::subscription_delete:
      return "it belongs into the catalog";
  }
  return "its kind is not known to this version";
}

std::string_view wrong_with(const QueueDefinition& queue) {
  if (!is_id_of_catalog(queue.queue_id)) return kNumber;
  if (!is_time(queue.created_at_ms)) return kTime;
  const bool fifo = (queue.flags & kQueueFifo) != 0;
  if ((fifo && queue.partitions == 0) ||
      uint32_t{queue.first_shard} + queue.partitions > kShardsMax)
    return "the shards that it is to live on are none";
  return {};
}

std::string_view wrong_with(const TopicDefinition& topic) {
  if (!is_id_of_catalog(topic.topic_id)) return kNumber;
  if (!is_time(topic.created_at_ms)) return kTime;
  if (topic.home >= kShardsMax) return "the shard that is to publish it is none";
  return {};
}

std::string_view wrong_with(const SubscriptionDefinition& subscription) {
  if (!is_id_of_catalog(subscription.subscription_id) || !is_id_of_catalog(subscription.topic_id))
    return kNumber;
  if (!is_time(subscription.created_at_ms)) return kTime;
  return {};
}

std::string_view wrong_with(const CatalogMeta& meta) {
  if (meta.next_queue_id > kQueueIdMax + 1) return "the next queue's number is none";
  if (meta.shard_count > kShardsMax) return "the number of shards is none";
  return {};
}

}  // namespace millrace::engine

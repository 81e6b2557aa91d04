// Dead letters: the part of ShardState that takes messages which were received too often from their
// queue to its dead-letter queue, when a receive would deliver them once more.
//
// Both queues have a part on every shard, so a message stays on its shard and one record does both:
// it is gone here and there there, or neither. The record holds the message again, with the
// property `moved`, so that the segment it came in is not kept for it. That goes for FIFO queues
// too: the part of a dead-letter queue that takes a group's messages is where the group lives, and
// gets them in the order they had. Receives ask all shards that may have something, as ever.
//
// What can't be moved - no such queue (queue_rules.h), no room for the record - is delivered as if
// there were no limit: a message is never lost and never stuck.
#include <algorithm>
#include <optional>

#include "base/crash_point.h"
#include "base/planted.h"
#include "engine/message_names.h"
#include "engine/shard_state.h"
#include "millrace/properties.h"

namespace millrace::engine {
namespace {}  // namespace

// Fills runs_ with what may be delivered. What stands before it and was received too often is
// moved, what is too old goes.
uint32_t ShardState::choose(Partition& partition, uint32_t messages_max, uint32_t bytes_max,
                            TimeMs now) {
  const QueueRules& rules = partition.rules();
  const SlotIndex& index = partition.index();
  Partition* target = rules.receives_max == 0 ? nullptr : find(rules.dead_letters);
  const TimeMs horizon = horizon_of(partition, now);
  const bool some_are_over = partition.oldest_sent_at() <= horizon;
  const auto none_left = [&] { return moves_left_.messages == 0 || moves_left_.bytes == 0; };
  for (;;) {
    runs_.clear();
    const uint32_t chosen = partition.choose(log_, messages_max, bytes_max, &runs_);
    if (target == nullptr && !some_are_over) return chosen;
    slots_.clear();
    doomed_.clear();
    std::optional<uint64_t> first;
    for (const SlotRun& run : runs_)
      for (uint64_t slot = run.first_slot; slot < run.first_slot + run.count; ++slot) {
        if (some_are_over && is_over(partition, Slot{slot}, horizon))
          slots_.push_back(slot);
        else if (target != nullptr && index.receive_count(Slot{slot}) >= rules.receives_max)
          doomed_.push_back(slot);
        else
          continue;
        if (!first) first = slot;
      }
    if (!first) return chosen;
    if (none_left()) {
      stopped_short_ = true;
      return choose_before(*first);
    }
    if (!slots_.empty()) {
      const auto gone = static_cast<uint32_t>(slots_.size());
      if (!append_expired(partition)) return choose_before(*first);
      moves_left_.messages -= std::min(moves_left_.messages, gone);
    }
    for (size_t i = 0; i < doomed_.size() && target != nullptr && !none_left(); ++i)
      if (!move(partition, Slot{doomed_[i]}, *target, now)) target = nullptr;
  }
}

// Shortens runs_ to what stands before `slot`, which is one of them; returns the messages left.
uint32_t ShardState::choose_before(uint64_t slot) {
  uint32_t messages = 0;
  for (size_t i = 0;; ++i) {
    SlotRun& run = runs_[i];
    if (slot >= run.first_slot && slot < run.first_slot + run.count) {
      run.count = static_cast<uint32_t>(slot - run.first_slot);
      messages += run.count;
      runs_.resize(run.count > 0 ? i + 1 : i);
      return messages;
    }
    messages += run.count;
  }
}

Status ShardState::move(Partition& source, Slot slot, Partition& target, TimeMs now) {
  const auto message = verified_message(source.index().position(slot));
  if (!message) return fail(Errc::shard_fenced);
  const Bytes properties = message->content().first(message->header.properties_bytes);
  const Bytes body =
      message->content().subspan(message->header.properties_bytes, message->header.body_bytes);
  // It stays what its first send made it.
  MovedFrom moved =
      find_moved(properties)
          .value_or(MovedFrom{pack_shard_slot(shard_, slot), raw(source.queue()), 0, 0});
  moved.source_queue = raw(source.queue());
  moved.moved_at_ms = now.value;
  properties_that_move(properties, &moved_properties_);
  append_property(moved_properties_, PropertyTag::moved, std::as_bytes(std::span(&moved, 1)));

  const ReceivedTimes received = source.index().received(slot);
  const TimeMs first_received_at = message->sent_at() + received.first_ms;
  const TimeMs last_received_at = message->sent_at() + received.last_ms;
  const TimeMs sent_at = target.kind().fifo ? now : message->sent_at();
  const DeadLetterHead head{raw(target.queue()),
                            source.index().receive_count(slot),
                            raw(target.slot_end()),
                            sent_at.value,
                            raw(slot),
                            raw(source.queue()),
                            ms_after(sent_at, last_received_at),
                            first_received_at.value};
  MessageHeader header = message->header;
  header.properties_bytes = static_cast<uint32_t>(moved_properties_.size());
  header.delay_ms = 0;
  header.record_offset = sizeof head;
  moved_message_.clear();
  for (const Bytes part : {bytes_of(header), as_bytes(moved_properties_), body})
    moved_message_.insert(moved_message_.end(), part.begin(), part.end());
  moved_message_.resize(message_stride(header));
  if (message->published())
    put_stamp(stamp_of(source.queue(), slot, *message), moved_message_.data());
  // Only in the smallest of segments.
  if (sizeof head + moved_message_.size() > log_.body_bytes_max())
    return fail(Errc::batch_too_large);
  const auto position = append(RecordKind::dead_letter, bytes_of(head), moved_message_);
  if (!position) return fail(position.error());
  base::crash_here("dead-letter-appended");
  apply_dead_letter(head, moved_message_, *position);
  ++source.tally.dead_lettered;
  moves_left_.messages -= 1;
  moves_left_.bytes -= std::min<uint64_t>(moves_left_.bytes, moved_message_.size());
  become_visible(target, last_end_, true);
  retention_due_ = std::min(retention_due_, TimeMs{head.sent_at_ms} + target.rules().retention_ms);
  moved_through_ = last_end_;
  return {};
}

void ShardState::apply_dead_letter(const DeadLetterHead& head, Bytes message, Position record) {
  // Either queue may have been deleted since.
  Partition* source = find(QueueId{head.source_queue_id});
  if (!recovered_ && base::planted(base::Bug::dead_letter_left_behind)) source = nullptr;
  if (source != nullptr) {
    const SlotRun gone{head.source_slot, 1, 0};
    source->apply_ack(context(), {&gone, 1});
  }
  if (Partition* target = find(QueueId{head.queue_id})) {
    target->apply_arrival(context(), head, message.data(),
                          record + sizeof(storage::RecordHeader) + sizeof head);
    told(*target, record);
  }
}

}  // namespace millrace::engine

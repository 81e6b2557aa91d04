// Moves: the part of ShardState that takes messages for a move task out of a dead-letter queue.
//
// Both queues have a part on every shard, so a message stays on its shard and one record does both:
// it is gone here and there there, or neither. A record holds a run of consecutive candidates, so
// that unlimited tasks cost little more than sends; live path and replay apply it by the functions
// of an ack and of a send. In its new queue a message is new: slot, sending time and retention, no
// receives; it is ready at once, and has no deduplication id, so that the window of the new queue
// neither swallows nor remembers it.
//
// What was moved is shown when it is durable, whatever the durability: a power cut must not give
// back to the source what the destination has shown.
#include <algorithm>

#include "base/crash_point.h"
#include "base/planted.h"
#include "engine/message_names.h"
#include "engine/shard_state.h"
#include "millrace/properties.h"
#include "storage/format.h"

namespace millrace::engine {
ShardState::Moved ShardState::move_ready(Partition& source, const MoveWish& wish, TimeMs now) {
  Moved moved;
  const TimeMs horizon = horizon_of(source, now);
  const bool some_are_over = source.oldest_sent_at() <= horizon;
  runs_.clear();
  slots_.clear();
  moved_runs_.clear();
  moved_message_.clear();
  moving_ = 0;
  hiding_.clear();
  (void)source.choose_oldest(log_, wish.messages_max, wish.bytes_max, &runs_);
  moved.none_left = true;
  for (size_t i = 0; i < runs_.size() && moved.error == Errc::ok; ++i) {
    const uint64_t end = runs_[i].first_slot + runs_[i].count;
    for (uint64_t slot = runs_[i].first_slot; slot < std::min(end, raw(wish.end)); ++slot) {
      if (some_are_over && is_over(source, Slot{slot}, horizon)) {
        slots_.push_back(slot);
        continue;
      }
      moved.error = gather_move(source, Slot{slot}, wish, now, &moved);
      if (moved.error != Errc::ok) break;
    }
  }
  // It came later than was wished, and so did all behind it.
  if (moved.error == Errc::canceled) moved.error = Errc::ok;
  moved.none_left =
      moved.error == Errc::ok && moved.messages + moving_ == 0 && hiding_.empty() && slots_.empty();
  if (const Errc error = append_moved(source, now, &moved); error != Errc::ok) moved.error = error;
  if (!hiding_.empty()) {
    std::sort(hiding_.begin(), hiding_.end());
    if (const Errc error = hide(source, hiding_, now); error != Errc::ok)
      moved.error = error;
    else
      moved.hidden = hiding_;
  }
  if (!slots_.empty() && !append_expired(source)) moved.error = Errc::disk_full;
  return moved;
}

// Adds the message to those that will be one record, which is appended first if it has no place for
// it. Error canceled: it came too late.
Errc ShardState::gather_move(Partition& source, Slot slot, const MoveWish& wish, TimeMs now,
                             Moved* moved) {
  const auto message = verified_message(source.index().position(slot));
  if (!message) return Errc::shard_fenced;
  const Bytes properties = message->content().first(message->header.properties_bytes);
  const auto from = find_moved(properties);
  if ((from ? TimeMs{from->moved_at_ms} : message->sent_at()) > wish.arrived_by)
    return Errc::canceled;
  QueueId destination = wish.destination;
  if (destination == QueueId{}) {
    if (!from) return Errc::not_found;
    destination = QueueId{from->source_queue};
  }
  if (find(destination) == nullptr) return Errc::queue_not_found;
  // It gets no longer: what stays behind of the properties is more than what is added.
  static_assert(sizeof(MoveHead) + sizeof(SlotRun) >= sizeof(MoveInHead) + sizeof(uint64_t));
  if (sizeof(MoveHead) + sizeof(SlotRun) + message_stride(message->header) > log_.body_bytes_max())
    return Errc::batch_too_large;
  if (wish.home != nullptr && (*wish.home)(properties) != shard_) {
    hiding_.push_back(raw(slot));
    return Errc::ok;
  }
  if (moving_ > 0 && (destination != moving_to_ ||
                      moved_message_.size() + message_stride(message->header) > kMovedRunBytesMax))
    if (const Errc error = append_moved(source, now, moved); error != Errc::ok) return error;
  moving_to_ = destination;
  ++moving_;
  push_run(&moved_runs_, 0, slot, 1);
  append_moved_message(source, slot, *message, &moved_message_);
  return Errc::ok;
}

// As it will be in its new queue.
void ShardState::append_moved_message(const Partition& source, Slot slot,
                                      const StoredMessage& message, std::vector<std::byte>* run) {
  const uint32_t properties_bytes = message.header.properties_bytes;
  properties_that_move(message.content().first(properties_bytes), &moved_properties_);
  MessageHeader header = message.header;
  header.properties_bytes = static_cast<uint32_t>(moved_properties_.size());
  header.delay_ms = 0;
  const size_t begin = run->size();
  run->resize(begin + message_stride(header));
  std::byte* to = run->data() + begin;
  std::memcpy(to, &header, sizeof header);
  std::memcpy(to + sizeof header, moved_properties_.data(), moved_properties_.size());
  if (header.body_bytes > 0)
    std::memcpy(to + sizeof header + moved_properties_.size(),
                message.content().data() + properties_bytes, header.body_bytes);
  if (message.published()) put_stamp(stamp_of(source.queue(), slot, message), to);
}

// What was gathered, as one record.
Errc ShardState::append_moved(Partition& source, TimeMs now, Moved* moved) {
  if (moving_ == 0) return Errc::ok;
  Partition& target = *find(moving_to_);
  const MoveHead head{raw(moving_to_),        moving_,
                      raw(target.slot_end()), now.value,
                      raw(source.queue()),    static_cast<uint32_t>(moved_runs_.size())};
  const Bytes runs = bytes_of(std::span<const SlotRun>(moved_runs_));
  const auto record = begin_moved(RecordKind::move, storage::Space::moves, bytes_of(head), runs,
                                  moved_message_, moving_ * kCarriedAloneBytes);
  if (!record) return record.error();
  apply_move(head, record->body.subspan(sizeof head), record->position);
  log_.seal_record();
  base::crash_here("move-appended");
  moved_through_ = last_end_;
  become_visible(target, last_end_, true);
  moved->messages += moving_;
  moved->bytes += moved_message_.size();
  moving_ = 0;
  moved_runs_.clear();
  moved_message_.clear();
  return Errc::ok;
}

// Begins a record of moved messages behind a head and `items`; it is to be applied and sealed. Of
// its messages cleaning may have to carry each alone, which takes `alone` bytes in all.
Result<ShardState::BegunRecord> ShardState::begin_moved(RecordKind kind, storage::Space space,
                                                        Bytes head, Bytes items, Bytes run,
                                                        uint64_t alone) {
  const uint64_t before_messages = head.size() + items.size();
  const uint64_t body_bytes = before_messages + run.size();
  const uint64_t together = sizeof(storage::RecordHeader) + before_messages;
  std::byte* body = nullptr;
  const auto position =
      log_.begin_record(raw(kind), body_bytes, space, &body, alone - std::min(alone, together));
  if (!position) return fail(position.error());
  std::memcpy(body, head.data(), head.size());
  std::memcpy(body + head.size(), items.data(), items.size());
  std::memcpy(body + before_messages, run.data(), run.size());
  for (size_t offset = before_messages; offset < body_bytes;) {
    auto& header = *reinterpret_cast<MessageHeader*>(body + offset);
    header.record_offset = static_cast<uint32_t>(offset);
    offset += message_stride(header);
  }
  last_end_ = *position + storage::record_stride(body_bytes);
  return BegunRecord{*position, {body, body_bytes}};
}

void ShardState::apply_move(const MoveHead& head, Bytes runs_and_messages, Position record) {
  const uint64_t runs_bytes = uint64_t{head.run_count} * sizeof(SlotRun);
  if (runs_and_messages.size() < runs_bytes) return;
  const std::span<const SlotRun> runs(reinterpret_cast<const SlotRun*>(runs_and_messages.data()),
                                      head.run_count);
  // Either queue may have been deleted since.
  Partition* source = find(QueueId{head.source_queue_id});
  if (!recovered_ && base::planted(base::Bug::redriven_left_behind)) source = nullptr;
  if (source != nullptr) source->apply_ack(context(), runs);
  if (Partition* target = find(QueueId{head.queue_id})) {
    const EnqueueHead as_sent{head.queue_id, head.count, head.first_slot, head.sent_at_ms, 0};
    target->apply_enqueue(context(), as_sent, runs_and_messages.subspan(runs_bytes),
                          record + sizeof(storage::RecordHeader) + sizeof head + runs_bytes);
    told(*target, record);
  }
}

}  // namespace millrace::engine

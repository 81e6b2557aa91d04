// Moves across shards: the part of ShardState for a move task whose destination keeps the message's
// group on another shard. The message goes from log to log in steps, each durable before the next:
//
//   0  source: a lease of 49 days, longer than any message is kept: nobody else gets it here
//   1  destination: a move_in record with the message and the id of where it was; shown from now on
//   2  source: an ack of it
//   3  destination: the id is forgotten
//
// The source asks again for what is leased that long and not acknowledged; the destination answers
// yes to what it knows, and stores what it does not. docs/ARCHITECTURE.md has the argument.
#include <algorithm>

#include "base/crash_point.h"
#include "engine/message_names.h"
#include "engine/shard_state.h"
#include "storage/format.h"

namespace millrace::engine {
namespace {

// Past what can be asked for, and past the time any message is kept.
constexpr uint32_t kHiddenMs = UINT32_MAX;
constexpr int64_t kHiddenAtLeastMs = int64_t{kHiddenMs} - int64_t{kRetentionMsMax} - 1;
static_assert(kHiddenAtLeastMs > kLeaseMsMax);

}  // namespace

// Those in `slots`, which are ready.
Errc ShardState::hide(Partition& source, std::span<const uint64_t> slots, TimeMs now) {
  runs_of(slots, &expired_runs_);
  const LeaseHead head{raw(source.queue()), static_cast<uint32_t>(expired_runs_.size()), now.value,
                       kHiddenMs, 0};
  const auto position =
      append(RecordKind::lease, bytes_of(head), bytes_of(std::span<const SlotRun>(expired_runs_)));
  if (!position) return position.error();
  source.apply_lease(context(), head, expired_runs_, kMoveTaskHolder);
  base::crash_here("move-across-hidden");
  moved_through_ = last_end_;
  return Errc::ok;
}

std::vector<uint64_t> ShardState::hidden(const Partition& source, TimeMs now) const {
  std::vector<uint64_t> slots;
  source.index().for_each_live([&](Slot slot) {
    const auto status = source.status(slot, timers_);
    if (status.state == MessageState::leased && status.due > now + kHiddenAtLeastMs)
      slots.push_back(raw(slot));
  });
  return slots;
}

Errc ShardState::show_again(Partition& source, std::span<const uint64_t> slots, TimeMs now) {
  marks_.clear();
  for (const uint64_t slot : slots)
    marks_.push_back(
        {slot, source.index().live(Slot{slot}) ? source.index().receive_count(Slot{slot}) : 0, 0});
  const auto end = append_extend(source, now);
  return end ? Errc::ok : end.error();
}

Errc ShardState::let_go(Partition& source, std::span<const uint64_t> slots) {
  // The destination says that it has them for good.
  base::crash_here("move-across-not-let-go");
  if (const Status status = append_gone(RecordKind::ack, source, slots); !status)
    return status.error();
  moved_through_ = last_end_;
  return Errc::ok;
}

// The message as it will be in its new queue, for another shard's log.
Errc ShardState::copy_out(const Partition& source, Slot slot, std::vector<std::byte>* run) {
  const auto message = verified_message(source.index().position(slot));
  if (!message) return Errc::shard_fenced;
  append_moved_message(source, slot, *message, run);
  return Errc::ok;
}

Errc ShardState::take_in(Partition& target, MoveOrigin origin, std::span<const uint64_t> slots,
                         Bytes run, TimeMs now) {
  const MoveInHead head{raw(target.queue()),
                        static_cast<uint32_t>(slots.size()),
                        raw(target.slot_end()),
                        now.value,
                        raw(origin.queue),
                        raw(origin.shard),
                        0};
  const Bytes ids = std::as_bytes(slots);
  if (sizeof head + ids.size() + run.size() > log_.body_bytes_max()) return Errc::batch_too_large;
  const auto record = begin_moved(RecordKind::move_in, storage::Space::grows, bytes_of(head), ids,
                                  run, slots.size() * (kCarriedAloneBytes + MoveIds::kLiveBytes));
  if (!record) return record.error();
  apply_move_in(head, record->body.subspan(sizeof head), record->position);
  log_.seal_record();
  base::crash_here("move-across-taken-in");
  become_visible(target, last_end_, true);
  return Errc::ok;
}

void ShardState::apply_move_in(const MoveInHead& head, Bytes ids_and_messages, Position record) {
  const uint64_t ids_bytes = uint64_t{head.count} * sizeof(uint64_t);
  if (ids_and_messages.size() < ids_bytes) return;
  const MoveOrigin origin{QueueId{head.source_queue_id}, ShardId{head.source_shard}};
  // Also if the queue was deleted since: what was shown must not be shown again at its source.
  if (find(origin.queue) != nullptr)
    for (uint32_t i = 0; i < head.count; ++i)
      move_ids_.put(log_, origin, read_at<uint64_t>(ids_and_messages, i * sizeof(uint64_t)),
                    record);
  if (Partition* target = find(QueueId{head.queue_id})) {
    const EnqueueHead as_sent{head.queue_id, head.count, head.first_slot, head.sent_at_ms, 0};
    target->apply_enqueue(context(), as_sent, ids_and_messages.subspan(ids_bytes),
                          record + sizeof(storage::RecordHeader) + sizeof head + ids_bytes);
    told(*target, record);
  }
}

// --- ids ---

Errc ShardState::append_move_ids(MoveOrigin origin, std::span<const uint64_t> slots, bool over) {
  if (slots.empty()) return Errc::ok;
  const MoveIdsHead head{raw(origin.queue), raw(origin.shard), over ? uint8_t{1} : uint8_t{0}, 0};
  const auto position = append(RecordKind::move_ids, bytes_of(head), std::as_bytes(slots));
  if (!position) return position.error();
  apply_move_ids(head, slots, *position);
  return Errc::ok;
}

void ShardState::apply_move_ids(const MoveIdsHead& head, std::span<const uint64_t> slots,
                                Position record) {
  const MoveOrigin origin{QueueId{head.queue_id}, ShardId{head.source_shard}};
  if (find(origin.queue) == nullptr) return;
  for (const uint64_t slot : slots)
    if (head.over != 0)
      move_ids_.erase(log_, origin, slot);
    else
      move_ids_.put(log_, origin, slot, record);
}

Errc ShardState::forget_moved_in(MoveOrigin origin, std::span<const uint64_t> slots) {
  base::crash_here("move-across-not-forgotten");
  std::vector<uint64_t> known;
  for (const uint64_t slot : slots)
    if (move_ids_.knows(origin, slot)) known.push_back(slot);
  return append_move_ids(origin, known, true);
}

Errc ShardState::forget_moved_in_but(MoveOrigin origin, std::span<const uint64_t> open) {
  auto others = move_ids_.slots(origin, [](Position) { return true; });
  std::erase_if(others, [&](uint64_t slot) {
    return std::find(open.begin(), open.end(), slot) != open.end();
  });
  return append_move_ids(origin, others, true);
}

Status ShardState::tell_move_ids(uint64_t cleaned_segment) {
  for (const MoveOrigin origin : move_ids_.origins()) {
    const auto slots = move_ids_.slots(
        origin, [&](Position told) { return log_.segment_of(told) <= cleaned_segment; });
    if (const Errc error = append_move_ids(origin, slots, false); error != Errc::ok)
      return fail(error);
  }
  return {};
}

}  // namespace millrace::engine

// Slot ends: the part of ShardState that sees to it that no slot is given out twice: how far each
// partition gave them out is told by its newest enqueue, and again where that record is to be freed
// or may have been lost.
#include <utility>

#include "base/planted.h"
#include "engine/limits.h"
#include "engine/record_check.h"
#include "engine/shard_state.h"

namespace millrace::engine {

Result<Position> ShardState::skip_lost_slots(uint64_t slots) {
  if (base::planted(base::Bug::sequence_reused)) return last_end_;
  auto next = partitions_.begin();
  while (next != partitions_.end()) {
    telling_.clear();
    for (; next != partitions_.end() && telling_.size() < kSlotEndsPerRecordMax; ++next) {
      Partition& partition = *next->second;
      if (raw(partition.slot_end()) + slots > kSlotsEnd) return fail(Errc::over_limit);
      partition.apply_slot_end(partition.slot_end() + slots);
      partition.set_visible_end(partition.slot_end());
      telling_.push_back(&partition);
    }
    if (const Status status = tell(telling_); !status) return fail(status.error());
  }
  return last_end_;
}

void ShardState::told(Partition& partition, Position position) {
  const Position before = std::exchange(partition.slot_end_told, position);
  if (before != Position{}) {
    if (log_.segment_of(before) == log_.segment_of(position)) return;
    log_.remove_live(before, sizeof(SlotEnd));
  }
  log_.add_live(position, sizeof(SlotEnd));
}

Status ShardState::tell(std::span<Partition* const> partitions) {
  slot_ends_.clear();
  for (const Partition* partition : partitions)
    slot_ends_.push_back({raw(partition->queue()), 0, raw(partition->slot_end())});
  const Bytes items = bytes_of(std::span<const SlotEnd>(slot_ends_));
  const auto position = append(RecordKind::slot_end, items, {});
  if (!position) return fail(position.error());
  for (Partition* partition : partitions)
    told(*partition, *position);
  return {};
}

Result<bool> ShardState::tell_slot_ends(uint64_t cleaned_segment) {
  telling_.clear();
  bool all = true;
  for (auto& [id, partition] : partitions_) {
    if (partition->slot_end_told == Position{} && raw(partition->slot_end()) == 0) continue;
    if (log_.segment_of(partition->slot_end_told) > cleaned_segment) continue;
    all = telling_.size() < kSlotEndsPerRecordMax;
    if (!all) break;
    telling_.push_back(partition.get());
  }
  if (telling_.empty()) return true;
  if (const Status status = tell(telling_); !status) return fail(status.error());
  return all;
}

}  // namespace millrace::engine

// Retention: the part of ShardState that takes away what is over: messages that are older than
// their queue keeps them, and deduplication ids.
//
// Sending times rise with the slots, so what is over lies at the front; a partition is looked at
// again when its oldest message is over, and until then messages cost nothing. Only a standard
// dead-letter queue, whose messages keep their first sending time, and a queue with a message that
// is delayed for longer than a queue can ask for, which counts as sent when that is over, have them
// in no order: these are swept once a minute while some are over. What is over and not gone yet is
// found when it is chosen (dead_letters.cc), so it is never delivered. A leased message goes too:
// its ack finds nothing, which is success. After a start with a clock far ahead nothing goes for a
// while, and all is delivered (promises a17).
#include <algorithm>

#include "engine/limits.h"
#include "engine/shard_state.h"

namespace millrace::engine {

TimeMs ShardState::horizon_of(const Partition& partition, TimeMs now) const {
  return retention_waits(now) ? TimeMs{-1} : TimeMs{now.value - partition.rules().retention_ms};
}

bool ShardState::is_over(const Partition& partition, Slot slot, TimeMs horizon) const {
  const auto message = message_at(log_, partition.index().position(slot));
  return message && message->kept_from() <= horizon;  // who leases it finds out if it can't be read
}

void ShardState::retention_changed(Partition& partition, TimeMs now) {
  // Without messages there is nothing to look at, and what comes is sent from now on.
  if (partition.index().live_count() == 0) partition.end_sweep(now);
  const TimeMs next = partition.oldest_sent_at() + partition.rules().retention_ms;
  retention_due_ = std::min(retention_due_, next);
}

// When it is to be looked at again.
TimeMs ShardState::expire_messages(Partition& partition, TimeMs now, bool* some) {
  const int64_t retention = partition.rules().retention_ms;
  const TimeMs horizon{now.value - retention};  // what was sent then or before is over
  if (partition.oldest_sent_at() > horizon) return partition.oldest_sent_at() + retention;
  const SlotIndex& index = partition.index();
  Partition::Sweep sweep = partition.sweep();
  if (sweep.next == Slot{0}) sweep.oldest = now;
  slots_.clear();
  uint32_t looked_at = 0;
  bool more = false;
  // Above the visible end they may not be written yet.
  auto slot = index.next_live(sweep.next);
  for (; slot && *slot < partition.visible_end(); slot = index.next_live(*slot + 1)) {
    sweep.next = *slot;
    more = looked_at++ == kRetentionSlotsPerTickMax;
    if (more) break;
    const auto message = message_at(log_, index.position(*slot));
    if (!message) {
      log_.fence_corrupt(index.position(*slot));
      return kNever;
    }
    if (message->kept_from() <= horizon) {
      slots_.push_back(raw(*slot));
      continue;
    }
    sweep.oldest = std::min(sweep.oldest, message->kept_from());
    if (partition.in_order()) break;
  }
  const bool invisible = slot && *slot >= partition.visible_end();
  *some = !slots_.empty();
  if (*some && !append_expired(partition)) return now + kRetentionStepMs;  // a full disk
  if (invisible) return now + kRetentionStepMs;
  if (more) {
    partition.set_sweep(sweep);
    return now;
  }
  partition.end_sweep(sweep.oldest);
  const TimeMs next = sweep.oldest + retention;
  return partition.in_order() ? next : std::max(next, now + kRetentionSweepMs);
}

// Those in slots_.
Status ShardState::append_expired(Partition& partition) {
  const uint64_t before = partition.index().live_count();
  if (const Status status = append_gone(RecordKind::expire, partition, slots_); !status)
    return status;
  partition.tally.aged_out += before - partition.index().live_count();
  return {};
}

void ShardState::expire_dedup(TimeMs now) {
  if (now < dedup_due_) return;
  dedup_due_ = kNever;
  for (auto& [id, partition] : partitions_) {
    if (partition->dedup().size() == 0) continue;
    const bool more = partition->expire_dedup(log_, now, kDedupIdsEndedPerTickMax);
    // Exact to a second: until an entry is forgotten it only keeps its segment.
    const TimeMs next = more ? now : std::max(partition->dedup().next_end(), now + kDedupStepMs);
    dedup_due_ = std::min(dedup_due_, next);
  }
}

}  // namespace millrace::engine

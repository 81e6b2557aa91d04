// SendGate: whether a shard takes sends now, apart from its disk.
//
// Refused are they with memory_full while the broker's memory budget is used up, and with throttled
// while the disk does not get on with a sync that answers wait for, or too many answers wait: who
// is told at once can try again later, who waits behind them gives up without knowing what became
// of the message. Nothing else is ever refused here: receives, acks and extends make it better.
//
// Threads: shard-local.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/limits.h"
#include "engine/memory_budget.h"
#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace::engine {

class SendGate {
 public:
  explicit SendGate(MemoryBudget& budget) : budget_(budget) {}

  // Once a turn, after the disk's completions: the time, how far the log is durable, and how many
  // answers wait in all and for a sync. What one turn can say is bounded: a process that was
  // stopped for a minute has not waited for its disk.
  void note_turn(int64_t now_ns, Position durable, size_t answers, size_t waiting_durable) {
    if (waiting_durable == 0 || durable != durable_)
      waited_ns_ = 0;
    else
      waited_ns_ += std::min(now_ns - turn_ns_, kTurnNsMax);
    turn_ns_ = now_ns;
    durable_ = durable;
    counted_since_ = false;
    behind_ = waited_ns_ >= kSyncWaitNsMax || answers >= kAnswersWaitingMax;
  }
  // True if count() is due: memory is counted now and then, more often if it is scarce.
  bool wants_count(TimeMs now) const { return budget_.exists() && now >= due_; }
  void count(ShardId shard, uint64_t bytes, TimeMs now) {
    counted_since_ = true;
    counted_ = bytes;
    budget_.note(shard, bytes);
    due_ = now + (budget_.ample() ? kMemoryCountMs : kScarceMemoryCountMs);
    full_ = budget_.full(full_);
  }
  // When a turn is wanted though nothing happens, kNever if not: what was freed since the last
  // count has to be known to the other shards.
  TimeMs next_deadline() const { return counted_since_ || budget_.ample() ? kNever : due_; }

  // ok, memory_full or throttled; `refused()` counts those that were not ok.
  Errc judge() {
    if (!full_ && !behind_) [[likely]]
      return Errc::ok;
    // Another shard may have freed much since this one last looked.
    if (full_) full_ = budget_.full(true);
    if (full_) {
      ++refused_.memory;
      return Errc::memory_full;
    }
    if (!behind_) return Errc::ok;
    ++refused_.behind;
    return Errc::throttled;
  }

  struct Refused {
    uint64_t memory = 0;
    uint64_t behind = 0;
  };
  const Refused& refused() const { return refused_; }
  bool memory_full() const { return full_ && budget_.full(true); }
  uint64_t memory_bytes() const { return counted_; }
  uint64_t memory_bytes_max() const { return budget_.bytes_max(); }

 private:
  static constexpr int64_t kTurnNsMax = 250'000'000;

  MemoryBudget& budget_;
  int64_t turn_ns_ = 0;
  int64_t waited_ns_ = 0;  // since the log was last found further durable, while answers wait
  Position durable_{};
  TimeMs due_{};
  uint64_t counted_ = 0;
  bool counted_since_ = true;  // the last turn
  bool full_ = false;
  bool behind_ = false;
  Refused refused_;
};

}  // namespace millrace::engine

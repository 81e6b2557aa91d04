// TimerWheel: when each lease ends and each delay is over, for all partitions of a shard.
//
// Four levels of 256 buckets, one-millisecond ticks, cascading; an entry past 2^32 ms waits in the last bucket and is put back.
// Entries live in a slab and are linked into their bucket (u32 indexes), so start, stop and restart are O(1) and every lease has
// exactly one entry however often it is extended. Late expiry is allowed, early never: a visibility timeout is a lower bound.
// A TimerId is a slab index; the owner keeps it with the slot and must clear it when the timer fired or was stopped.
//
// Threads: shard-local.  Memory: 32 bytes an entry, slab chunks of 4096 entries, freed chunks are kept for reuse.
// Source: hierarchical timing wheels, Varghese & Lauck 1987, scheme 7.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "millrace/types.h"

namespace millrace::engine {

enum class TimerId : uint32_t {};
inline constexpr TimerId kNoTimer{UINT32_MAX};

enum class TimerKind : uint8_t { lease = 0, delay = 1 };

// What a timer is about; comes back when it fires.
struct TimerTarget {
  uint32_t partition = 0;  // index of the partition in its shard
  TimerKind kind = TimerKind::lease;
  Slot slot{};             // 48 bits
};

class TimerWheel {
 public:
  // `now` is the wheel's first tick; deadlines at or before the current tick fire on the next advance.
  explicit TimerWheel(TimeMs now);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  TimerId start(TimeMs deadline, const TimerTarget& target);
  void restart(TimerId timer, TimeMs deadline);
  void stop(TimerId timer);
  TimeMs deadline(TimerId timer) const;
  TimerTarget target(TimerId timer) const;

  // Moves time to `now` and takes up to `max` fired timers, in deadline order to within one tick; each is stopped already. Call
  // again while it returns `max`. A jump of time costs O(levels), not O(ticks skipped).
  template <class F>
  uint32_t advance(TimeMs now, uint32_t max, F&& fired) {
    uint32_t n = 0;
    TimerTarget target;
    TimeMs deadline;
    while (n < max && pop(now, &target, &deadline)) {
      fired(target, deadline);
      ++n;
    }
    return n;
  }
  // A time before which nothing fires (a lower bound, at most 256 ms early per level); kNever if empty.
  TimeMs next_deadline() const;

  uint64_t size() const;
  uint64_t memory_bytes() const;

 private:
  bool pop(TimeMs now, TimerTarget* target, TimeMs* deadline);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace::engine

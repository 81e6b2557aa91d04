// Waiters: receives that wait and standing receives (subscriptions) of one shard, in a line for
// each queue.
//
// A line is served from its front; a subscription that got something goes to its back, so waiting
// receives and subscriptions take turns. A subscription without credit rests beside the line, so
// that who serves it passes only those who can take something: a message for one of 10,000 waiters
// costs the same as for one of two. A receive's wait ends by a timer; it is due then, and is
// answered empty as soon as no shard can have anything for it.
//
// Threads: shard-local.  Memory: 128 bytes a waiter (at most kWaitersPerShardMax), 120 a line; both
// are kept for reuse.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/limits.h"
#include "engine/request_check.h"
#include "engine/timer_wheel.h"
#include "millrace/engine.h"

namespace millrace::engine {

// Never given out twice, so an answer to a waiter that is gone finds nothing. 0: none.
enum class WaiterId : uint64_t {};
inline constexpr WaiterId kNoWaiter{0};

struct Waiter {
  WaiterId id{};
  ReplyTo to;
  QueueId queue{};
  ReceivePlan plan;
  uint64_t credit = 0;     // subscription: messages it may still get, without those asked for
  uint32_t asked = 0;      // messages asked of another shard; 0: no ask is under way
  bool standing = false;   // a subscription
  bool due = false;        // its wait is over
  bool resting = false;    // beside the line
  uint32_t due_place = 0;  // in WaiterLine::due
  TimerId timer = kNoTimer;
  uint32_t line_previous = UINT32_MAX, line_next = UINT32_MAX;
  uint32_t sink_previous = UINT32_MAX, sink_next = UINT32_MAX;
};

// One queue's waiters and what is known of the queue at the other shards.
struct WaiterLine {
  struct Ends {
    uint32_t first = UINT32_MAX, last = UINT32_MAX;
  };
  Ends standing;              // in line
  Ends resting;               // subscriptions without credit
  bool dirty = false;         // to be served this turn
  uint64_t maybe = 0;         // bit s: shard s may have something ready (never heard: set)
  std::vector<WaiterId> due;  // waits that are over, in no order
  std::array<uint8_t, kShardsMax> asks{};  // receives under way at each shard
};

class Waiters {
 public:
  explicit Waiters(TimeMs wheel_start) : timers_(wheel_start) {}

  // `due_at`: when the wait ends; kNever for a subscription. Error: over_limit.
  Result<WaiterId> add(const Waiter& waiter, TimeMs due_at);
  Waiter* find(WaiterId id);
  void remove(WaiterId id);
  // To the end of the line, or beside it if it is a subscription without credit.
  void move_to_back(WaiterId id);
  // In line order; kNoWaiter at the end.
  WaiterId first(const WaiterLine& line) const { return id_at(line.standing.first); }
  WaiterId next(WaiterId id) { return id_at(find(id)->line_next); }
  // One of a line, resting or not; kNoWaiter if it has none at all.
  WaiterId any(const WaiterLine& line) const {
    return id_at(line.standing.first != UINT32_MAX ? line.standing.first : line.resting.first);
  }

  // Null if the queue never had a waiter here.
  WaiterLine* find_line(QueueId queue);
  WaiterLine& line(QueueId queue, uint64_t maybe);
  void remove_line(QueueId queue) { lines_.erase(queue); }

  // The waiter that answers to `to`; kNoWaiter if none.
  WaiterId find(ReplyTo to);
  WaiterId first_of(const ReplySink* sink);
  template <class F>
  void for_each(F&& f) {  // f may remove the waiter it is given
    for (size_t i = 0; i < slab_.size(); ++i)
      if (slab_[i].id != kNoWaiter) f(slab_[i]);
  }

  // Marks waiters whose wait is over; calls due(Waiter&).
  template <class F>
  uint32_t expire(TimeMs now, uint32_t max, F&& due) {
    return timers_.advance(now, max, [&](const TimerTarget& target, TimeMs) {
      Waiter& waiter = slab_[raw(target.slot)];
      waiter.timer = kNoTimer;
      mark_due(waiter);
      due(waiter);
    });
  }
  TimeMs next_deadline() const { return timers_.next_deadline(); }
  size_t size() const { return size_; }

 private:
  WaiterId id_at(uint32_t index) const { return index == UINT32_MAX ? kNoWaiter : slab_[index].id; }
  static uint32_t index_of(WaiterId id) { return static_cast<uint32_t>(id); }
  void mark_due(Waiter& waiter);
  void link_line(Waiter& waiter);
  void unlink_line(Waiter& waiter);

  TimerWheel timers_;
  std::vector<Waiter> slab_;
  std::vector<uint32_t> free_;
  std::unordered_map<QueueId, WaiterLine> lines_;
  std::unordered_map<const ReplySink*, uint32_t> sinks_;  // first waiter of each
  uint64_t next_life_ = 1;
  size_t size_ = 0;
};

}  // namespace millrace::engine

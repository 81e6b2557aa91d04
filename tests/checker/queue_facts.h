// QueueFacts: what the history says of one queue apart from its messages.
//
// Filled in any order, sealed once, then asked. Purges, drains and attribute changes are few; empty
// receives may be many, hence the suffix minimum.
#pragma once

#include <optional>
#include <vector>

#include "tests/checker/interval_set.h"
#include "tests/checker/records.h"

namespace millrace::checker {

class QueueFacts {
 public:
  // What the server uses when neither the receive nor the queue names a visibility timeout.
  static constexpr uint32_t kVisibilityMsDefault = 30'000;

  std::vector<Removal> removals;       // sorted by inv once sealed
  std::vector<EmptyReceive> empties;   // sorted by inv once sealed
  std::vector<Drain> drains;           // successful ones, sorted by inv once sealed
  std::vector<Attributes> attributes;  // sorted by inv once sealed
  // Where messages go that were received receives_max times; 0: nowhere.
  uint32_t receives_max = 0;
  QueueId dead_letters = 0;
  // Move tasks that take messages out of this queue: when the first may have begun (nobody says
  // when the last ends), and where to if not to where each message came from.
  Nanoseconds moved_from = kForever;
  std::vector<QueueId> moved_to;
  // Receives whose answer is unknown: any of them may have leased any message of the queue.
  IntervalSet hidden_receives;

  void add_move_task(Nanoseconds inv, std::optional<QueueId> target);
  void seal();

  // A removal that can have taken a message whose send began at `sent`: over after that, or
  // unknown.
  bool removed_after(Nanoseconds sent) const { return last_removal_end_ >= sent; }

  // An empty receive that began at `begin` or later and was over by `end`; null if there is none.
  const EmptyReceive* empty_within(Nanoseconds begin, Nanoseconds end) const;

  uint32_t visibility_ms(uint32_t own, Nanoseconds t) const;
  uint32_t delay_ms(uint32_t own, Nanoseconds t) const;

 private:
  const Attributes* attributes_at(Nanoseconds t) const;

  Nanoseconds last_removal_end_ = -1;
  std::vector<uint32_t> soonest_;  // for empties[i..]: the index of the one that is over first
};

}  // namespace millrace::checker

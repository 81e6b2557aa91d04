// SimAttempts: the receive attempt ids used on one FIFO queue of the simulated
// node, and which leases each was answered with, so that a receive that is
// asked again can be judged: it gets the same messages as long as nothing
// happened to them, and no others in their place.
//
// An id is used by one receive at a time. One that was cancelled may still be
// carried out later.
//
// Threads: the simulator's only one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/prng.h"
#include "millrace/engine.h"
#include "tests/sim/reference_message.h"

namespace millrace::sim {

struct SimAttempt {
  struct Given {
    Key key = 0;
    uint64_t place = 0;  // a message that a move task brings back counts its receives anew
    uint32_t receive_count = 0;
    uint64_t lease_event = 0;  // of the message, when it was answered
  };
  std::string id;
  bool open = false;
  // One that was cancelled may have been given something, or give it again, for
  // so long at least.
  uint32_t doubtful_visibility_ms = UINT32_MAX;
  bool in_doubt() const { return doubtful_visibility_ms != UINT32_MAX; }
  std::vector<Given> given = {};  // by the newest answer

  const Given* find(Key key, const Receipt& receipt) const {
    const auto found = std::find_if(given.begin(), given.end(), [&](const Given& one) {
      return one.key == key && one.place == receipt.shard_slot &&
             one.receive_count == receipt.generation;
    });
    return found == given.end() ? nullptr : &*found;
  }
};

class SimAttempts {
 public:
  // One to use now: a new one, or one that was used before. Its name is valid
  // until the next call.
  SimAttempt& pick(base::Prng& prng) {
    if (!attempts_.empty() && prng.chance(2, 3)) {
      SimAttempt& again = attempts_[prng.below(attempts_.size())];
      if (!again.open) return again;
    }
    const auto oldest = std::find_if(attempts_.begin(), attempts_.end(),
                                     [](const SimAttempt& one) { return !one.open; });
    if (attempts_.size() >= kKept && oldest != attempts_.end()) attempts_.erase(oldest);
    attempts_.push_back({.id = fmt::format("attempt-{}", ++used_)});
    return attempts_.back();
  }
  // Null: of an earlier life.
  SimAttempt* find(const std::string& id) {
    const auto found = std::find_if(attempts_.begin(), attempts_.end(),
                                    [&](const SimAttempt& one) { return one.id == id; });
    return found == attempts_.end() ? nullptr : &*found;
  }
  // They are remembered in memory only.
  void restarted() { attempts_.clear(); }

 private:
  static constexpr size_t kKept = 6;
  std::vector<SimAttempt> attempts_;
  uint64_t used_ = 0;
};

}  // namespace millrace::sim

// MemoryBudget: what the shards of a broker hold in memory together, and whether that is too much.
//
// Each shard counts now and then what it holds and notes it here; whoever asks adds the notes up.
// Past kRefusedPercent of the budget sends are refused, and taken again once it is below
// kTakenPercent: the rest is for what frees memory, which are receives, leases and acks.
//
// Threads: any. A note is a hint of some milliseconds ago and orders nothing else.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "engine/limits.h"
#include "millrace/types.h"

namespace millrace::engine {

class MemoryBudget {
 public:
  static constexpr uint64_t kRefusedPercent = 85;
  static constexpr uint64_t kTakenPercent = 80;

  // 0: there is none, nothing is ever too much.
  explicit MemoryBudget(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  void note(ShardId shard, uint64_t bytes) {
    notes_[raw(shard)].bytes.store(bytes, std::memory_order_relaxed);
  }
  uint64_t used() const {
    uint64_t sum = 0;
    for (const Note& note : notes_)
      sum += note.bytes.load(std::memory_order_relaxed);
    return sum;
  }
  uint64_t bytes_max() const { return bytes_max_; }
  bool exists() const { return bytes_max_ != 0; }
  // Whether sends are to be refused, by one who did so until now or did not.
  bool full(bool until_now) const {
    return exists() && used() >= bytes_max_ / 100 * (until_now ? kTakenPercent : kRefusedPercent);
  }
  // Little enough that nobody has to look often.
  bool ample() const { return !exists() || used() < bytes_max_ / 2; }

 private:
  struct alignas(64) Note {
    std::atomic<uint64_t> bytes{0};
  };

  const uint64_t bytes_max_;
  std::array<Note, kShardsMax> notes_{};
};

}  // namespace millrace::engine

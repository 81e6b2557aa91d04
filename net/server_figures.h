// ServerFigures: what a server counts besides what its broker does: connections by protocol, the
// processor time of each shard's thread, when it began.
//
// Threads: any. Counted when a connection comes and goes, never for a message; a shard's clock is
// there once its thread runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <pthread.h>

#include "base/os_clock.h"
#include "millrace/types.h"

namespace millrace::net {

struct ConnectionCounts {
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> refused{0};  // of those accepted: closed with a word on why
  std::atomic<uint64_t> dropped{0};  // closed for being too slow, silent, or reading nothing
  std::atomic<uint64_t> closed{0};
  uint64_t open() const {
    const uint64_t gone = closed.load(std::memory_order_relaxed);
    return accepted.load(std::memory_order_relaxed) - gone;
  }
};

class ServerFigures {
 public:
  explicit ServerFigures(uint16_t shards)
      : started_ms_(base::os_wall_ms()),
        clocks_(std::make_unique<std::atomic<clockid_t>[]>(shards)) {}

  ConnectionCounts binary;
  ConnectionCounts http;

  int64_t started_ms() const { return started_ms_; }
  // Called on the shard's thread.
  void note_thread(ShardId shard) {
    clockid_t clock = kNone;
    if (::pthread_getcpuclockid(::pthread_self(), &clock) == 0)
      clocks_[raw(shard)].store(clock, std::memory_order_relaxed);
  }
  // 0: not known.
  int64_t cpu_ns(ShardId shard) const {
    const clockid_t clock = clocks_[raw(shard)].load(std::memory_order_relaxed);
    timespec time{};
    if (clock == kNone || ::clock_gettime(clock, &time) != 0) return 0;
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }

 private:
  static constexpr clockid_t kNone = 0;  // the wall clock, which is no thread's

  const int64_t started_ms_;
  const std::unique_ptr<std::atomic<clockid_t>[]> clocks_;
};

}  // namespace millrace::net

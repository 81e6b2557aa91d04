// ServerClock: the time all deadlines use (promises a17).
//
// server time = max(last logged, wall clock at start) + elapsed boot time. It never goes back, also
// across restarts, and a jump of the wall clock while running moves no lease. The three inputs come
// from outside, so the simulator can turn any of them. Threads: shard-local (each shard has a copy
// started from the same values).
#pragma once

#include <algorithm>
#include <cstdint>

#include "millrace/types.h"

namespace millrace::base {

class ServerClock {
 public:
  ServerClock() = default;
  ServerClock(TimeMs last_logged, int64_t wall_ms, int64_t boot_ns)
      : start_(std::max(last_logged.value, wall_ms)), boot_start_ns_(boot_ns), last_(start_) {}

  TimeMs at(int64_t boot_ns) {
    last_ = std::max(last_, start_ + (boot_ns - boot_start_ns_) / 1'000'000);
    return TimeMs{last_};
  }

 private:
  int64_t start_ = 0;
  int64_t boot_start_ns_ = 0;
  int64_t last_ = 0;
};

}  // namespace millrace::base

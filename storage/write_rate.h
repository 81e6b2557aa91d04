// WriteRate: how fast a log is being written now: bytes per millisecond over the last 64 to 128 ms.
// What was before, a rush or a long silence, says nothing about the next segment.
//
// Threads: shard-local.
#pragma once

#include <cstdint>

#include "millrace/types.h"

namespace millrace::storage {

class WriteRate {
 public:
  void add(uint64_t bytes, TimeMs now) {
    turn(now);
    current_ += bytes;
  }
  // `now` never goes back.
  uint64_t bytes_per_ms(TimeMs now) {
    turn(now);
    return (previous_ + current_) / static_cast<uint64_t>(kWindowMs + (now - since_));
  }

 private:
  static constexpr int64_t kWindowMs = 64;

  void turn(TimeMs now) {
    const int64_t age = now - since_;
    if (age < kWindowMs) return;
    previous_ = age < 2 * kWindowMs ? current_ : 0;
    current_ = 0;
    since_ = age < 2 * kWindowMs ? since_ + kWindowMs : now;
  }

  TimeMs since_{};  // the current window's begin
  uint64_t previous_ = 0;
  uint64_t current_ = 0;
};

}  // namespace millrace::storage

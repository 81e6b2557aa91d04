// ReceivedTimes: when a message was received first and last.
//
// Both count from when the message was sent, which its record tells, so that each takes four bytes;
// 24 days either way, which outlasts every message. A carry keeps the last one in whole seconds,
// rounded up: a lease is then taken for younger than it is, never for older.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "millrace/types.h"

namespace millrace::engine {

struct ReceivedTimes {
  int32_t first_ms = 0;  // below 0: before it was sent, as a dead letter's on FIFO
  int32_t last_ms = 0;
  friend bool operator==(const ReceivedTimes&, const ReceivedTimes&) = default;
};

constexpr int32_t ms_after(TimeMs sent_at, TimeMs time) {
  return static_cast<int32_t>(std::clamp<int64_t>(time - sent_at, INT32_MIN, INT32_MAX));
}

// A signed number of seconds in three bytes, little endian: 97 days.
using ThreeByteSeconds = std::array<uint8_t, 3>;

constexpr ThreeByteSeconds seconds_up(int32_t ms) {
  const int32_t seconds = ms / 1000 + (ms % 1000 > 0 ? 1 : 0);
  const auto bits = static_cast<uint32_t>(seconds);
  return {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8),
          static_cast<uint8_t>(bits >> 16)};
}

constexpr int32_t ms_of(const ThreeByteSeconds& seconds) {
  const auto bits = static_cast<uint32_t>(seconds[0] | seconds[1] << 8 | seconds[2] << 16);
  const int64_t value = static_cast<int32_t>(bits << 8) / 256;
  return static_cast<int32_t>(std::clamp<int64_t>(value * 1000, INT32_MIN, INT32_MAX));
}

static_assert(ms_of(seconds_up(1)) == 1000 && ms_of(seconds_up(-1)) == 0 &&
              ms_of(seconds_up(-86'400'000)) == -86'400'000 &&
              ms_of(seconds_up(INT32_MAX - 1000)) > INT32_MAX - 1001);

}  // namespace millrace::engine

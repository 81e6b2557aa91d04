// The small types everything speaks: ids, positions, times, views.
//
// Ids and positions are types, so that a mix-up does not compile. All are trivially copyable and
// stored as in memory (little endian).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace millrace {

// A view of bytes somebody else owns; the function that hands it out says until when it lives.
using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view s) {
  return std::as_bytes(std::span<const char>(s.data(), s.size()));
}
inline std::string_view as_text(Bytes b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

// Numeric id of a queue. Never 0, never reused: a queue deleted and created again gets a new one.
enum class QueueId : uint32_t {};
// Index of a shard, 0-based.
enum class ShardId : uint16_t {};
// Number of a message within its partition (one queue on one shard): 0, 1, 2, ... in log order,
// never reused. 48 bits.
enum class Slot : uint64_t {};

constexpr uint32_t raw(QueueId v) {
  return static_cast<uint32_t>(v);
}
constexpr uint16_t raw(ShardId v) {
  return static_cast<uint16_t>(v);
}
constexpr uint64_t raw(Slot v) {
  return static_cast<uint64_t>(v);
}
constexpr Slot operator+(Slot s, uint64_t n) {
  return Slot{raw(s) + n};
}

// Byte address in a shard's endless log. Ordered; the difference of two is a number of bytes.
struct Position {
  uint64_t value = 0;
  friend constexpr auto operator<=>(Position, Position) = default;
  friend constexpr Position operator+(Position p, uint64_t n) { return {p.value + n}; }
  friend constexpr uint64_t operator-(Position a, Position b) { return a.value - b.value; }
};

// Server time in milliseconds since the Unix epoch: max(last logged, wall clock at start) + elapsed
// boot time. It never goes back, also across restarts, and a jump of the wall clock does not move
// it (base/server_clock.h). All deadlines use it.
struct TimeMs {
  int64_t value = 0;
  friend constexpr auto operator<=>(TimeMs, TimeMs) = default;
  friend constexpr TimeMs operator+(TimeMs t, int64_t ms) { return {t.value + ms}; }
  friend constexpr int64_t operator-(TimeMs a, TimeMs b) { return a.value - b.value; }
};
inline constexpr TimeMs kNever{INT64_MAX};

// When an acknowledgement is given. Order matters: a queue may ask for more than the server's,
// never for less.
enum class Durability : uint8_t {
  none = 0,  // record written to the page cache: survives the process; the kernel decides when it
             // reaches the disk
  interval = 1,  // as none, and a sync starts at most `interval_ms` later
  commit = 2,    // a sync that covers the record has returned 0
};

}  // namespace millrace

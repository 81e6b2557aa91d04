// Event: one line of a history, as written by a client or by the harness. README.md lists the
// fields.
//
// Views point into the parser's memory and live until the next line is parsed. An empty view is an
// absent field: no field of the format has a meaning when it is empty.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::checker {

using Nanoseconds = int64_t;
inline constexpr Nanoseconds kMillisecond = 1'000'000;
inline constexpr Nanoseconds kSecond = 1000 * kMillisecond;
inline constexpr Nanoseconds kForever = INT64_MAX;

enum class Phase : uint8_t { inv, ok, fail, info };
inline constexpr std::array<std::string_view, 4> kPhaseNames = {"inv", "ok", "fail", "info"};

enum class Op : uint8_t {
  send,
  recv,
  del,
  vis,
  purge,
  mkq,
  rmq,
  kill,
  power,
  boot,
  eio,
  full,
  clock,
  drain,
  move
};
inline constexpr std::array<std::string_view, 15> kOpNames = {
    "send",  "recv", "del", "vis",  "purge", "mkq",   "rmq", "kill",
    "power", "boot", "eio", "full", "clock", "drain", "move"};
inline constexpr size_t kOps = kOpNames.size();

constexpr std::string_view name(Phase phase) {
  return kPhaseNames[static_cast<size_t>(phase)];
}
constexpr std::string_view name(Op op) {
  return kOpNames[static_cast<size_t>(op)];
}

// What an acknowledgement meant. `absent` is read as commit, the strictest, where the line was an
// acknowledgement, and as none, the laxest, where nothing was acknowledged.
struct Durability {
  enum class Level : uint8_t { absent, commit, interval, none };
  Level level = Level::absent;
  uint32_t interval_ms = 0;
};

// A place in a shard's log.
struct LogPlace {
  uint32_t shard = 0;
  uint64_t position = 0;
};

struct Event {
  Nanoseconds t = 0;
  std::string_view client;
  uint64_t number = 0;  // `i`: rises with each operation of a client
  Phase phase{};
  Op op{};
  std::string_view queue, key, hash, group, dedup, message_id, receipt, dead_letters, error;
  std::optional<uint64_t> n, sequence, receives_max;
  std::optional<int64_t> visibility_ms, delay_ms;
  Durability durability;
  std::optional<LogPlace> place;
};

}  // namespace millrace::checker

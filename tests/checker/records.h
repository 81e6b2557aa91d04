// Records: what the history keeps of each operation once its invocation and its end are joined.
//
// An operation spans [inv, done]: its effect, if any, happened in between. `done` is kForever when
// the outcome is unknown: the request may sit in a buffer and act late. Sizes matter: ten million
// lines make about 1.7 million of each.
#pragma once

#include <cstdint>

#include "tests/checker/event.h"
#include "tests/checker/fingerprint.h"

namespace millrace::checker {

enum class Outcome : uint8_t { ok, fail, unknown };

using KeyId = uint32_t;
using QueueId = uint32_t;
inline constexpr uint32_t kAbsentMs = UINT32_MAX;

// Where an operation stands in the files; 0 means no such line.
struct Lines {
  uint32_t file = 0;
  uint32_t begin = 0, end = 0;
};

struct Send {
  Nanoseconds inv = 0, done = 0;
  Nanoseconds waited =
      0;  // until any answer, also one that settles nothing; 0: the file ended first
  uint64_t hash = 0;
  Fingerprint message_id;
  uint64_t group = 0, dedup = 0;  // fingerprints; 0: none
  uint64_t sequence = 0;          // 0: not told
  uint64_t position = 0;
  uint32_t shard = UINT32_MAX;  // UINT32_MAX: the line had no lsn
  KeyId key = 0;
  uint32_t delay_ms = kAbsentMs;
  Durability durability;
  Lines lines;
  QueueId queue = 0;
  Outcome outcome{};
  bool has_place() const { return shard != UINT32_MAX; }
};

struct Receive {
  Nanoseconds inv = 0, done = 0;
  uint64_t hash = 0;
  uint64_t receipt = 0;
  uint64_t sequence = 0;  // 0: not told
  Fingerprint message_id;
  KeyId key = 0;
  uint32_t n = 0;  // 0: the line had none
  uint32_t visibility_ms = kAbsentMs;
  Lines lines;
  QueueId queue = 0;
};

// A delete or a visibility change: both name a lease by its receipt.
struct LeaseCall {
  Nanoseconds inv = 0, done = 0;
  uint64_t receipt = 0;
  KeyId key = 0;
  uint32_t visibility_ms = 0;
  Durability durability;
  Lines lines;
  Outcome outcome{};
  bool is_delete = false;
};

// A purge or a deletion of the queue.
struct Removal {
  Nanoseconds inv = 0, done = 0;
  Durability durability;
  Lines lines;
  Outcome outcome{};
};

struct EmptyReceive {
  Nanoseconds inv = 0, done = 0;
  Lines lines;
};

struct Drain {
  Nanoseconds inv = 0, done = 0;
  Lines lines;
  bool counted = false;
  uint64_t left = 0;  // ready + leased + delayed, as the server says
};

struct Attributes {
  Nanoseconds inv = 0;
  uint32_t visibility_ms = kAbsentMs, delay_ms = kAbsentMs;
};

struct Boot {
  Nanoseconds inv = 0, done = 0;
  uint64_t log_bytes = 0;
  Lines lines;
};

}  // namespace millrace::checker

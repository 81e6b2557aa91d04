// SmallWorld: one shard with a FIFO queue and its dead-letter queue on a simulated disk, on which
// every short sequence of operations is tried with a power failure after each call of the disk, and
// each subset of what was not synced then surviving.
//
// Two of three bugs that crash tests found in file systems need no more than two or three
// operations (OSDI'18, CrashMonkey and ACE); random runs may miss what a complete enumeration of
// small ones cannot. The judge is the simulator's reference: after each failure the broker must
// open, repeated ids must be recognised, and all that must be there must come.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::sim {

// What a letter of a sequence does.
inline constexpr std::string_view kSmallOperations = "abrvkztpc";
std::string_view small_operation_text(char operation);

struct SmallWorldReport {
  std::string violation;  // empty: none
  uint64_t crash_points = 0;
  uint64_t images = 0;       // recovered and judged, equal ones of one crash point once
  uint64_t all_subsets = 0;  // crash points of which each subset was tried
  void add(const SmallWorldReport& other);
};

// Runs the sequence and crashes in its last operation; the shorter sequences crash in the others.
SmallWorldReport try_sequence(std::string_view operations);
// All sequences of 1 up to `length` operations whose number, counted from 0, is `part` modulo
// `parts`; stops at the first violation, which names the sequence.
SmallWorldReport try_all_sequences(uint32_t length, uint32_t part, uint32_t parts);

}  // namespace millrace::sim

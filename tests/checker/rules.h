// The rules of the checker, one file per family. README.md gives each in words and as a formula.
//
// A family reads a sealed History and writes Findings. It is O(n log n) over the history, and
// sound: where the history leaves a doubt, it counts "undecided" and never a violation.
#pragma once

#include <array>

#include "tests/checker/findings.h"
#include "tests/checker/history.h"

namespace millrace::checker {

// The slacks. All clocks of a history are one CLOCK_MONOTONIC, so epsilon is not for skew between
// clients: it covers the server's millisecond clock and its timer's granularity.
struct Limits {
  Nanoseconds epsilon = 10 * kMillisecond;
  Nanoseconds late = kSecond;              // C11: visible at most this long after due
  Nanoseconds send_wait = 2 * kSecond;     // C12: no send waits longer
  Nanoseconds boot_per_gib = 5 * kSecond;  // C12
  Nanoseconds sync_slack = kSecond;        // C1, C3, C10: longest sync, for interval mode
  Nanoseconds dedup_window = 300 * kSecond;
  Nanoseconds retention = 4 * 86'400 * kSecond;
};

void check_loss(const History& history, const Limits& limits, Findings& findings);      // C1, C13
void check_identity(const History& history, const Limits& limits, Findings& findings);  // C2
void check_removal(const History& history, const Limits& limits, Findings& findings);   // C3, C10
void check_lease(const History& history, const Limits& limits, Findings& findings);  // C4, C5, C8
void check_order(const History& history, const Limits& limits, Findings& findings);  // C6
void check_dedup(const History& history, const Limits& limits, Findings& findings);  // C7
void check_dead_letters(const History& history, const Limits& limits, Findings& findings);  // C9
void check_timing(const History& history, const Limits& limits, Findings& findings);  // C11, C12

using Family = void (*)(const History&, const Limits&, Findings&);
inline constexpr std::array<Family, 8> kFamilies = {
    check_loss,  check_identity, check_removal,      check_lease,
    check_order, check_dedup,    check_dead_letters, check_timing};

// The earliest moment at which the lease given by `lease` can have ended, seen from a receive that
// spans [next_inv, next_done]. Follows the visibility changes made with its receipt.
Nanoseconds earliest_lease_end(const History& history, const Receive& lease, Nanoseconds next_inv,
                               Nanoseconds next_done);

}  // namespace millrace::checker

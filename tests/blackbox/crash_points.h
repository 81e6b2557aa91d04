// The places in the server at which it can be made to kill itself (base/crash_point.h), and when it
// comes to each.
#pragma once

#include <cstdint>

namespace millrace::blackbox {

enum class Reached : uint8_t {
  under_load,
  starting,              // of a folder whose server was killed
  starting_in_recovery,  // of one whose recovery was killed, too
  stopping,              // on SIGTERM
  starting_again,        // of a folder whose server was stopped
  first_start,           // of a folder that is not there
};

struct CrashPoint {
  const char* name;
  Reached reached;
  uint32_t times_max;  // it strikes when it is reached for the first .. times_max-th time
};

inline constexpr CrashPoint kCrashPoints[] = {
    // The log: written, synced, answered.
    {"before-write", Reached::under_load, 400},
    {"after-write", Reached::under_load, 400},
    {"before-sync", Reached::under_load, 300},
    {"after-sync", Reached::under_load, 300},
    // A segment comes and goes.
    {"segment-not-in-directory", Reached::under_load, 2},
    {"segment-header-written", Reached::under_load, 4},
    {"segment-recycled", Reached::under_load, 3},
    {"segment-made-at-once", Reached::first_start, 3},
    // Cleaning.
    {"cleaning-midway", Reached::under_load, 6},
    {"cleaning-not-freed", Reached::under_load, 3},
    {"cleaning-freed", Reached::under_load, 3},
    // Messages that change queue.
    {"dead-letter-appended", Reached::under_load, 40},
    {"move-appended", Reached::under_load, 8},
    {"move-across-hidden", Reached::under_load, 3},
    {"move-across-taken-in", Reached::under_load, 3},
    {"move-across-not-let-go", Reached::under_load, 3},
    {"move-across-not-forgotten", Reached::under_load, 3},
    // Queues come and go.
    {"catalog-appended", Reached::under_load, 2},
    {"catalog-not-told", Reached::under_load, 3},
    {"catalog-not-answered", Reached::under_load, 3},
    // A start after a kill: once for the catalog, once for each shard.
    {"recovery-replayed", Reached::starting, 3},
    {"recovery-tail-copied", Reached::starting, 2},
    {"recovery-tail-not-committed", Reached::starting, 3},
    {"recovery-tail-not-synced", Reached::starting, 3},
    {"recovery-committed", Reached::starting, 3},
    {"recovery-cut-confirmed", Reached::starting_in_recovery, 1},
    {"shard-recovered", Reached::starting, 2},
    // A stop, and the start after it.
    {"checkpoint-not-renamed", Reached::stopping, 2},
    {"checkpoint-renamed", Reached::stopping, 2},
    {"reopen-confirmed", Reached::starting_again, 3},
};

}  // namespace millrace::blackbox

// Planted bugs: mistakes that a test build can switch on, to prove that the suite catches them
// (tests/sim/README.md).
//
// In a normal build planted() is constant false and every branch behind it disappears. With
// -DMILLRACE_PLANTED_BUGS it reads a process-wide switch set by the test, or by
// MILLRACE_PLANTED=<name> for whole programs.
#pragma once

#ifdef MILLRACE_SHARED_WITH_TWIN
#error "list this source as PLANTED in its CMakeLists.txt"
#endif

#include <cstdint>
#include <string_view>

namespace millrace::base {

enum class Bug : uint8_t {
  none,
  ack_before_sync,          // replies do not wait for the durable position
  no_chaining,              // recovery ignores the chain and the segment's generation
  directory_not_synced,     // a new segment is used before its directory entry is durable
  sync_retried,             // a failed sync is tried again and believed
  sequence_reused,          // slots start again from what is alive after a restart
  lease_lost_on_restart,    // lease records are not applied in recovery
  dedup_lost_when_cleaned,  // deduplication ids that cleaning told again are not applied in
                            // recovery
  group_overtaken,  // what is returned is ready also when others of its group stand before it
  dead_letter_left_behind,  // recovery puts a dead letter where it goes and leaves it where it was
  dead_letter_too_late,     // one receive more than the queue allows
  purge_forgotten,          // purge records are not applied in recovery
  retention_too_early,      // messages are over after half their time
  redriven_left_behind,  // recovery puts what a move task took where it goes and leaves it where it
                         // was
  backup_cut_apart,      // each shard cuts its log for a backup when it hears of it, and goes on
  noisy_not_told_apart,  // a standard queue's tenants are all served alike
};

#ifdef MILLRACE_PLANTED_BUGS
extern Bug g_planted_bug;
inline bool planted(Bug bug) {
  return g_planted_bug == bug;
}
Bug bug_by_name(std::string_view name);  // Bug::none if unknown
#else
constexpr bool planted(Bug) {
  return false;
}
#endif

}  // namespace millrace::base

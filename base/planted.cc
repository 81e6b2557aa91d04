#include "base/planted.h"

#ifdef MILLRACE_PLANTED_BUGS

#include <cstdlib>
#include <utility>

namespace millrace::base {
namespace {

Bug from_environment() {
  const char* name = std::getenv("MILLRACE_PLANTED");
  return name == nullptr ? Bug::none : bug_by_name(name);
}

}  // namespace

Bug bug_by_name(std::string_view name) {
  constexpr std::pair<std::string_view, Bug> kNames[] = {
      {"ack_before_sync", Bug::ack_before_sync},
      {"no_chaining", Bug::no_chaining},
      {"directory_not_synced", Bug::directory_not_synced},
      {"sync_retried", Bug::sync_retried},
      {"sequence_reused", Bug::sequence_reused},
      {"lease_lost_on_restart", Bug::lease_lost_on_restart},
      {"dedup_lost_when_cleaned", Bug::dedup_lost_when_cleaned},
      {"group_overtaken", Bug::group_overtaken},
      {"dead_letter_left_behind", Bug::dead_letter_left_behind},
      {"dead_letter_too_late", Bug::dead_letter_too_late},
      {"purge_forgotten", Bug::purge_forgotten},
      {"retention_too_early", Bug::retention_too_early},
      {"redriven_left_behind", Bug::redriven_left_behind},
      {"backup_cut_apart", Bug::backup_cut_apart},
      {"noisy_not_told_apart", Bug::noisy_not_told_apart}};
  for (const auto& [known, bug] : kNames)
    if (known == name) return bug;
  return Bug::none;
}

Bug g_planted_bug = from_environment();

}  // namespace millrace::base

#endif

// millrace-faults: every disk call of a node fails once, or from some time on, one run each.
//
//   millrace-faults --nth-max 200                 all runs; `--part I --parts N`: those of one part
//   millrace-faults --scenario fifo --life 1 --disk 1 --call write --nth 17 --fails once:io_error
//
// A column is a scenario, a life, a disk, a kind of call and a way to fail; its runs are the first,
// second, third ... such call that fails, until the scenario makes no more of them.
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/log_line.h"
#include "tests/sim/replay_line.h"
#include "tests/sim/simulation.h"
#include "tools/common/parser.h"

namespace {

using namespace millrace;
using namespace millrace::sim;

// Of which: one shard and `commit`; two, of a spread queue, over connections; one with dead
// letters, expiring messages and move tasks; two with backups, one after the other.
struct Scenario {
  std::string_view name;
  ShapeKind shape;
  uint64_t seed;
  bool backups = false;
};
constexpr Scenario kScenarios[] = {
    {"standard", ShapeKind::standard, 1},
    {"fifo", ShapeKind::fifo, 2},
    {"dead-letters", ShapeKind::dead_letters, 3},
    {"backups", ShapeKind::standard, 4, true},
};
constexpr std::array<std::string_view, kDiskCalls> kCalls = {
    "open", "read",           "map",    "write", "short-write", "reserve",
    "sync", "sync-directory", "rename", "remove"};

// once:io_error, always:disk_full; of syncs also what becomes of the content, and that the next one
// reports it: once:io_error:reverts:late.
struct Way {
  std::string name;
  DiskFault fault;
};
std::vector<Way> ways_to_fail(DiskCall call) {
  std::vector<Way> ways;
  for (const bool for_ever : {false, true})
    for (const Errc error : {Errc::io_error, Errc::disk_full})
      for (const SyncFailure how : {SyncFailure::keeps_content, SyncFailure::reverts})
        for (const bool late : {false, true}) {
          if (call != DiskCall::sync && (late || how == SyncFailure::reverts)) continue;
          if (late && (for_ever || error == Errc::disk_full)) continue;
          std::string name = fmt::format("{}:{}", for_ever ? "always" : "once", errc_name(error));
          if (call == DiskCall::sync) name += how == SyncFailure::reverts ? ":reverts" : ":keeps";
          if (late) name += ":late";
          ways.push_back({name,
                          {.call = call,
                           .for_ever = for_ever,
                           .error = error,
                           .sync_failure = how,
                           .late_report = late}});
        }
  return ways;
}

struct Asked {
  uint64_t nth_max = 200, nth = 0, life = kFaultLives, disk = 2, part = 0, parts = 1, steps = 750;
  std::string scenario, call, fails;
  bool verbose = false;
};

class Runs {
 public:
  explicit Runs(const Asked& asked) : asked_(asked) {}

  // False: a violation was found and told.
  bool all() {
    uint64_t column = 0;
    for (const Scenario& scenario : kScenarios)
      for (uint32_t life = 0; life < kFaultLives; ++life)
        for (uint32_t disk = 0; disk < 2; ++disk)
          for (size_t call = 0; call < kDiskCalls; ++call)
            for (const Way& way : ways_to_fail(static_cast<DiskCall>(call))) {
              const bool wanted = (asked_.scenario.empty() || asked_.scenario == scenario.name) &&
                                  (asked_.life == kFaultLives || asked_.life == life) &&
                                  (asked_.disk == 2 || asked_.disk == disk) &&
                                  (asked_.call.empty() || asked_.call == kCalls[call]) &&
                                  (asked_.fails.empty() || asked_.fails == way.name);
              if (!wanted || column++ % asked_.parts != asked_.part) continue;
              const FaultPlan plan{
                  .fault = way.fault, .life = life, .disk = disk, .backups = scenario.backups};
              if (!one_column(scenario, plan, way.name)) return false;
            }
    return true;
  }
  void print() const {
    fmt::print(
        "{} columns, {} runs, {} failing calls met, {} starts refused or ended, longest {} "
        "calls, {} backups opened, 0 violations\n",
        columns_, runs_, met_, kills_, longest_, backups_);
  }

 private:
  bool one_column(const Scenario& scenario, FaultPlan plan, const std::string& way) {
    ++columns_;
    const uint64_t first = asked_.nth != 0 ? asked_.nth : 1;
    const uint64_t last = asked_.nth != 0 ? asked_.nth : asked_.nth_max;
    for (plan.fault.nth = first; plan.fault.nth <= last; ++plan.fault.nth) {
      g_replay_line = fmt::format(
          "replay: millrace-faults --scenario {} --life {} --disk {} --call {} --fails {} --nth {} "
          "--steps {} --verbose\n",
          scenario.name, plan.life, plan.disk, kCalls[static_cast<size_t>(plan.fault.call)], way,
          plan.fault.nth, asked_.steps);
      const SimulationOutcome outcome = run_simulation({.seed = scenario.seed,
                                                        .steps = asked_.steps,
                                                        .verbose = asked_.verbose,
                                                        .shape = scenario.shape,
                                                        .fault = plan});
      ++runs_;
      met_ += outcome.faults_met;
      backups_ += outcome.backups;
      kills_ += outcome.kills + outcome.power_failures;
      if (!outcome.violation.empty()) {
        fmt::print("{}\n{}", outcome.violation, g_replay_line);
        return false;
      }
      if (outcome.faults_met == 0) break;
      longest_ = std::max(longest_, plan.fault.nth);
    }
    return true;
  }

  const Asked& asked_;
  uint64_t columns_ = 0, runs_ = 0, met_ = 0, kills_ = 0, longest_ = 0, backups_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Asked asked;
  tools::Parser parser("millrace-faults", "Every disk call of a node fails, one after the other.",
                       MILLRACE_VERSION);
  parser.root()
      .option("--nth-max", "N", asked.nth_max, "the last call of a kind that fails")
      .option("--nth", "N", asked.nth, "this one only")
      .option("--scenario", "NAME", asked.scenario, "standard, fifo, dead-letters or backups; all")
      .option("--life", "N", asked.life, "0: new, 1: after a clean stop, 2: after a kill; all")
      .option("--disk", "N", asked.disk, "0: the catalog's, 1: shard 0's; both")
      .option("--call", "KIND", asked.call, "open, read, map, write, short-write ...; all")
      .option("--fails", "WAY", asked.fails, "once:io_error, always:disk_full ...; all")
      .option("--part", "I", asked.part, "of the columns")
      .option("--parts", "N", asked.parts, "so many")
      .option("--steps", "N", asked.steps, "requests a run")
      .flag("--verbose", asked.verbose, "tell starts and crashes");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  tell_replay_line_on_abort();
  if (!asked.verbose) base::set_log(base::LogLevel::error, base::LogFormat::text);
  Runs runs(asked);
  if (!runs.all()) return 1;
  runs.print();
  return 0;
}

// millrace-sim: runs simulator seeds, or replays one.
//
//   millrace-sim --from 1 --count 2000            exit 1 and one replay line at the first violation
//   millrace-sim --seed 81734 --verbose           one run, told step by step
//   MILLRACE_PLANTED=no_chaining millrace-sim …   in a build with planted bugs
#include <cstdio>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "tests/sim/simulation.h"
#include "tools/common/parser.h"

namespace {

// Answers, down, by how the node's life had begun, across; "+sync": with a sync about to fail.
void print_crossing(const millrace::sim::Crossing& crossing) {
  fmt::print("{:32}", "");
  for (const char* name : millrace::sim::kConditionNames)
    fmt::print("{:>11}", name);
  for (const auto& [what, times] : crossing) {
    fmt::print("\n{:32}", what);
    for (const uint64_t n : times)
      fmt::print("{:>11}", n);
  }
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace millrace::sim;
  uint64_t from = 1, count = 100, seed = 0, seconds_max = 3600;
  bool no_power = false, coverage = false, expect_violation = false;
  SimulationOptions options;
  std::string shape;
  millrace::tools::Parser parser("millrace-sim", "A whole node in one thread from one seed.",
                                 MILLRACE_VERSION);
  parser.root()
      .option("--from", "SEED", from, "the first")
      .option("--count", "N", count, "number of seeds")
      .option("--seed", "SEED", seed, "this one only")
      .option("--steps", "N", options.steps, "requests a seed")
      .option("--seconds", "N", seconds_max, "stop after so many")
      .option("--shape", "NAME", shape, "standard, fifo or dead-letters; otherwise the seed says")
      .flag("--no-power", no_power, "process kills only")
      .flag("--verbose", options.verbose, "tell crashes and restarts")
      .flag("--coverage", coverage, "print how often each operation was answered how")
      .flag("--expect-violation", expect_violation, "exit 0 only if a violation is found");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  options.power = !no_power;
  options.shape = shape_by_name(shape);
  if (!shape.empty() && !options.shape) {
    fmt::print("no shape is called {}\n", shape);
    return 2;
  }
  if (seed != 0) {
    from = seed;
    count = 1;
  }
  Coverage all;
  Crossing crossed;
  uint64_t requests = 0, received = 0, kills = 0, power = 0, backups = 0, ran = 0;
  const int64_t start = millrace::base::os_monotonic_ns();
  for (uint64_t s = from; s < from + count; ++s) {
    if (millrace::base::os_monotonic_ns() - start >
        static_cast<int64_t>(seconds_max) * 1'000'000'000)
      break;
    options.seed = s;
    const SimulationOutcome outcome = run_simulation(options);
    ++ran;
    requests += outcome.requests;
    received += outcome.received;
    kills += outcome.kills;
    power += outcome.power_failures;
    backups += outcome.backups;
    for (const auto& [what, times] : outcome.coverage)
      all[what] += times;
    for (const auto& [what, times] : outcome.crossing)
      for (size_t i = 0; i < kConditions; ++i)
        crossed[what][i] += times[i];
    if (!outcome.violation.empty()) {
      fmt::print("seed {}: {}\nreplay: millrace-sim --seed {} --steps {}{}{} --verbose\n", s,
                 outcome.violation, s, options.steps, no_power ? " --no-power" : "",
                 shape.empty() ? "" : " --shape " + shape);
      return expect_violation ? 0 : 1;
    }
  }
  if (coverage)
    for (const auto& [what, times] : all)
      fmt::print("{:>10} {}\n", times, what);
  if (coverage || options.verbose) print_crossing(crossed);
  fmt::print(
      "{} seeds, {} requests, {} deliveries, {} kills, {} power failures, {} backups restored, "
      "0 violations\n",
      ran, requests, received, kills, power, backups);
  return expect_violation ? 1 : 0;
}

// millrace-model: random requests to the engine and to the plain model beside it, for as long as
// they agree. tests/model/README.md says what is compared.
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "tests/model/model_run.h"
#include "tools/common/parser.h"

int main(int argc, char** argv) {
  using namespace millrace::model;
  std::string configuration = "all";
  RunOptions options;
  uint64_t seeds = 1;
  bool expect_violation = false;
  millrace::tools::Parser parser(
      "millrace-model", "The engine beside a plain model of a queue, over random requests.",
      MILLRACE_VERSION);
  parser.root()
      .option("--configuration", "NAME", configuration, "one by name, or all")
      .option("--seed", "SEED", options.seed, "the first")
      .option("--seeds", "N", seeds, "how many")
      .option("--operations", "N", options.operations, "of each seed and configuration")
      .flag("--expect-violation", expect_violation, "a bug is planted (base/planted.h)")
      .flag("--trace", options.trace, "print each request and its answer");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;

  int violations = 0;
  for (const std::string_view name : configurations()) {
    if (configuration != "all" && configuration != name) continue;
    RunReport sum;
    options.configuration = name;
    const uint64_t first = options.seed;
    for (uint64_t i = 0; i < seeds; ++i) {
      RunOptions one = options;
      one.seed = first + i;
      const RunReport report = run_model(one);
      sum.operations += report.operations;
      sum.sent += report.sent;
      sum.repeated += report.repeated;
      sum.delivered += report.delivered;
      sum.acknowledged += report.acknowledged;
      sum.late += report.late;
      sum.extended += report.extended;
      sum.dead_lettered += report.dead_lettered;
      sum.moved_back += report.moved_back;
      sum.purges += report.purges;
      sum.restarts += report.restarts;
      sum.noisy += report.noisy;
      if (report.violation.empty()) continue;
      ++violations;
      fmt::print("VIOLATION {}\n", report.violation);
    }
    fmt::print(
        "{:<20} {} operations: {} sent, {} repeated, {} delivered, {} acknowledged, {} late, "
        "{} extended, {} of dead letters, {} moved back, {} purges, {} restarts, "
        "{} noisy\n",
        name, sum.operations, sum.sent, sum.repeated, sum.delivered, sum.acknowledged, sum.late,
        sum.extended, sum.dead_lettered, sum.moved_back, sum.purges, sum.restarts, sum.noisy);
    std::fflush(stdout);
  }
  return (violations > 0) == expect_violation ? 0 : 1;
}

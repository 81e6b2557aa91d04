// millrace-small-world: every short sequence of operations, with a power failure after each call of
// the disk and every subset of what was not synced. tests/sim/README.md says what is enumerated.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/sim/small_world.h"

int main(int argc, char** argv) {
  using namespace millrace::sim;
  uint32_t length = 2, part = 0, parts = 1;
  std::string sequence;
  CLI::App app{"Every short sequence of operations, with a power failure at each call"};
  app.add_option("--length", length, "of the longest sequences")->capture_default_str();
  app.add_option("--part", part, "run one part of them: this, from 0 on")->capture_default_str();
  app.add_option("--parts", parts, "... of so many")->capture_default_str();
  app.add_option("--sequence", sequence, "only this one, in letters");
  CLI11_PARSE(app, argc, argv);
  for (const char operation : sequence) {
    if (kSmallOperations.find(operation) == std::string_view::npos) {
      fmt::print("'{}' is none of {}\n", operation, kSmallOperations);
      return 2;
    }
    fmt::print("{}: {}\n", operation, small_operation_text(operation));
  }
  const SmallWorldReport report =
      sequence.empty() ? try_all_sequences(length, part, parts) : try_sequence(sequence);
  fmt::print("{} crash points, {} of them with every subset, {} images recovered\n",
             report.crash_points, report.all_subsets, report.images);
  if (report.violation.empty()) return 0;
  fmt::print("VIOLATION {}\n", report.violation);
  return 1;
}

// millrace-small-world: every short sequence of operations, with a power failure after each call of
// the disk and every subset of what was not synced. tests/sim/README.md says what is enumerated.
#include <fmt/format.h>

#include "tests/sim/small_world.h"
#include "tools/common/parser.h"

int main(int argc, char** argv) {
  using namespace millrace::sim;
  uint64_t length = 2, part = 0, parts = 1;
  std::string sequence;
  millrace::tools::Parser parser(
      "millrace-small-world",
      "Every short sequence of operations, with a power failure at each call", MILLRACE_VERSION);
  parser.root()
      .option("--length", "COUNT", length, "of the longest sequences (2)")
      .option("--part", "NUMBER", part, "run one part of them: this, from 0 on (0)")
      .option("--parts", "COUNT", parts, "... of so many (1)")
      .option("--sequence", "LETTERS", sequence, "only this one");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  for (const char operation : sequence) {
    if (kSmallOperations.find(operation) == std::string_view::npos) {
      fmt::print("'{}' is none of {}\n", operation, kSmallOperations);
      return 2;
    }
    fmt::print("{}: {}\n", operation, small_operation_text(operation));
  }
  const SmallWorldReport report =
      sequence.empty()
          ? try_all_sequences(static_cast<uint32_t>(length), static_cast<uint32_t>(part),
                              static_cast<uint32_t>(parts))
          : try_sequence(sequence);
  fmt::print("{} crash points, {} of them with every subset, {} images recovered\n",
             report.crash_points, report.all_subsets, report.images);
  if (report.violation.empty()) return 0;
  fmt::print("VIOLATION {}\n", report.violation);
  return 1;
}

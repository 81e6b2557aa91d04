// millrace-abuse: a real millraced among peers that are slow, deaf, rude or too many, while clients
// that do everything right are served.
//
//   millrace-abuse --server build/tools/millraced
//   millrace-abuse --server build/tools/millraced --connections 10000 --byte-ms 10000
//                  --connects 5000 --phase-ms 10000 --rounds 3 --strict
//
// Each kind of abuse is measured in turns with quiet ones. Exit 0: everything that deserved an
// answer got it, the server stayed, its memory within bounds and its descriptors as before, and
// stopped in the middle of it all it lost nothing it had answered; with --strict also the promised
// rates. 1: not so. 2: the run itself failed. 77: the reactor asked for cannot be had.
#include <string>

#include "tests/blackbox/abuse_run.h"
#include "tools/common/parser.h"
#include "tools/common/quantity.h"

int main(int argc, char** argv) {
  using namespace millrace::tools;
  millrace::blackbox::AbuseOptions options;
  std::string connections = "200", byte_ms = "1000", connects = "2000", phase_ms = "1000",
              rounds = "1";
  Parser parser("millrace-abuse", "Hostile and slow peers for a real millraced.", MILLRACE_VERSION);
  parser.root()
      .option("--server", "PROGRAM", options.server, "millraced")
      .option("--reactor", "NAME", options.reactor, "auto, uring or epoll [auto]")
      .option("--connections", "N", connections, "slow ones [200]", whole_between(10, 15'000))
      .option("--byte-ms", "MS", byte_ms, "each of them sends a byte so often [1000]",
              whole_between(1, 60'000))
      .option("--connects", "N", connects, "connects a second of a flood [2000]",
              whole_between(1, 100'000))
      .option("--phase-ms", "MS", phase_ms, "length of a measurement [1000]",
              whole_between(10, 600'000))
      .option("--rounds", "N", rounds, "measurements of each kind [1]", whole_between(1, 1'000))
      .option("--only", "KIND", options.only, "slow, deaf, rude, flood or pipelines; all")
      .flag("--strict", options.strict, "the promised rates are asked for");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  options.connections = parse_whole(connections).value_or(0);
  options.byte_ms = parse_whole(byte_ms).value_or(0);
  options.connects_per_second = parse_whole(connects).value_or(0);
  options.phase_ms = parse_whole(phase_ms).value_or(0);
  options.rounds = parse_whole(rounds).value_or(0);
  return millrace::blackbox::AbuseRun(options).go();
}

// millrace-crash: kills a real millraced under load, again and again, and judges what its clients
// saw.
//
//   millrace-crash --server build/tools/millraced --check build/tests/checker/millrace-check
//   --cycles 30 --doubles 10
//
// A cycle: start, load from connections of both protocols, SIGKILL at a random microsecond. A
// double crash kills the next start too, somewhere in its recovery. At the end everything is
// drained and the histories go to the checker. With --point-rounds N a server with crash points
// (millraced-planted) kills itself at each of them, N times. With --images N the server runs on a
// shadow disk, and from each killed server N power-loss images are made and examined: every image
// must hold what was acknowledged. Exit 0: no violation. 1: a violation, with the folder kept. 2:
// the run itself failed.
#include <filesystem>
#include <stdlib.h>

#include <fmt/format.h>

#include "tests/blackbox/crash_run.h"
#include "tools/common/parser.h"

int main(int argc, char** argv) {
  using namespace millrace::blackbox;
  CrashOptions options;
  bool keep = false;
  millrace::tools::Parser parser("millrace-crash",
                                 "Kills a millraced under load and judges what its clients saw.",
                                 MILLRACE_VERSION);
  parser.root()
      .option("--server", "PATH", options.server, "millraced; needed")
      .option("--check", "PATH", options.check, "millrace-check; needed")
      .option("--folder", "PATH", options.folder, "where to work; default: a temporary folder")
      .option("--cycles", "N", options.cycles, "kills under load")
      .option("--doubles", "N", options.doubles, "of which followed by a kill in recovery")
      .option("--images", "N", options.images, "power-loss images made of each killed server")
      .option("--alike", "N", options.alike,
              "recover what every N-th kill or image left twice; 0: never")
      .option("--point-rounds", "N", options.point_rounds,
              "through all crash points, instead of cycles")
      .option("--point", "NAME", options.point, "of them only this")
      .option("--clients", "N", options.clients, "connections of the binary protocol")
      .option("--http-clients", "N", options.http_clients, "connections of SQS's JSON protocol")
      .option("--shards", "N", options.shards, "shards of the server")
      .option("--durability", "MODE", options.durability,
              "commit, interval=MS, none, or mixed: another at each start")
      .option("--reactor", "NAME", options.reactor,
              "uring or epoll; default: another at each start")
      .option("--load-ms-max", "MS", options.load_ms_max, "longest load before a kill")
      .option("--seed", "SEED", options.seed, "of the load; the kill's moment is the machine's")
      .option("--expect", "RULE", options.expected,
              "which the checker must find broken: of a server with a planted bug")
      .flag("--keep", keep, "keep the folder");
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  if (options.server.empty() || options.check.empty()) {
    fmt::print(stderr, "millrace-crash: --server and --check are needed\n");
    return 2;
  }
  const bool own_folder = options.folder.empty();
  if (own_folder) {
    std::string name = (std::filesystem::temp_directory_path() / "millrace-crash-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      fmt::print(stderr, "millrace-crash: cannot make a temporary folder\n");
      return 2;
    }
    options.folder = name;
  }
  const int code = CrashRun(options).go();
  if (code == 0 && own_folder && !keep) std::filesystem::remove_all(options.folder);
  return code;
}

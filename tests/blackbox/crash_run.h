// CrashRun: a server that is killed under load, again and again, its clients, and the judgement of
// what they saw.
//
// Threads: one, and one for the time of a load that strikes at a random microsecond.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "clients/cpp/blocking_client.h"
#include "tests/blackbox/crash_points.h"
#include "tests/blackbox/crash_queues.h"
#include "tests/blackbox/history_client.h"
#include "tests/blackbox/server_process.h"
#include "tests/checker/history_writer.h"

namespace millrace::blackbox {

struct CrashOptions {
  std::string server, check, folder;
  std::string durability = "commit";  // or mixed: another at each start
  std::string reactor;                // empty: another at each start
  uint64_t cycles = 30, doubles = 10, clients = 3, http_clients = 2, shards = 2, images = 0;
  uint64_t alike = 10;        // every so many kills (and images) recovered twice
  uint64_t point_rounds = 0;  // through all crash points, instead of cycles
  std::string point;          // of those only these
  std::string expected;       // the rule that is broken: a planted bug's
  uint64_t load_ms_min = 20, load_ms_max = 250;
  uint64_t seed = 1;
};

class CrashRun {
 public:
  explicit CrashRun(const CrashOptions& options) : options_(options), prng_(options.seed) {}
  // 0: no violation, or the one that is expected. 1: a violation. 2: the run itself failed.
  int go();

 private:
  bool set_up();
  bool boot();
  bool make_queues();
  bool make_topic(client::BlockingClient& client);
  bool connect_clients();
  // Until the server is gone; `strike`: kills it after a random time.
  bool load(bool strike, int64_t until_ns);
  bool load_and_kill();
  bool double_crash();
  bool cycles();
  bool points();
  bool strike(const CrashPoint& point, bool* struck);
  bool strike_under_load(bool* struck);
  bool strike_a_start(bool* struck);
  bool strike_the_stop(bool* struck);
  void choose_start();
  void lose_clients();
  void note_death(int64_t begun_ns);
  bool examine(uint64_t kill);
  bool examine_images(uint64_t kill);
  bool end_moves();
  bool drain();
  bool drain_together(const std::vector<size_t>& queues);
  int judge();
  bool found_expected() const;
  bool failed(std::string why);
  bool violated(std::string why);
  std::string path(const char* name) const { return options_.folder + "/" + name; }

  CrashOptions options_;
  base::Prng prng_;
  World world_;
  ServerCommand command_;
  ServerProcess server_;
  checker::HistoryWriter history_;
  std::vector<std::unique_ptr<HistoryClient>> clients_;
  std::map<std::string, uint32_t> struck_;
  std::string why_;
  bool has_topic_ = false;
  bool violation_ = false;
  uint32_t kills_ = 0, doubles_ = 0, images_ = 0, alike_ = 0, drainers_ = 0;
};

}  // namespace millrace::blackbox

// millrace-crash: kills a real millraced under load, again and again, and judges what its clients
// saw.
//
//   millrace-crash --server build/tools/millraced --check build/tests/checker/millrace-check
//   --cycles 30 --doubles 10
//
// A cycle: start, load from several connections, SIGKILL at a random microsecond. A double crash
// kills the next start too, somewhere in its recovery. At the end everything is drained and the
// histories go to the checker. With --images N the server runs on a shadow disk, and from each
// killed server N power-loss images are made and examined: every image must hold what was
// acknowledged. Exit 0: no violation. 1: a violation, with the folder kept. 2: the run itself
// failed.
#include <atomic>
#include <filesystem>
#include <memory>
#include <stdlib.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "base/prng.h"
#include "clients/cpp/blocking_client.h"
#include "tests/blackbox/history_client.h"
#include "tests/blackbox/image_check.h"
#include "tests/blackbox/power_image.h"
#include "tests/blackbox/server_process.h"
#include "tests/checker/history_writer.h"
#include "tools/common/parser.h"

namespace millrace::blackbox {
namespace {

struct Options {
  std::string server, check, folder, durability = "commit", reactor;
  uint64_t cycles = 30, doubles = 10, clients = 4, shards = 2, queues = 2, images = 0;
  uint64_t load_ms_min = 20, load_ms_max = 250;
  uint64_t seed = 1;
  bool keep = false;
};

constexpr int kStartMs = 20'000;
constexpr uint32_t kDeliveriesMax = 1'000'000;

class CrashRun {
 public:
  explicit CrashRun(const Options& options) : options_(options), prng_(options.seed) {}
  int go();

 private:
  bool set_up();
  bool boot();
  bool make_queues();
  bool load_and_kill();
  bool double_crash();
  bool examine_images(uint64_t cycle);
  bool drain();
  int judge();
  int failed(const std::string& why) const {
    fmt::print(stderr, "millrace-crash: {}\n", why);
    return 2;
  }
  std::string path(const char* name) const { return options_.folder + "/" + name; }

  Options options_;
  base::Prng prng_;
  ServerCommand command_;
  ServerProcess server_;
  checker::HistoryWriter history_;
  std::vector<Queue> queues_;
  std::vector<std::unique_ptr<HistoryClient>> clients_;
  Obligations obligations_;
  std::string why_;
  uint32_t kills_ = 0, images_ = 0;
};

bool CrashRun::set_up() {
  std::filesystem::create_directories(path("history"));
  std::filesystem::create_directories(path("images"));
  command_ = {.program = options_.server,
              .data_directory = path("data"),
              .socket_path = path("socket"),
              .arguments = {"--shards", std::to_string(options_.shards), "--durability",
                            options_.durability, "--segment-size", "4MiB"},
              .environment = {},
              .log_path = path("server.log")};
  if (options_.images > 0) command_.environment.emplace_back("MILLRACE_SHADOW", path("shadow"));
  if (!options_.reactor.empty())
    command_.environment.emplace_back("MILLRACE_REACTOR", options_.reactor);
  for (uint64_t i = 0; i < options_.queues; ++i)
    queues_.push_back({fmt::format("crash-{}", i)});
  for (uint64_t i = 0; i < options_.clients; ++i)
    clients_.push_back(std::make_unique<HistoryClient>(
        fmt::format("c{}", i), path("history"), prng_.next(), options_.durability, &obligations_));
  return history_.open(path("history") + "/harness.jsonl", "harness");
}

bool CrashRun::boot() {
  const uint64_t number = history_.begin("boot", {});
  if (!server_.start(command_, kStartMs, &why_)) return false;
  history_.end(number, "ok", "boot", {});
  history_.flush();
  return true;
}

bool CrashRun::make_queues() {
  auto connected = client::BlockingClient::connect("unix:" + command_.socket_path, {}, &why_);
  if (!connected) return false;
  for (Queue& queue : queues_) {
    checker::HistoryFields fields;
    fields.q = queue.name;
    fields.v = kVisibilityMsLongest;
    const uint64_t number = history_.begin("mkq", fields);
    const QueueSettings settings{
        .attributes = {
            {"VisibilityTimeout", fmt::format("{:.3f}", kVisibilityMsLongest / 1000.0)}}};
    const auto id = (*connected)->create_queue(queue.name, settings);
    if (!id) {
      why_ = fmt::format("cannot create {}: {}", queue.name, (*connected)->error_text());
      return false;
    }
    queue.id = *id;
    history_.end(number, "ok", "mkq", {});
  }
  return history_.flush();
}

bool CrashRun::load_and_kill() {
  for (auto& client : clients_)
    if (!client->connect("unix:" + command_.socket_path, queues_)) {
      why_ = "a client cannot connect: " + client->complaint();
      return false;
    }
  const uint64_t load_us = prng_.between(options_.load_ms_min * 1000, options_.load_ms_max * 1000);
  const uint64_t number = history_.begin("kill", {});
  const pid_t pid = server_.pid();
  // A thread of its own, so that the blow falls between any two instructions of server and clients.
  std::thread killer([pid, load_us] {
    usleep(static_cast<useconds_t>(load_us));
    ::kill(pid, SIGKILL);
  });
  const int64_t give_up =
      base::os_monotonic_ns() + static_cast<int64_t>(load_us) * 1000 + int64_t{20} * 1'000'000'000;
  size_t connected = clients_.size();
  while (connected > 0 && base::os_monotonic_ns() < give_up) {
    connected = 0;
    for (auto& client : clients_)
      if (client->turn(1)) ++connected;
  }
  killer.join();
  server_.kill9();
  history_.end(number, "ok", "kill", {});
  history_.flush();
  ++kills_;
  for (auto& client : clients_) {
    if (!client->complaint().empty()) why_ = client->complaint();
    if (client->failed()) why_ = "a history cannot be written";
  }
  if (connected > 0) why_ = "clients did not notice that the server is gone";
  return why_.empty();
}

bool CrashRun::double_crash() {
  const uint64_t number = history_.begin("kill", {});
  if (!server_.launch(command_, &why_)) return false;
  usleep(static_cast<useconds_t>(prng_.below(40'000)));
  server_.kill9();
  history_.end(number, "ok", "kill", {});
  return history_.flush();
}

bool CrashRun::examine_images(uint64_t cycle) {
  for (uint64_t i = 0; i < options_.images; ++i) {
    const std::string image = path("images") + "/image";
    std::filesystem::remove_all(image);
    const uint64_t seed = prng_.next();
    base::Prng prng(seed);
    make_power_image(path("data"), path("shadow"), image, prng,
                     {.granularity = i % 2 == 0 ? 512u : 4096u, .torn = prng.chance(1, 2)});
    ++images_;
    const std::string broken = check_image(image, queues_, obligations_);
    if (!broken.empty()) {
      why_ = fmt::format("power-loss image {} of cycle {} (seed {}): {}", i, cycle, seed, broken);
      return false;
    }
  }
  return true;
}

bool CrashRun::drain() {
  for (const Queue& queue : queues_) {
    checker::HistoryFields fields;
    fields.q = queue.name;
    const uint64_t number = history_.begin("drain", fields);
    HistoryClient drainer("drain-" + queue.name, path("history"), prng_.next(), options_.durability,
                          &obligations_);
    if (!drainer.connect("unix:" + command_.socket_path, {queue}) ||
        !drainer.drain(queue, kDeliveriesMax)) {
      why_ = "the drain failed: " + drainer.complaint();
      return false;
    }
    auto connected = client::BlockingClient::connect("unix:" + command_.socket_path, {}, &why_);
    if (!connected) return false;
    const auto stats = (*connected)->queue_stats({&queue.id, 1});
    if (!stats || stats->size() != 1) {
      why_ = "no counters after the drain";
      return false;
    }
    const QueueCounters& c = (*stats)[0].counters;
    checker::HistoryFields end;
    end.n = c.ready + c.leased + c.delayed;
    history_.end(number, "ok", "drain", end);
  }
  return history_.flush();
}

int CrashRun::judge() {
  const std::string command =
      fmt::format("'{}' '{}' > '{}' 2>&1", options_.check, path("history"), path("verdict.txt"));
  const int status = std::system(command.c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
  uint64_t sends = 0, deletes = 0;
  for (auto& client : clients_) {
    sends += client->sends();
    deletes += client->deletes();
  }
  fmt::print(
      "{} kills, {} double crashes, {} power-loss images, {} sends, {} deletes, durability {}: "
      "{}\n",
      kills_, options_.doubles, images_, sends, deletes, options_.durability,
      code == 0 ? "0 violations" : "VIOLATIONS");
  if (code != 0) {
    fmt::print("histories and verdict.txt are in {}; seed {}\n", options_.folder, options_.seed);
    if (std::system(fmt::format("cat '{}'", path("verdict.txt")).c_str()) != 0)
      fmt::print("the verdict cannot be read\n");
  }
  return code;
}

int CrashRun::go() {
  if (!set_up()) return failed("cannot write to " + options_.folder);
  if (!boot() || !make_queues()) return failed(why_);
  uint64_t doubles_left = options_.doubles;
  for (uint64_t cycle = 0; cycle < options_.cycles; ++cycle) {
    if (!load_and_kill()) return failed(why_);
    if (!examine_images(cycle)) {
      fmt::print("VIOLATION: {} (folder {}, seed {})\n", why_, options_.folder, options_.seed);
      return 1;
    }
    if (doubles_left > 0) {
      --doubles_left;
      if (!double_crash()) return failed(why_);
    }
    if (!boot()) return failed(why_);
  }
  if (!drain()) return failed(why_);
  const int code = server_.terminate(10'000);
  if (code != 0) return failed(fmt::format("the server ended with {} after SIGTERM", code));
  return judge();
}

}  // namespace
}  // namespace millrace::blackbox

int main(int argc, char** argv) {
  using namespace millrace::blackbox;
  Options options;
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
      .option("--clients", "N", options.clients, "connections")
      .option("--shards", "N", options.shards, "shards of the server")
      .option("--queues", "N", options.queues, "queues")
      .option("--durability", "MODE", options.durability, "commit, interval=MS or none")
      .option("--reactor", "NAME", options.reactor, "uring or epoll")
      .option("--load-ms-max", "MS", options.load_ms_max, "longest load before a kill")
      .option("--seed", "SEED", options.seed, "of the load; the kill's moment is the machine's")
      .flag("--keep", options.keep, "keep the folder");
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
  if (code == 0 && own_folder && !options.keep) std::filesystem::remove_all(options.folder);
  return code;
}

#include "tests/blackbox/crash_run.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "tests/blackbox/binary_history_client.h"
#include "tests/blackbox/http_history_client.h"
#include "tests/blackbox/image_check.h"
#include "tests/blackbox/power_image.h"
#include "tests/blackbox/recovered_state.h"

namespace millrace::blackbox {
namespace {

constexpr int kStartMs = 20'000;
constexpr int kStopMs = 10'000;
constexpr int kNoticeMs = 1'000;
constexpr int64_t kMsNs = 1'000'000;
constexpr int64_t kGiveUpNs = 20'000 * kMsNs;
constexpr int64_t kPointNs = 8'000 * kMsNs;  // a crash point is reached by then, or never
constexpr int64_t kDrainNs = 240'000 * kMsNs;
constexpr uint64_t kRecoveryUsMax = 40'000;
constexpr int kPointTries = 4;
constexpr const char* kCrashAt = "MILLRACE_CRASH_AT";

}  // namespace

bool CrashRun::failed(std::string why) {
  if (why_.empty()) why_ = std::move(why);
  return false;
}

bool CrashRun::violated(std::string why) {
  violation_ = true;
  return failed(std::move(why));
}

bool CrashRun::set_up() {
  // The keys of one run mean other messages in the next.
  if (std::error_code ignored; std::filesystem::exists(options_.folder, ignored) &&
                               !std::filesystem::is_empty(options_.folder, ignored))
    return failed(fmt::format("--folder {}: not empty", options_.folder));
  std::filesystem::create_directories(path("history"));
  std::filesystem::create_directories(path("images"));
  command_ = {.program = options_.server,
              .data_directory = path("data"),
              .socket_path = path("socket"),
              .arguments = {},
              .environment = {},
              .http = "unix:" + path("http"),
              .log_path = path("server.log")};
  for (uint64_t i = 0; i < options_.clients + options_.http_clients; ++i) {
    const std::string name = fmt::format("{}{}", i < options_.clients ? "c" : "http", i);
    if (i < options_.clients)
      clients_.push_back(
          std::make_unique<BinaryHistoryClient>(name, path("history"), prng_.next(), &world_));
    else
      clients_.push_back(
          std::make_unique<HttpHistoryClient>(name, path("history"), prng_.next(), &world_));
  }
  choose_start();
  return history_.open(path("history") + "/harness.jsonl", "harness") ||
         failed("cannot write to " + options_.folder);
}

// How it is started next: one run has seen all there is.
void CrashRun::choose_start() {
  static constexpr const char* kLevels[] = {"commit", "interval=20", "none"};
  if (options_.durability != "mixed")
    world_.durability = options_.durability;
  else
    world_.durability = kLevels[prng_.below(3)];
  command_.arguments = {"--shards",       std::to_string(options_.shards),
                        "--durability",   world_.durability,
                        "--segment-size", "4MiB"};
  command_.environment.clear();
  if (options_.images > 0) command_.environment.emplace_back("MILLRACE_SHADOW", path("shadow"));
  const std::string reactor = !options_.reactor.empty() ? options_.reactor
                              : prng_.chance(1, 2)      ? "uring"
                                                        : "epoll";
  command_.environment.emplace_back("MILLRACE_REACTOR", reactor);
}

bool CrashRun::boot() {
  const uint64_t number = history_.begin("boot", {});
  if (!server_.start(command_, kStartMs, &why_)) {
    history_.end(number, "info", "boot", {});
    return false;
  }
  history_.end(number, "ok", "boot", {});
  history_.flush();
  return true;
}

// At the first start, and whenever a kill may have come between a deletion and a creation.
bool CrashRun::make_queues() {
  auto connected = client::BlockingClient::connect("unix:" + command_.socket_path, {}, &why_);
  if (!connected) return false;
  for (Queue& queue : world_.queues) {
    if (queue.id != QueueId{} && !queue.made_again) continue;
    const uint64_t number = history_.begin("mkq", fields_of(world_.queues, queue));
    const auto id = (*connected)->create_queue(queue.name, settings_of(world_.queues, queue));
    if (!id)
      return failed(fmt::format("cannot create {}: {}", queue.name, (*connected)->error_text()));
    queue.id = *id;
    history_.end(number, "ok", "mkq", {});
  }
  return make_topic(**connected) && history_.flush();
}

// Once: it and its subscriptions outlive the server.
bool CrashRun::make_topic(client::BlockingClient& client) {
  if (has_topic_) return true;
  has_topic_ = client.create_topic(kTopic).has_value();
  const NamedText raw_delivery{"RawMessageDelivery", "true"};
  for (const Queue& queue : world_.queues)
    if (queue.subscribed && has_topic_)
      has_topic_ =
          client.subscribe_topic(kTopic, "sqs", queue.name, {&raw_delivery, 1}).has_value();
  return has_topic_ || failed(fmt::format("cannot create a topic: {}", client.error_text()));
}

bool CrashRun::connect_clients() {
  for (size_t i = 0; i < clients_.size(); ++i)
    if (!clients_[i]->connect(i < options_.clients ? "unix:" + command_.socket_path
                                                   : command_.http))
      return failed("a client cannot connect: " + clients_[i]->complaint());
  return true;
}

void CrashRun::note_death(int64_t begun_ns) {
  const uint64_t number = history_.begin_at(begun_ns, "kill", {});
  history_.end(number, "ok", "kill", {});
  history_.flush();
  ++kills_;
}

bool CrashRun::load(bool strike, int64_t until_ns) {
  const uint64_t load_us = prng_.between(options_.load_ms_min * 1000, options_.load_ms_max * 1000);
  const pid_t pid = server_.pid();
  int64_t begun_ns = base::os_monotonic_ns();  // earlier than it dies by itself, for sure
  // A thread of its own, so that the blow falls between any two instructions of server and clients.
  std::thread killer;
  if (strike)
    killer = std::thread([pid, load_us, &begun_ns] {
      usleep(static_cast<useconds_t>(load_us));
      begun_ns = base::os_monotonic_ns();
      ::kill(pid, SIGKILL);
    });
  size_t connected = clients_.size();
  while (connected > 0 && base::os_monotonic_ns() < until_ns) {
    connected = 0;
    std::vector<pollfd> waits;
    for (auto& client : clients_) {
      if (!client->turn()) continue;
      ++connected;
      waits.push_back({client->fd(), POLLIN, 0});
    }
    ::poll(waits.data(), waits.size(), 1);
  }
  if (killer.joinable()) killer.join();
  for (auto& client : clients_) {
    if (!client->complaint().empty()) return failed(client->complaint());
    if (client->failed()) return failed("a history cannot be written");
  }
  if (connected > 0) return !strike || failed("clients did not notice that the server is gone");
  server_.kill9();
  note_death(begun_ns);
  return true;
}

bool CrashRun::load_and_kill() {
  return connect_clients() && load(true, base::os_monotonic_ns() + kGiveUpNs);
}

bool CrashRun::double_crash() {
  const int64_t begun_ns = base::os_monotonic_ns();
  choose_start();
  if (!server_.launch(command_, &why_)) return false;
  usleep(static_cast<useconds_t>(prng_.below(kRecoveryUsMax)));
  server_.kill9();
  note_death(begun_ns);
  ++doubles_;
  return true;
}

// --- what a killed server left ---

bool CrashRun::examine(uint64_t kill) {
  if (options_.alike > 0 && kill % options_.alike == 0) {
    const std::string differs = recovers_alike(path("data"), path("images"));
    if (!differs.empty())
      return violated(fmt::format("two starts from what kill {} left: {}", kill, differs));
    ++alike_;
  }
  return options_.images == 0 || examine_images(kill);
}

bool CrashRun::examine_images(uint64_t kill) {
  PowerImages images(path("data"), path("shadow"));
  for (uint64_t i = 0; i < options_.images; ++i) {
    const std::string image = path("images") + "/image";
    std::filesystem::remove_all(image);
    const uint64_t seed = prng_.next();
    base::Prng prng(seed);
    images.make(image, prng, {.granularity = i % 2 == 0 ? 512u : 4096u, .torn = prng.chance(1, 2)});
    ++images_;
    std::string broken;
    if (options_.alike > 0 && i % options_.alike == 0) {
      broken = recovers_alike(image, path("images"));
      ++alike_;
    }
    if (broken.empty()) broken = check_image(image, world_);
    if (!broken.empty())
      return violated(
          fmt::format("power-loss image {} of kill {} (seed {}): {}", i, kill, seed, broken));
  }
  return true;
}

// --- random moments ---

bool CrashRun::cycles() {
  uint64_t doubles_left = options_.doubles;
  for (uint64_t cycle = 0; cycle < options_.cycles; ++cycle) {
    if (!load_and_kill() || !examine(cycle)) return false;
    // Spread over the run, that the log they replay is as long as any.
    if (prng_.below(options_.cycles - cycle) < doubles_left) {
      --doubles_left;
      if (!double_crash()) return false;
    }
    choose_start();
    if (!boot() || !make_queues()) return false;
  }
  return true;
}

// --- crash points ---

// The server runs with the point set. It is killed in the end, struck or not.
bool CrashRun::strike_under_load(bool* struck) {
  const int64_t booted_ns = base::os_monotonic_ns();
  if (!boot() || !make_queues() || !connect_clients()) {
    // It may come to the point before there is any load.
    *struck = server_.ended() || server_.gone_within(kNoticeMs);
    if (!*struck) return false;
    why_.clear();
    note_death(booted_ns);
    lose_clients();
    return true;
  }
  if (!load(false, base::os_monotonic_ns() + kPointNs)) return false;
  *struck = server_.pid() < 0;
  if (*struck) return true;
  const int64_t begun_ns = base::os_monotonic_ns();
  server_.kill9();
  note_death(begun_ns);
  lose_clients();
  return true;
}

// They see that the server is gone, and note so what is under way.
void CrashRun::lose_clients() {
  for (auto& client : clients_)
    while (client->turn()) {
    }
}

// The server is launched with the point set.
bool CrashRun::strike_a_start(bool* struck) {
  const int64_t begun_ns = base::os_monotonic_ns();
  if (!server_.launch(command_, &why_)) return false;
  *struck = server_.gone_before_ready(kStartMs);
  server_.kill9();
  note_death(begun_ns);
  return true;
}

bool CrashRun::strike_the_stop(bool* struck) {
  const int64_t begun_ns = base::os_monotonic_ns();
  *struck = server_.terminate(kStopMs) == -1;
  note_death(begun_ns);
  lose_clients();
  return true;
}

// Begins and ends with a server that is down.
bool CrashRun::strike(const CrashPoint& point, bool* struck) {
  const uint64_t times = prng_.between(1, point.times_max);
  const auto set = [&] {
    choose_start();
    command_.environment.emplace_back(kCrashAt, fmt::format("{}:{}", point.name, times));
  };
  *struck = false;
  switch (point.reached) {
    case Reached::under_load:
      set();
      return strike_under_load(struck);
    case Reached::stopping:
      set();
      if (!boot() || !make_queues() || !connect_clients()) return false;
      if (!load(false, base::os_monotonic_ns() + 100 * kMsNs)) return false;
      return strike_the_stop(struck);
    case Reached::starting_in_recovery:
      choose_start();
      command_.environment.emplace_back(kCrashAt, "recovery-committed:3");
      if (!strike_a_start(struck)) return false;
      *struck = false;
      set();
      return strike_a_start(struck);
    case Reached::starting:
      set();
      return strike_a_start(struck);
    case Reached::starting_again:
      choose_start();
      if (!boot()) return false;
      if (server_.terminate(kStopMs) != 0) return failed("the server did not stop in order");
      set();
      return strike_a_start(struck);
    case Reached::first_start: {
      const std::string data = command_.data_directory;
      set();
      command_.data_directory = path("new");
      std::filesystem::remove_all(path("new"));
      bool done = strike_a_start(struck);
      // What it left can be started.
      choose_start();
      if (done && *struck) done = server_.start(command_, kStartMs, &why_);
      server_.kill9();
      command_.data_directory = data;
      return done;
    }
  }
  return false;
}

bool CrashRun::points() {
  if (!load_and_kill()) return false;
  for (uint64_t round = 0; round < options_.point_rounds; ++round)
    for (const CrashPoint& point : kCrashPoints) {
      if (!options_.point.empty() && options_.point != point.name) continue;
      bool struck = false;
      for (int i = 0; i < kPointTries && !struck; ++i) {
        if (!strike(point, &struck)) return false;
        if (!examine(kills_)) return false;
        // A kill at any time, or in recovery, before the next.
        if (prng_.chance(1, 3) && !double_crash()) return false;
        choose_start();
        if (!boot() || !make_queues() || !load_and_kill()) return false;
      }
      struck_[point.name] += struck ? 1 : 0;
    }
  choose_start();
  return boot() && make_queues();
}

// --- the end ---

// A move task would go on moving while the queues are drained.
bool CrashRun::end_moves() {
  auto connected = client::BlockingClient::connect("unix:" + command_.socket_path, {}, &why_);
  if (!connected) return false;
  for (const Queue& queue : world_.queues) {
    if (queue.moved_to == Queue::kNowhere) continue;
    const auto canceled = (*connected)->cancel_move(queue.id);
    if (!canceled && canceled.error() != Errc::move_task_not_found)
      return failed("a move task cannot be ended: " + std::string((*connected)->error_text()));
  }
  return true;
}

bool CrashRun::drain() {
  if (!end_moves()) return false;
  std::vector<size_t> first, then;
  for (size_t i = 0; i < world_.queues.size(); ++i)
    (world_.queues[i].sent_to ? first : then).push_back(i);
  // What is a dead letter by then comes to the others.
  return drain_together(first) && drain_together(then);
}

bool CrashRun::drain_together(const std::vector<size_t>& queues) {
  std::vector<std::unique_ptr<HistoryClient>> drainers;
  std::vector<uint64_t> numbers;
  for (const size_t queue : queues) {
    checker::HistoryFields fields;
    fields.q = world_.queues[queue].name;
    numbers.push_back(history_.begin("drain", fields));
    drainers.push_back(std::make_unique<BinaryHistoryClient>(
        fmt::format("drain{}", drainers_++), path("history"), prng_.next(), &world_));
    if (!drainers.back()->connect("unix:" + command_.socket_path))
      return failed("a drain cannot connect");
    drainers.back()->drain(queue);
  }
  const int64_t until = base::os_monotonic_ns() + kDrainNs;
  for (size_t left = queues.size(); left > 0;) {
    if (base::os_monotonic_ns() > until) return failed("the drain does not end");
    left = 0;
    std::vector<pollfd> waits;
    for (auto& drainer : drainers) {
      if (drainer->drained()) continue;
      if (!drainer->turn()) return failed("the drain failed: " + drainer->complaint());
      waits.push_back({drainer->fd(), POLLIN, 0});
      ++left;
    }
    ::poll(waits.data(), waits.size(), 5);
  }
  auto connected = client::BlockingClient::connect("unix:" + command_.socket_path, {}, &why_);
  if (!connected) return false;
  for (size_t i = 0; i < queues.size(); ++i) {
    const auto stats = (*connected)->queue_stats({&world_.queues[queues[i]].id, 1});
    if (!stats || stats->size() != 1) return failed("no counters after the drain");
    const QueueCounters& c = (*stats)[0].counters;
    checker::HistoryFields end;
    end.n = c.ready + c.leased + c.delayed;
    history_.end(numbers[i], "ok", "drain", end);
  }
  return history_.flush();
}

// The checker tells the first violation of each rule that is broken, behind the table.
bool CrashRun::found_expected() const {
  std::ifstream verdict(path("verdict.txt"));
  for (std::string line; std::getline(verdict, line);)
    if (line.starts_with(options_.expected + " ") && line.find(": ") != std::string::npos)
      return true;
  return false;
}

int CrashRun::judge() {
  const std::string command =
      fmt::format("'{}' '{}' > '{}' 2>&1", options_.check, path("history"), path("verdict.txt"));
  const int status = std::system(command.c_str());
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
  uint64_t sends = 0, deletes = 0;
  for (auto& client : clients_) {
    sends += client->sends();
    deletes += client->deletes();
  }
  // The checker's table: how often each rule had something to judge.
  if (std::system(
          fmt::format("{} '{}'", code == 0 ? "sed -n '/^op /,$p'" : "cat", path("verdict.txt"))
              .c_str()) != 0)
    fmt::print("the verdict cannot be read\n");
  if (!options_.expected.empty()) {
    const bool found = code == 1 && found_expected();
    fmt::print("{} was {}\n", options_.expected, found ? "found broken" : "NOT found broken");
    return found ? 0 : 2;
  }
  uint32_t points = 0, never = 0;
  if (options_.point_rounds > 0) {
    for (const auto& [name, times] : struck_) {
      fmt::print("{:<28}{:>6} of {}\n", name, times, options_.point_rounds);
      points += times;
      if (times == 0) ++never;
    }
    if (never > 0) {
      fmt::print("{} crash points were never reached\n", never);
      code = std::max(code, 2);
    }
  }
  fmt::print(
      "{} kills, {} double crashes, {} strikes at crash points, {} power-loss images, {} recovered "
      "twice alike, {} sends, {} deletes, durability {}: {}\n",
      kills_, doubles_, points, images_, alike_, sends, deletes, options_.durability,
      code == 0   ? "0 violations"
      : code == 1 ? "VIOLATIONS"
                  : "the run failed");
  if (code != 0)
    fmt::print("histories and verdict.txt are in {}; seed {}\n", options_.folder, options_.seed);
  return code;
}

int CrashRun::go() {
  const bool done = set_up() && boot() && make_queues() &&
                    (options_.point_rounds > 0 ? points() : cycles()) && drain();
  if (done) {
    const int code = server_.terminate(kStopMs);
    if (code == 0) return judge();
    why_ = fmt::format("the server ended with {} after SIGTERM", code);
  }
  fmt::print("{}{} (folder {}, seed {})\n", violation_ ? "VIOLATION: " : "the run failed: ", why_,
             options_.folder, options_.seed);
  return violation_ ? 1 : 2;
}

}  // namespace millrace::blackbox

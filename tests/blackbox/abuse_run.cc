#include "tests/blackbox/abuse_run.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <set>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "clients/cpp/blocking_client.h"
#include "net/address.h"
#include "tools/bench/server_process.h"
#include "tools/common/cores.h"

namespace millrace::blackbox {
namespace {

constexpr int kStartMs = 20'000;
constexpr int kStopMs = 30'000;
constexpr int64_t kMsNs = 1'000'000;
constexpr int kSkipped = 77;
constexpr int kPatienceMs = 30'000;

// Two listeners that accept and close, on a thread.
class HarmlessListeners {
 public:
  HarmlessListeners() {
    for (size_t i = 0; i < sockets_.size(); ++i) {
      std::string message;
      auto address = net::parse_address("127.0.0.1:0", &message);
      sockets_[i] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      (void)::bind(sockets_[i], address->raw(), address->length);
      (void)::listen(sockets_[i], 4096);
      (void)::getsockname(sockets_[i], address->raw(), &address->length);
      (i == 0 ? target_.binary : target_.http) = address->text();
    }
    thread_ = std::thread([this] { accept(); });
  }
  ~HarmlessListeners() {
    stopping_.store(true);
    thread_.join();
    for (const int socket : sockets_)
      ::close(socket);
  }
  HarmlessListeners(const HarmlessListeners&) = delete;
  HarmlessListeners& operator=(const HarmlessListeners&) = delete;
  const AbuseTarget& target() const { return target_; }

 private:
  void accept() {
    std::array<pollfd, 2> waits{{{sockets_[0], POLLIN, 0}, {sockets_[1], POLLIN, 0}}};
    while (!stopping_.load()) {
      ::poll(waits.data(), waits.size(), 50);
      for (const int socket : sockets_)
        for (int accepted = 0; (accepted = ::accept(socket, nullptr, nullptr)) >= 0;)
          ::close(accepted);
    }
  }

  std::array<int, 2> sockets_{};
  AbuseTarget target_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

std::string word_behind(const std::string& line, const std::string& key) {
  const size_t at = line.find(key);
  if (at == std::string::npos) return {};
  const size_t begin = at + key.size();
  return line.substr(begin, line.find_first_of(" \n", begin) - begin);
}

}  // namespace

AbuseRun::~AbuseRun() = default;

bool AbuseRun::violated(const std::string& what) {
  fmt::print("violation: {}\n", what);
  ++violations_;
  return false;
}

ServerCommand AbuseRun::command() const {
  ServerCommand command{.program = options_.server,
                        .data_directory = folder_ / "data",
                        .listen = "127.0.0.1:0",
                        .arguments = {"--shards", "1", "--durability", "none", "--segment-size",
                                      "4MiB", "--test-api", "--log-level", "warn"},
                        .environment = {},
                        .http = "127.0.0.1:0",
                        .log_path = folder_ / "log"};
  if (options_.reactor != "auto")
    command.environment.emplace_back("MILLRACE_REACTOR", options_.reactor);
  return command;
}

int AbuseRun::start() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 2 * options_.connections / 2 + 2'000) {
    fmt::print(stderr, "millrace-abuse: only {} descriptors are allowed\n", limit.rlim_max);
    return 2;
  }
  std::string why;
  // The server has a core to itself, so that what its peers cost this process is not taken from it.
  const std::vector<uint32_t> cores = tools::available_cores();
  if (cores.size() > 1) (void)tools::pin_to_cores({cores.front()});
  const bool started = server_.start(command(), kStartMs, &why);
  if (cores.size() > 1) (void)tools::pin_to_cores({cores.begin() + 1, cores.end()});
  if (!started) {
    fmt::print(stderr, "millrace-abuse: {}\n", why);
    return options_.reactor == "uring" ? kSkipped : 2;
  }
  target_ = {word_behind(server_.ready_line(), " binary="),
             word_behind(server_.ready_line(), " http=")};
  return 0;
}

bool AbuseRun::start_clients() {
  std::string why;
  auto binary = steady_binary(target_.binary, "steady-binary", &why);
  auto http = steady_http(target_.http, "steady-http", &why);
  if (binary == nullptr || http == nullptr) return violated("no steady client: " + why);
  clients_.push_back(std::make_unique<SteadyClient>("binary", std::move(binary), false));
  clients_.push_back(std::make_unique<SteadyClient>("http", std::move(http), false));
  (void)measure(nullptr);  // warm
  return true;
}

uint64_t AbuseRun::anonymous_kb() const {
  const auto use = tools::process_use(server_.pid());
  return use ? use->anon_kb : 0;
}

uint64_t AbuseRun::descriptors() const {
  std::error_code error;
  const std::filesystem::directory_iterator open(fmt::format("/proc/{}/fd", server_.pid()), error);
  return static_cast<uint64_t>(std::distance(begin(open), end(open)));
}

// Descriptors of log files come and go, two at a time at most.
bool AbuseRun::descriptors_go_back() {
  constexpr uint64_t kLogFiles = 4;
  const int64_t until_ns = base::os_monotonic_ns() + kPatienceMs * kMsNs;
  while (descriptors() > descriptors_before_ + kLogFiles && base::os_monotonic_ns() < until_ns)
    ::usleep(20'000);
  const uint64_t now = descriptors();
  return now <= descriptors_before_ + kLogFiles ||
         violated(fmt::format("{} descriptors are open, {} were before", now, descriptors_before_));
}

// Of all its threads, by the scheduler's own clock.
double AbuseRun::processor_seconds() const {
  double seconds = 0;
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", server_.pid()), error)) {
    std::ifstream file(task.path() / "schedstat");
    double ns = 0;
    if (file >> ns) seconds += ns / 1e9;
  }
  return seconds;
}

AbuseRun::Phase AbuseRun::measure_alone(Abuser& abuser) {
  for (const auto& client : clients_)
    client->pause(true);
  ::usleep(20'000);
  const Phase phase = measure(&abuser);
  for (const auto& client : clients_)
    client->pause(false);
  return phase;
}

AbuseRun::Phase AbuseRun::measure(Abuser* abuser) {
  std::atomic<bool> over{false};
  std::thread worker;
  if (abuser != nullptr)
    worker = std::thread([&] {
      while (!over.load(std::memory_order_relaxed))
        abuser->step();
    });
  const int64_t begin_ns = base::os_monotonic_ns();
  const double processor_before = processor_seconds();
  std::vector<uint64_t> before;
  for (const auto& client : clients_)
    before.push_back(client->turns());
  ::usleep(static_cast<useconds_t>(options_.phase_ms * 1'000));
  const double seconds = static_cast<double>(base::os_monotonic_ns() - begin_ns) / 1e9;
  Phase phase{.turns = {}, .share = (processor_seconds() - processor_before) / seconds};
  for (size_t i = 0; i < clients_.size(); ++i)
    phase.turns.push_back(static_cast<double>(clients_[i]->turns() - before[i]) / seconds);
  over.store(true, std::memory_order_relaxed);
  if (worker.joinable()) worker.join();
  return phase;
}

bool AbuseRun::steady() const {
  return std::none_of(clients_.begin(), clients_.end(),
                      [](const auto& client) { return client->ended(); });
}

bool AbuseRun::one_round(const Kind& kind, Abuser& abuser, Abuser* harmless, Rates& rates) {
  std::string why;
  if (harmless != nullptr) (void)harmless->begin(&why);
  const Phase quiet = measure(harmless);
  if (harmless != nullptr) harmless->end();
  const uint64_t before_kb = anonymous_kb();
  if (!abuser.begin(&why)) return violated(fmt::format("{}: {}", kind.name, why));
  const Phase abused = measure(&abuser);
  const uint64_t after_kb = anonymous_kb();
  rates.quiet.insert(rates.quiet.end(), quiet.turns.begin(), quiet.turns.end());
  rates.abused.insert(rates.abused.end(), abused.turns.begin(), abused.turns.end());
  rates.shares.push_back(measure_alone(abuser).share);
  made_ += abuser.connections();
  if (!abuser.failure().empty())
    return violated(fmt::format("{}: {}", kind.name, abuser.failure()));
  const uint64_t grown_kb = after_kb > before_kb ? after_kb - before_kb : 0;
  fmt::print("{}: {} connections, {} KiB more memory\n", kind.name, abuser.connections(), grown_kb);
  // The deaf are bounded together (docs/operations.md), and the pool keeps 8 MiB.
  const uint64_t allowed_kb =
      kind.bytes_are_promised ? (abuser.connections() * kBytesPerConnectionMax >> 10) + (8u << 10)
                              : 400u << 10;
  if (grown_kb > allowed_kb)
    violated(fmt::format("{}: {} KiB more memory for {} connections, {} are allowed", kind.name,
                         grown_kb, abuser.connections(), allowed_kb));
  abuser.end();
  return steady() || violated(fmt::format("{}: a steady client was not served", kind.name));
}

bool AbuseRun::abuse(const Kind& kind) {
  const HarmlessListeners listeners;
  const auto abuser = kind.make(target_);
  const auto harmless = kind.compared_with_harmless ? kind.make(listeners.target()) : nullptr;
  Rates rates;
  for (uint64_t round = 0; round < options_.rounds; ++round)
    if (!one_round(kind, *abuser, harmless.get(), rates)) return false;
  for (size_t i = 0; i < clients_.size(); ++i) {
    std::vector<double> quiet, abused, kept;
    for (size_t at = i; at < rates.quiet.size(); at += clients_.size()) {
      quiet.push_back(rates.quiet[at]);
      abused.push_back(rates.abused[at]);
      kept.push_back(rates.abused[at] / std::max(rates.quiet[at], 1.0));
    }
    fmt::print("{}: {} keeps {:.2f} of {:.0f} turns a second{}\n", kind.name, clients_[i]->name(),
               median(kept), median(quiet),
               kind.compared_with_harmless ? ", the same done elsewhere" : "");
    if (median(abused) == 0)
      violated(fmt::format("{}: {} was not served at all", kind.name, clients_[i]->name()));
  }
  const double left = 1 - median(rates.shares);
  fmt::print("{}: leaves {:.3f} of the server's core\n", kind.name, left);
  if (options_.strict && kind.rate_is_promised && left < kRateKeptMin)
    violated(fmt::format("{}: leaves {:.2f} of the server's core to others, {} is promised",
                         kind.name, left, kRateKeptMin));
  return descriptors_go_back();
}

// Everything at once is open, and some send: what they were answered is there after the stop.
bool AbuseRun::stop_under_load() {
  for (const auto& client : clients_)
    client->stop();
  clients_.clear();
  std::string why;
  const auto slow = slow_abuser(target_, static_cast<uint32_t>(options_.connections),
                                static_cast<int64_t>(options_.byte_ms));
  const auto deaf = deaf_abuser(target_, 10);
  if (!slow->begin(&why) || !deaf->begin(&why)) return violated("before the stop: " + why);
  std::vector<std::unique_ptr<client::BlockingClient>> waiting;
  for (uint64_t i = 0; i < options_.connections / 10; ++i) {
    auto connected = client::BlockingClient::connect(target_.binary, {}, &why);
    const auto queue = connected ? (*connected)->create_queue("empty", {}) : fail(Errc::not_found);
    if (!queue) return violated("a long poll before the stop: " + why);
    (void)(*connected)->async().receive({.queue = *queue, .wait_ms = 20'000}, {});
    (void)(*connected)->async().flush();
    waiting.push_back(std::move(*connected));
  }
  for (const char* name : {"a", "b"}) {
    auto binary = steady_binary(target_.binary, "kept", &why);
    auto http = steady_http(target_.http, "kept", &why);
    if (binary == nullptr || http == nullptr) return violated("before the stop: " + why);
    clients_.push_back(
        std::make_unique<SteadyClient>(fmt::format("binary {}", name), std::move(binary), true));
    clients_.push_back(
        std::make_unique<SteadyClient>(fmt::format("http {}", name), std::move(http), true));
  }
  (void)measure(deaf.get());
  const int64_t begin_ns = base::os_monotonic_ns();
  const int code = server_.terminate(kStopMs);
  const int64_t took_ms = (base::os_monotonic_ns() - begin_ns) / kMsNs;
  std::vector<std::string> acknowledged;
  for (const auto& client : clients_) {
    client->stop();
    acknowledged.insert(acknowledged.end(), client->acknowledged().begin(),
                        client->acknowledged().end());
  }
  fmt::print("stop: {} ms, exit {}, with {} slow connections, 10 deaf, {} polls and {} sends\n",
             took_ms, code, options_.connections, waiting.size(), acknowledged.size());
  if (code != 0) return violated(fmt::format("stopped under load it ended with {}", code));
  if (options_.strict && took_ms >= 5'000)
    violated(fmt::format("stopped under load it took {} ms", took_ms));
  return all_is_there(acknowledged);
}

bool AbuseRun::all_is_there(const std::vector<std::string>& acknowledged) {
  std::string why;
  if (!server_.start(command(), kStartMs, &why)) return violated(why);
  auto client =
      client::BlockingClient::connect(word_behind(server_.ready_line(), " binary="), {}, &why);
  const auto queue = client ? (*client)->resolve("kept") : fail(Errc::not_found);
  if (!queue) return violated("after the stop: " + why);
  std::set<std::string> there;
  size_t received = 0;
  while (true) {
    const auto got = (*client)->receive({.queue = *queue, .messages_max = 1'000, .wait_ms = 0});
    if (!got) return violated("after the stop: " + std::string((*client)->error_text()));
    if (got->empty()) break;
    received += got->size();
    std::vector<Receipt> receipts;
    for (const client::OwnedMessage& message : *got) {
      there.insert(message.body);
      receipts.push_back(message.receipt);
    }
    if (!(*client)->ack(receipts))
      return violated("after the stop: " + std::string((*client)->error_text()));
  }
  uint64_t missing = 0;
  for (const std::string& body : acknowledged)
    missing += !there.contains(body);
  if (missing > 0)
    violated(fmt::format("{} of {} acknowledged sends are gone", missing, acknowledged.size()));
  if (received != there.size()) violated("messages came twice");
  return server_.terminate(kStopMs) == 0 || violated("the second server did not stop");
}

int AbuseRun::go() {
  if (const int code = start(); code != 0) return code;
  if (!start_clients()) return 2;
  descriptors_before_ = descriptors();
  const auto connections = static_cast<uint32_t>(options_.connections);
  const std::array kinds = {
      Kind{.name = "slow",
           .make =
               [&](const AbuseTarget& target) {
                 return slow_abuser(target, connections, static_cast<int64_t>(options_.byte_ms));
               },
           .bytes_are_promised = true},
      Kind{
          .name = "deaf",
          .make = [&](const AbuseTarget& target) { return deaf_abuser(target, connections / 10); }},
      Kind{.name = "rude", .make = [](const AbuseTarget& target) { return rude_abuser(target); }},
      Kind{.name = "flood",
           .make =
               [&](const AbuseTarget& target) {
                 return flood_abuser(target, static_cast<uint32_t>(options_.connects_per_second));
               },
           .compared_with_harmless = true},
      Kind{.name = "pipelines",
           .make = [](const AbuseTarget& target) { return pipeline_abuser(target, 20); },
           .rate_is_promised = false}};
  for (const Kind& kind : kinds) {
    std::fflush(stdout);
    if (!options_.only.empty() && options_.only != kind.name) continue;
    if (!abuse(kind) && !steady()) break;
  }
  for (const auto& client : clients_) {
    client->stop();
    if (!client->failure().empty())
      violated(fmt::format("{}: {}", client->name(), client->failure()));
  }
  if (server_.ended())
    violated(fmt::format("the server ended with {}", server_.exit_code()));
  else
    stop_under_load();
  fmt::print("{} connections, {} kinds, {} violations\n", made_, kinds.size() + 1, violations_);
  return violations_ == 0 ? 0 : 1;
}

}  // namespace millrace::blackbox

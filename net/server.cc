#include "net/server.h"

#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log_line.h"
#include "base/os_thread.h"
#include "net/address.h"
#include "net/admission.h"
#include "net/binary/protocol.h"
#include "net/http/protocol.h"
#include "net/listener.h"
#include "net/metrics/metrics_front.h"
#include "net/server_figures.h"
#include "net/shard_loop.h"
#include "net/stop_gate.h"
#include "net/tls/tls_protocol.h"

namespace millrace::net {
namespace {

using base::LogLevel;

// Ten thousand connections need as many descriptors; the soft limit is often 1024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// The cores this process may run on, if each shard can have one of its own.
std::vector<int> cores_for(uint16_t shards) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::vector<int> cores;
  if (shards < 2 || ::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  if (cores.size() < shards) cores.clear();
  return cores;
}

void pin_to(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

// How the threads tell start() that they serve, or why they cannot.
class StartReport {
 public:
  void ready(std::string_view reactor) {
    const std::lock_guard lock(mutex_);
    reactor_ = reactor;
    ++count_;
    changed_.notify_all();
  }
  void failed(Errc error, std::string text) {
    const std::lock_guard lock(mutex_);
    error_ = error;
    text_ = std::move(text);
    ++count_;
    changed_.notify_all();
  }
  Status wait_for(uint16_t threads) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ == threads; });
    if (error_ != Errc::ok) return fail(error_);
    return {};
  }
  const std::string& text() const { return text_; }
  std::string_view reactor() const { return reactor_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint16_t count_ = 0;
  Errc error_ = Errc::ok;
  std::string text_;
  std::string_view reactor_;
};

// Others than this machine reach it, unprotected.
bool is_exposed(const Address& address, const ServerOptions& options) {
  return !address.loopback() && (options.tls == nullptr || !options.authenticated);
}

ServerOptions with_holders(ServerOptions options) {
  if (options.holders == nullptr) options.holders = std::make_shared<Holders>();
  return options;
}

class ThreadedServer final : public Server {
 public:
  ThreadedServer(Broker& broker, const ServerOptions& options)
      : broker_(broker),
        options_(with_holders(options)),
        shards_(broker.shard_count()),
        gate_(shards_, options.audit),
        admission_(options.limits),
        figures_(shards_) {}
  ~ThreadedServer() override { stop(); }

  Status begin(std::string* message);
  void stop() override;

  const std::string& address() const override { return address_; }
  const std::string& http_address() const override { return http_address_; }
  std::string_view reactor() const override { return report_.reactor(); }
  uint32_t connections() const override { return admission_.connections(); }
  int fence_fd() const override { return gate_.fence_fd(); }
  bool fenced() const override { return gate_.fenced(); }

 private:
  Result<std::unique_ptr<Listener>> open_listener(const std::string& text, std::string* message);
  std::vector<Door> doors(uint16_t shard);
  ProtocolMaker behind_tls(const Listener& listener, ProtocolMaker maker) const;
  void run_shard(uint16_t shard, int core);

  Broker& broker_;
  const ServerOptions options_;
  const uint16_t shards_;
  StopGate gate_;
  Admission admission_;
  ServerFigures figures_;
  StartReport report_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Listener> http_listener_;
  std::string address_;
  std::string http_address_;
  std::string insecure_addresses_;
  std::mutex wakers_mutex_;
  std::vector<std::shared_ptr<Waker>> wakers_;
  std::vector<std::thread> threads_;
};

Result<std::unique_ptr<Listener>> ThreadedServer::open_listener(const std::string& text,
                                                                std::string* message) {
  const Result<Address> address = parse_address(text, message);
  if (!address) return fail(address.error());
  *message = why_not_listen(*address, options_);
  if (!message->empty()) return fail(Errc::invalid_argument);
  auto listener = Listener::open(*address, shards_, message);
  if (listener && is_exposed(*address, options_)) {
    if (!insecure_addresses_.empty()) insecure_addresses_ += " and ";
    insecure_addresses_ += (*listener)->address().text();
  }
  return listener;
}

Status ThreadedServer::begin(std::string* message) {
  raise_descriptor_limit();
  auto listener = open_listener(options_.listen, message);
  if (!listener) return fail(listener.error());
  auto http_listener = open_listener(options_.http, message);
  if (!http_listener) return fail(http_listener.error());
  listener_ = std::move(listener).value();
  http_listener_ = std::move(http_listener).value();
  address_ = listener_->address().text();
  http_address_ = http_listener_->address().text();

  const std::vector<int> cores = options_.pin_threads ? cores_for(shards_) : std::vector<int>{};
  for (uint16_t shard = 0; shard < shards_; ++shard) {
    const int core = cores.empty() ? -1 : cores[shard];
    threads_.emplace_back([this, shard, core] { run_shard(shard, core); });
  }
  const Status started = report_.wait_for(shards_);
  if (started) return {};
  *message = report_.text();
  stop();
  return started;
}

std::vector<Door> ThreadedServer::doors(uint16_t shard) {
  std::vector<Door> doors;
  if (const int socket = listener_->socket(shard); socket >= 0) {
    doors.push_back({socket,
                     behind_tls(*listener_,
                                [this](const ShardSetting& setting) {
                                  return std::make_unique<BinaryProtocol>(
                                      setting, shards_, options_.durability,
                                      options_.gatekeepers ? options_.gatekeepers() : nullptr,
                                      options_.topic_desks
                                          ? options_.topic_desks(setting, http_address_)
                                          : nullptr);
                                }),
                     &figures_.binary});
  }
  if (const int socket = http_listener_->socket(shard); socket >= 0) {
    doors.push_back({socket,
                     behind_tls(*http_listener_,
                                [this](const ShardSetting& setting) {
                                  auto protocol = std::make_unique<HttpProtocol>(setting, gate_);
                                  HttpRouter& router = protocol->router();
                                  router.add(std::string(MetricsFront::kPath),
                                             router.own(std::make_unique<MetricsFront>(
                                                 *setting.port, figures_, options_.metrics)));
                                  if (options_.http_fronts)
                                    options_.http_fronts(*setting.port, router);
                                  return protocol;
                                }),
                     &figures_.http});
  }
  return doors;
}

ProtocolMaker ThreadedServer::behind_tls(const Listener& listener, ProtocolMaker maker) const {
  if (options_.tls == nullptr || listener.address().kind == AddressKind::local) return maker;
  return [tls = options_.tls, inner = std::move(maker)](const ShardSetting& setting) {
    return std::make_unique<TlsProtocol>(setting, tls, inner);
  };
}

void ThreadedServer::run_shard(uint16_t shard, int core) {
  ::pthread_setname_np(::pthread_self(), fmt::format("shard-{}", shard).c_str());
  base::ask_for_short_turns();
  figures_.note_thread(ShardId{shard});
  if (core >= 0) pin_to(core);
  std::string reason;
  auto reactor = make_reactor({.kind = options_.reactor}, &reason);
  if (!reactor) {
    gate_.report_drained();  // nobody has to wait for this one
    report_.failed(reactor.error(), reason);
    return;
  }
  base::log_line(LogLevel::info, "net", "shard {} runs on {}", shard, reason);
  {
    const std::lock_guard lock(wakers_mutex_);
    wakers_.push_back((*reactor)->waker());
  }
  ShardLoop loop(broker_.shard(ShardId{shard}), **reactor, admission_, gate_,
                 {.limits = options_.limits,
                  .holders = options_.holders.get(),
                  .audit = options_.audit,
                  .doors = doors(shard),
                  .spin_us = options_.spin_us,
                  .trace_turns_us = options_.trace_turns_us,
                  .insecure_address = shard == 0 ? insecure_addresses_ : std::string()});
  report_.ready((*reactor)->name());
  loop.run();
  // Before the loop's buffers: after a stop that ran out of time the kernel may still send from
  // them.
  reactor->reset();
}

void ThreadedServer::stop() {
  gate_.ask_to_stop();
  {
    const std::lock_guard lock(wakers_mutex_);
    for (const auto& waker : wakers_)
      waker->wake();
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  listener_.reset();
  http_listener_.reset();
}

}  // namespace

std::string why_not_listen(const Address& address, const ServerOptions& options) {
  if (options.insecure_listen || !is_exposed(address, options)) return {};
  return fmt::format(
      "{} is reachable from other machines, and {}: only loopback addresses and unix sockets are "
      "taken without --insecure",
      address.text(),
      options.tls == nullptr && !options.authenticated
          ? "there is neither encryption (--tls-cert) nor authentication (--credentials)"
      : options.tls == nullptr ? "there is no encryption (--tls-cert)"
                               : "there is no authentication (--credentials, with mode strict)");
}

Result<std::unique_ptr<Server>> Server::start(Broker& broker, const ServerOptions& options,
                                              std::string* message) {
  auto server = std::make_unique<ThreadedServer>(broker, options);
  if (const Status begun = server->begin(message); !begun) return fail(begun.error());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace millrace::net

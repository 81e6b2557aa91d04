// millraced: the broker as a process. Reads the settings, opens the data directory, serves until a
// signal or a fenced shard, stops in order.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/log_line.h"
#include "millrace/engine.h"
#include "net/address.h"
#include "net/aws/arn.h"
#include "net/server.h"
#include "net/topics/signer.h"
#include "storage/real_disk.h"
#include "tools/daemon/http_fronts.h"
#include "tools/daemon/protection.h"
#include "tools/daemon/read_fault.h"
#include "tools/daemon/service_manager.h"
#include "tools/daemon/settings.h"
#include "tools/daemon/shadow_environment.h"
#include "tools/daemon/start_definitions.h"

namespace millrace::tools {
namespace {

using base::LogLevel;

constexpr int kExitFailed = 1;
constexpr int kExitData = 78;  // EX_CONFIG: the data directory needs a person

int complain(const std::string& line, int exit_code) {
  std::fprintf(stderr, "millraced: %s\n", line.c_str());
  return exit_code;
}

// SIGHUP and the signals that end the process, as a descriptor; blocked everywhere else, so this
// must come before the first thread.
int open_signals(sigset_t& ending) {
  std::signal(SIGPIPE, SIG_IGN);
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigset_t all = ending;
  sigaddset(&all, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  return ::signalfd(-1, &all, SFD_CLOEXEC);
}

int exit_code_of_open(Errc error) {
  if (error == Errc::format_too_new || error == Errc::damaged) return kExitData;
  return error == Errc::invalid_argument ? kExitUsage : kExitFailed;
}

int exit_code_of_start(Errc error) {
  return error == Errc::invalid_argument ? kExitUsage : kExitFailed;
}

// The signal's name; empty: a shard is fenced.
std::string_view wait_for_end(int signals, int fence, Protection& protection,
                              net::AuditLog* audit) {
  pollfd waits[] = {{signals, POLLIN, 0}, {fence, POLLIN, 0}};
  while (true) {
    if (::poll(waits, 2, -1) < 0 && errno == EINTR) continue;
    signalfd_siginfo signal{};
    if (waits[0].revents == 0 ||
        ::read(signals, &signal, sizeof signal) != static_cast<ssize_t>(sizeof signal))
      return {};
    if (signal.ssi_signo == SIGHUP) {
      protection.reload(audit);
      continue;
    }
    const std::string_view name = signal.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
    base::log_line(LogLevel::info, "server", "{}: stopping", name);
    return name;
  }
}

net::ServerOptions server_options(const Settings& settings, const Protection& protection) {
  net::ServerOptions options;
  options.listen = settings.listen;
  options.http = settings.http;
  options.insecure_listen = settings.insecure;
  options.durability = settings.broker.durability;
  options.spin_us = settings.spin_us;
  options.trace_turns_us = settings.trace_turns_us;
  options.metrics = settings.metrics;
  protection.apply(options);
  return options;
}

// What a start would say about an address, for --check-config.
bool check_address(const char* flag, const std::string& text, const net::ServerOptions& options) {
  std::string message;
  const Result<net::Address> address = net::parse_address(text, &message);
  if (address) message = net::why_not_listen(*address, options);
  if (address && message.empty()) return true;
  complain(fmt::format("{} {}", flag, message), kExitUsage);
  return false;
}

bool check_config(const Settings& settings) {
  Protection protection;
  std::string message;
  if (!protection.load(settings, &message)) {
    complain(message, kExitUsage);
    return false;
  }
  const net::ServerOptions options = server_options(settings, protection);
  return check_address("--listen", settings.listen, options) &&
         check_address("--http", settings.http, options);
}

void tell_of_recovery(const Broker& broker, const Settings& settings, net::AuditLog* audit) {
  for (const std::string& line : broker.damage_report())
    net::record(audit,
                {.event = net::AuditEvent::data_quarantined, .via = "server", .reason = line});
  if (settings.broker.accept_clock)
    net::record(audit, {.event = net::AuditEvent::clock_accepted,
                        .via = "server",
                        .reason = "started with --accept-clock"});
}

int serve(const Settings& settings, const Definitions& definitions) {
  sigset_t ending;
  const int signals = open_signals(ending);
  if (signals < 0) return complain(std::strerror(errno), kExitFailed);
  handle_read_faults(net::kExitShardFenced);

  std::string message;
  Protection protection;
  if (!protection.load(settings, &message)) return complain(message, kExitUsage);
  std::unique_ptr<net::AuditLog> audit;
  if (!settings.audit.empty()) audit = net::AuditLog::open(settings.audit, &message);
  if (!settings.audit.empty() && audit == nullptr)
    return complain("--audit " + message, kExitUsage);
  const char* shadow = std::getenv("MILLRACE_SHADOW");
  ShadowEnvironment shadowing(shadow != nullptr ? shadow : "");
  Result<std::unique_ptr<Broker>> broker = shadow != nullptr
                                               ? Broker::open(settings.broker, shadowing, &message)
                                               : Broker::open(settings.broker, &message);
  if (!broker) return complain(message, exit_code_of_open(broker.error()));
  for (const std::string& line : (*broker)->recovery_report())
    base::log_line(LogLevel::info, "recovery", "{}", line);
  tell_of_recovery(**broker, settings, audit.get());

  if (!settings.definitions.empty()) {
    const RunEnd end = apply_at_start(
        **broker, definitions,
        [&settings](const std::string& queue) {
          return net::make_arn("sqs", settings.sqs.region, settings.sqs.account, queue);
        },
        &message);
    if (end != RunEnd::done)
      return complain(message, end == RunEnd::conflict ? kExitUsage : kExitFailed);
    base::log_line(LogLevel::info, "definitions", "{}: {}", settings.definitions, message);
  }

  net::ServerOptions options = server_options(settings, protection);
  options.holders = std::make_shared<net::Holders>();
  options.audit = audit.get();
  auto keys = storage::RealDisk::open_directory(settings.broker.data_directory, {});
  if (!keys) return complain(std::string(errc_text(keys.error())), kExitFailed);
  auto signer = net::topics::Signer::open(std::move(*keys), &message);
  if (signer == nullptr) return complain(message, kExitData);
  HttpFronts fronts(settings, protection.credentials(), options.holders, audit.get(),
                    (*broker)->shard_count(), std::move(signer));
  options.metrics.sqs_requests = &fronts.sqs_requests();
  options.metrics.sns_requests = &fronts.sns_requests();
  options.metrics.publishes = &fronts.publishes();
  options.metrics.audit = audit.get();
  options.http_fronts = [&fronts](ShardPort& port, net::HttpRouter& router) {
    fronts.add(port, router);
  };
  options.topic_desks = [&fronts](const net::ShardSetting& shard, const std::string& http) {
    return fronts.make_desk(shard, http);
  };
  Result<std::unique_ptr<net::Server>> server = net::Server::start(**broker, options, &message);
  if (!server) return complain(message, exit_code_of_start(server.error()));

  const std::string ready =
      fmt::format("binary={} http={} data={} shards={} durability={}", (*server)->address(),
                  (*server)->http_address(), settings.broker.data_directory,
                  (*broker)->shard_count(), durability_text(settings.broker));
  const std::string started = fmt::format("version {}, {}", MILLRACE_VERSION, ready);
  net::record(audit.get(),
              {.event = net::AuditEvent::server_started, .via = "server", .reason = started});
  fmt::print("millraced ready: {}\n", ready);
  std::fflush(stdout);
  notify_service_manager("READY=1");

  const std::string_view signal =
      wait_for_end(signals, (*server)->fence_fd(), protection, audit.get());
  notify_service_manager("STOPPING=1");
  // A second signal ends a stop that takes too long for whoever sent it.
  ::sigprocmask(SIG_UNBLOCK, &ending, nullptr);
  (*server)->stop();
  const Status stopped = (*broker)->stop();
  net::record(audit.get(), {.event = net::AuditEvent::server_stopped,
                            .via = "server",
                            .result = (*server)->fenced() ? errc_name(Errc::shard_fenced)
                                                          : errc_name(stopped.error()),
                            .reason = signal});
  if ((*server)->fenced())
    return complain(
        "a write or sync failed; nothing more is acknowledged. Look at the disk, then "
        "start again: what is really there will be read",
        net::kExitShardFenced);
  if (!stopped)
    return complain("stopping: " + std::string(errc_text(stopped.error())), kExitFailed);
  base::log_line(LogLevel::info, "server", "stopped");
  return 0;
}

int run(int argc, char** argv) {
  Settings settings;
  int exit_code = 0;
  if (!read_settings(argc, argv, settings, exit_code)) return exit_code;
  Definitions definitions;
  std::string why;
  if (!settings.definitions.empty() && !read_definitions(settings.definitions, definitions, &why))
    return complain(why, kExitUsage);
  if (settings.check_config) {
    if (!check_config(settings)) return kExitUsage;
    for (const std::string& line : settings.effective)
      std::puts(line.c_str());
    return 0;
  }
  base::set_log(settings.log_level, settings.log_format);
  return serve(settings, definitions);
}

}  // namespace
}  // namespace millrace::tools

int main(int argc, char** argv) {
  return millrace::tools::run(argc, argv);
}

// millrace-bench: load for a broker, and what came of it.
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "tools/bench/echo_load.h"
#include "tools/bench/load.h"
#include "tools/bench/options.h"
#include "tools/bench/report.h"
#include "tools/bench/server_process.h"
#include "tools/bench/transport.h"
#include "tools/common/cores.h"

namespace millrace::tools {
namespace {

int refuse(const std::string& line) {
  fmt::print(stderr, "millrace-bench: {}\n", line);
  return 1;
}

bool write_file(const std::string& path, const std::string& text) {
  if (path == "-") return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

int print(const Report& report) {
  const BenchOptions& options = report.options;
  if (options.json != "-") fmt::print("{}", report_text(report));
  if (!options.json.empty() && !write_file(options.json, report_json(report) + "\n"))
    return refuse("cannot write '" + options.json + "'");
  if (!options.plot.empty() && !write_file(options.plot, report_svg(report)))
    return refuse("cannot write '" + options.plot + "'");
  const LoadResult& result = report.result;
  if (result.lost.value_or(0) > 0)
    return refuse(fmt::format("{} messages were acknowledged and are lost", *result.lost));
  if (options.fifo && result.out_of_order.value_or(0) > 0)
    return refuse(
        fmt::format("{} messages of a FIFO queue came out of order", *result.out_of_order));
  return 0;
}

QueueSettings settings_of(const BenchOptions& options) {
  QueueSettings settings;
  if (options.fifo) settings.attributes.push_back({"FifoQueue", "true"});
  if (options.by_content) settings.attributes.push_back({"ContentBasedDeduplication", "true"});
  for (const std::string& attribute : options.attributes) {
    const size_t equals = attribute.find('=');
    settings.attributes.push_back({attribute.substr(0, equals), attribute.substr(equals + 1)});
  }
  return settings;
}

int run(const BenchOptions& options) {
  if (!options.pin.empty() && !pin_to_cores(options.pin)) return refuse("cannot pin to the cores");
  std::string message;
  const auto transport = options.embedded ? make_embedded_transport(options, &message)
                         : options.http   ? make_http_transport(options, &message)
                                          : make_network_transport(options, &message);
  if (!transport) return refuse(message);
  LoadResult result;
  const auto before = process_use(transport->server_pid());
  const bool echo = options.workload == Workload::echo;
  if (echo && !options.http) {
    if (!run_echo(options, result, &message)) return refuse(message);
  } else {
    const bool own_queues = options.queue.empty() && !echo;
    const std::string family = fmt::format("bench-{:016x}", base::os_random());
    std::vector<QueueId> queues;
    for (uint32_t i = 0; i < options.queues; ++i) {
      const std::string name = !own_queues           ? options.queue
                               : options.queues == 1 ? family + (options.fifo ? ".fifo" : "")
                                                     : fmt::format("{}-{}", family, i);
      const Result<QueueId> queue = echo         ? Result<QueueId>(QueueId{})
                                    : own_queues ? transport->make_queue(name, settings_of(options))
                                                 : transport->find_queue(name);
      if (!queue) return refuse(fmt::format("queue '{}': {}", name, transport->failure()));
      queues.push_back(*queue);
    }
    Load load(*transport, options, queues, own_queues);
    const Result<bool> done = load.run(result);
    if (own_queues)
      for (const QueueId queue : queues)
        transport->delete_queue(queue);
    if (!done) return refuse(load.failure());
  }
  auto use = process_use(transport->server_pid());
  if (use && before) use->cpu_s -= before->cpu_s;
  return print({options, result, std::string(transport->name()), transport->durability(), use});
}

}  // namespace
}  // namespace millrace::tools

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  millrace::tools::BenchOptions options;
  if (const auto exit_code = millrace::tools::read_bench_options(argc, argv, options))
    return *exit_code;
  return millrace::tools::run(options);
}

#include "tools/bench/options.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "millrace/message.h"
#include "tools/bench/run_layout.h"
#include "tools/bench/sequence_check.h"
#include "tools/bench/sqs_text.h"
#include "tools/common/cores.h"
#include "tools/common/parser.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

constexpr std::string_view kWorkloads[] = {"produce", "consume", "e2e", "latency", "echo"};
constexpr uint32_t kLatencyRate = 20'000;
constexpr uint32_t kHttpLatencyRate = 5'000;
constexpr uint32_t kOpenLoopInflight = 256;
constexpr uint64_t kDefaultMs = 5'000;
constexpr uint64_t kConsumeMessages = 1'000'000;
constexpr uint64_t kConnectionsMax = 10'000;
constexpr uint64_t kOwnQueuesMax = 10'000;
constexpr uint64_t kInflightMax = 1000;
constexpr uint64_t kRateMax = 100'000'000;
constexpr uint64_t kGroupsMax = 100'000'000;
constexpr uint32_t kFifoGroups = 10'000;
constexpr const char* kHttpServer = "127.0.0.1:9324";
constexpr uint32_t kHttpBatchMax = 10;
constexpr uint64_t kHttpBatchBytesMax = 1 << 20;

int misuse(const std::string& line) {
  std::fprintf(stderr, "millrace-bench: %s\n", line.c_str());
  return 2;
}

// Texts as given, before they are read.
struct Given {
  std::string server;
  std::string workload = "e2e";
  std::optional<std::string> messages, seconds, size, batch, connections, inflight, rate, pin,
      server_pid, shards, durability, queue, queues, data, groups, dedup;
};

uint32_t number(const std::optional<std::string>& text, uint32_t otherwise) {
  return text ? static_cast<uint32_t>(parse_whole(*text).value_or(0)) : otherwise;
}

// What SQS says is less than what the binary protocol does. False: `why` says it.
bool fit_http(BenchOptions& options, const Given& given, std::string& why) {
  if (options.embedded) {
    why = "--http and --embedded: one or the other";
  } else if (options.batch > kHttpBatchMax) {
    why = fmt::format("--batch {}: a request of SQS carries {} messages at most", options.batch,
                      kHttpBatchMax);
  } else if (options.size < kStampLetters) {
    why = fmt::format("--size {}: over HTTP a body has at least {} bytes", options.size,
                      kStampLetters);
  } else if (uint64_t{options.batch} * options.size > kHttpBatchBytesMax) {
    why = fmt::format("--batch {} of --size {} is more than the {} bytes of a request",
                      options.batch, options.size, kHttpBatchBytesMax);
  } else if (options.sign) {
    const auto variable = [](const char* name) {
      const char* value = std::getenv(name);
      return std::string(value != nullptr ? value : "");
    };
    options.sign_id = variable("AWS_ACCESS_KEY_ID");
    options.sign_secret = variable("AWS_SECRET_ACCESS_KEY");
    options.sign_token = variable("AWS_SESSION_TOKEN");
    if (const std::string region = variable("AWS_REGION"); !region.empty()) options.region = region;
    if (options.sign_id.empty() || options.sign_secret.empty())
      why = "--sign: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment";
  }
  if (given.server.empty()) options.server = kHttpServer;
  return why.empty();
}

bool read_cores(const std::string& text, std::vector<uint32_t>& cores) {
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const Result<uint64_t> core = parse_whole(text.substr(begin, comma - begin));
    const auto available = available_cores();
    if (!core || std::find(available.begin(), available.end(), *core) == available.end())
      return false;
    cores.push_back(static_cast<uint32_t>(*core));
    begin = comma + 1;
  }
  return true;
}

}  // namespace

std::string_view workload_name(Workload workload) {
  return kWorkloads[static_cast<size_t>(workload)];
}

std::optional<int> read_bench_options(int argc, char** argv, BenchOptions& options) {
  Parser parser("millrace-bench",
                "Load for a Millrace broker, over the network or against the library, with every\n"
                "message's sequence number checked.",
                MILLRACE_VERSION);
  Given given;
  parser.root()
      .option("--server", "ADDR", given.server,
              "ADDR:PORT or unix:PATH [MILLRACE_SERVER, else 127.0.0.1:7411; with --http "
              "127.0.0.1:9324]")
      .flag("--http", options.http,
            "SQS's JSON protocol: --connections each for what is sent and what is received; "
            "echo needs a server with --test-api")
      .flag("--sign", options.sign,
            "with --http: sign each request (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
            "AWS_SESSION_TOKEN, AWS_REGION)")
      .option("--user", "ID", options.login.user, kUserHelp)
      .option("--secret-file", "FILE", options.login.secret_file, kSecretFileHelp)
      .option("--workload", "NAME", given.workload,
              "produce (send), consume (fill, then lease and acknowledge), e2e (send, receive, "
              "acknowledge), latency (e2e at a rate), echo (frames there and back) [e2e]",
              one_of({"produce", "consume", "e2e", "latency", "echo"}))
      .option("--queue", "NAME", given.queue,
              "an existing queue [one of its own, deleted afterwards]")
      .option("--queues", "N", given.queues,
              "so many of its own, which the batches go to by turns [1]",
              whole_between(1, kOwnQueuesMax))
      .option("--messages", "N", given.messages, "end after so many",
              whole_between(1, 4'000'000'000))
      .option("--seconds", "S", given.seconds, "end after so long [5, consume: 1000000 messages]",
              seconds_up_to(86'400'000))
      .option("--size", "BYTES", given.size, "of a body, at least 24 [128]",
              whole_between(sizeof(Stamp), kMessageBytesMax))
      .option("--batch", "N", given.batch, "messages in a request [100, --http: 10, latency: 1]",
              whole_between(1, kBatchMessagesMax))
      .option("--connections", "N", given.connections, "[4]", whole_between(1, kConnectionsMax))
      .option("--inflight", "N", given.inflight,
              "requests under way per connection [8, --http: 1, with a rate: 256]",
              whole_between(1, kInflightMax))
      .option("--rate", "N", given.rate,
              "messages a second whatever the answers; latency then counts from the intended time "
              "[latency: 20000, --http: 5000]",
              whole_between(1, kRateMax))
      .flag("--fifo", options.fifo,
            "a FIFO queue: order is checked in each group, whoever consumes it")
      .option("--groups", "N", given.groups, "message groups, spread over the connections [10000]",
              whole_between(1, kGroupsMax))
      .option("--dedup", "HOW", given.dedup,
              "FIFO: by the ids of the messages, or by their content [ids]",
              one_of({"ids", "content"}))
      .repeated("--set", "ATTRIBUTE=VALUE", options.attributes, "of a queue of its own")
      .flag("--spin", options.spin, "never sleep; steadier figures if the core is its own")
      .option("--pin", "CORES", given.pin, "run on these cores only, such as 1 or 2,3")
      .option("--json", "FILE", options.json, "the result as one JSON object; - is standard output")
      .option("--plot", "FILE.svg", options.plot, "rate over time and latency by percentile")
      .option("--server-pid", "PID", given.server_pid,
              "whose CPU and memory to read [found, if it is on this machine]",
              whole_between(1, 1u << 22))
      .flag("--embedded", options.embedded, "the library in this process and thread, no network")
      .option("--data", "DIR", given.data, "embedded: the data directory [a temporary one]")
      .option("--shards", "N", given.shards, "embedded [1]", whole_between(1, 64))
      .option("--durability", "LEVEL", given.durability,
              "embedded: commit, interval or none [commit]",
              one_of({"commit", "interval", "none"}));
  if (const auto exit_code = parser.parse(argc, argv)) return exit_code;

  const char* named = options.http ? nullptr : std::getenv("MILLRACE_SERVER");
  if (!given.server.empty())
    options.server = given.server;
  else if (named != nullptr)
    options.server = named;
  options.workload = static_cast<Workload>(
      std::find(std::begin(kWorkloads), std::end(kWorkloads), given.workload) - kWorkloads);
  const bool latency = options.workload == Workload::latency;
  options.queue = given.queue.value_or("");
  options.messages = given.messages ? parse_whole(*given.messages).value_or(0) : 0;
  options.duration_ms = given.seconds ? parse_seconds(*given.seconds).value_or(0) : 0;
  if (given.seconds && options.duration_ms == 0) return misuse("--seconds: must be more than 0");
  options.size = number(given.size, options.size);
  options.batch = number(given.batch, latency ? 1 : options.http ? kHttpBatchMax : options.batch);
  options.connections = number(given.connections, options.connections);
  options.rate = number(given.rate, !latency ? 0 : options.http ? kHttpLatencyRate : kLatencyRate);
  // An open loop must not be held back by answers that are late.
  options.inflight = number(given.inflight, options.rate > 0 ? kOpenLoopInflight
                                            : options.http   ? 1
                                                             : options.inflight);
  options.server_pid = number(given.server_pid, 0);
  options.queues = number(given.queues, 1);
  options.groups = number(given.groups, options.fifo ? kFifoGroups : 0);
  options.by_content = given.dedup == "content";
  options.shards = static_cast<uint16_t>(number(given.shards, 1));
  options.data = given.data.value_or("");
  if (given.durability) options.durability = parse_durability(*given.durability).value_or({});
  if (options.messages == 0 && options.workload == Workload::consume)
    options.messages = kConsumeMessages;
  else if (options.messages == 0 && options.duration_ms == 0)
    options.duration_ms = kDefaultMs;
  if (given.pin && !read_cores(*given.pin, options.pin))
    return misuse(fmt::format("--pin: '{}' is not a list of this machine's cores", *given.pin));
  if (options.sign && !options.http) return misuse("--sign is for --http");
  if (std::string why; options.http && !fit_http(options, given, why)) return misuse(why);
  if (options.queues > 1 && (given.queue || options.fifo || options.http))
    return misuse("--queues makes standard queues of its own, over the binary protocol");
  if (given.dedup && !options.fifo) return misuse("--dedup is for a FIFO queue: give --fifo");
  if (options.groups > 0 && options.groups < options.connections)
    return misuse(fmt::format("--groups {} for --connections {}: each needs one of its own",
                              options.groups, options.connections));
  for (const std::string& attribute : options.attributes)
    if (attribute.find('=') == std::string::npos)
      return misuse(fmt::format("--set: '{}' is not ATTRIBUTE=VALUE", attribute));
  if (uint64_t{options.batch} *
          (sizeof(MessageHeader) + padded8(options.size + kBenchPropertiesMax)) >
      kBatchBytesMax)
    return misuse(fmt::format("--batch {} of --size {} is more than the {} bytes of a request",
                              options.batch, options.size, kBatchBytesMax));
  if (options.embedded && options.workload == Workload::echo)
    return misuse("--workload echo measures the network; it cannot be --embedded");
  if (options.rate > 0 &&
      (options.workload == Workload::consume || options.workload == Workload::echo))
    return misuse(fmt::format("--rate: workload {} has no schedule", given.workload));
  return std::nullopt;
}

}  // namespace millrace::tools

#include "tools/daemon/settings.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>

#include "base/printable.h"
#include "base/toml.h"
#include "net/aws/arn.h"
#include "tools/common/cores.h"
#include "tools/common/machine_memory.h"
#include "tools/common/parser.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

constexpr uint64_t kShardsMax = 64;
constexpr uint64_t kMemoryBytesMin = uint64_t{16} << 20;
constexpr uint64_t kMemoryPercent = 75;  // of what the machine has or the cgroup allows
constexpr uint64_t kSegmentBytesMin = uint64_t{4} << 20;
constexpr uint64_t kSegmentBytesMax = uint64_t{1} << 30;

// What --compat localstack has in place of a default.
constexpr const char* kLocalstack = "localstack";
constexpr const char* kLocalstackHttp = "127.0.0.1:4566";

// Reads a setting's text; false if it is not allowed.
using Read = bool (*)(const std::string& text, Settings& settings);

struct Row {
  const char* key;
  const char* type;  // what --help shows for the value; empty: a switch, "true" or "false"
  const char* initial;
  const char* allowed;  // completes "must be ..."
  const char* help;
  Read read;
};

bool read_switch(const std::string& text, bool& value) {
  value = text == "true";
  return text == "true" || text == "false";
}

bool read_data(const std::string& text, Settings& settings) {
  settings.broker.data_directory = text;
  return !text.empty();
}

bool read_listen(const std::string& text, Settings& settings) {
  settings.listen = text;
  return !text.empty();
}

bool read_http(const std::string& text, Settings& settings) {
  settings.http = text;
  return !text.empty();
}

bool read_path(const std::string& text, std::string& path) {
  path = text;
  return true;
}

bool read_shards(const std::string& text, Settings& settings) {
  const uint64_t shards = text == "auto" ? std::min<uint64_t>(available_cores().size(), kShardsMax)
                                         : parse_whole(text).value_or(0);
  settings.broker.shards = static_cast<uint16_t>(std::min(shards, kShardsMax));
  return shards >= 1 && shards <= kShardsMax;
}

bool read_durability(const std::string& text, Settings& settings) {
  constexpr std::string_view kInterval = "interval=";
  if (text.starts_with(kInterval)) {
    const uint64_t ms = parse_whole(text.substr(kInterval.size())).value_or(0);
    settings.broker.durability = Durability::interval;
    settings.broker.interval_ms = static_cast<uint32_t>(std::min<uint64_t>(ms, 60'000));
    return ms >= 1 && ms <= 60'000;
  }
  const Result<Durability> level = parse_durability(text);
  if (!level || *level == Durability::interval) return false;
  settings.broker.durability = *level;
  return true;
}

bool read_segment_size(const std::string& text, Settings& settings) {
  settings.broker.segment_bytes = parse_size(text).value_or(0);
  return settings.broker.segment_bytes >= kSegmentBytesMin &&
         settings.broker.segment_bytes <= kSegmentBytesMax &&
         std::has_single_bit(settings.broker.segment_bytes);
}

bool read_max_disk(const std::string& text, Settings& settings) {
  const Result<uint64_t> bytes = parse_size(text);
  settings.broker.disk_bytes_max = bytes.value_or(0);
  return text == "auto" || (bytes && *bytes > 0);
}

bool read_max_memory(const std::string& text, Settings& settings) {
  const Result<uint64_t> bytes = parse_size(text);
  settings.broker.memory_bytes_max =
      text == "auto" ? machine_memory_bytes() / 100 * kMemoryPercent : bytes.value_or(0);
  return text == "auto" || (bytes && *bytes >= kMemoryBytesMin);
}

bool read_scrub_period(const std::string& text, Settings& settings) {
  constexpr uint64_t kYearS = 31'536'000;
  const uint64_t seconds = parse_whole(text).value_or(kYearS + 1);
  settings.broker.scrub_period_s = static_cast<uint32_t>(std::min(seconds, kYearS));
  return seconds <= kYearS;
}

bool read_spin(const std::string& text, Settings& settings) {
  constexpr uint64_t kSpinUsMax = 10'000;
  const uint64_t us = parse_whole(text).value_or(kSpinUsMax + 1);
  settings.spin_us = static_cast<uint32_t>(std::min(us, kSpinUsMax));
  return us <= kSpinUsMax;
}

bool read_trace_turns(const std::string& text, Settings& settings) {
  constexpr uint64_t kTraceUsMax = 10'000'000;
  const uint64_t us = parse_whole(text).value_or(kTraceUsMax + 1);
  settings.trace_turns_us = static_cast<uint32_t>(std::min(us, kTraceUsMax));
  return us <= kTraceUsMax;
}

bool read_region(const std::string& text, Settings& settings) {
  settings.sqs.region = text;
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool read_account(const std::string& text, Settings& settings) {
  settings.sqs.account = text;
  return net::is_account(text);
}

bool read_advertise(const std::string& text, Settings& settings) {
  settings.sqs.advertise = text;
  const bool url = text.starts_with("http://") || text.starts_with("https://");
  return text.empty() ||
         (url && !text.ends_with('/') && std::all_of(text.begin(), text.end(), [](char c) {
            return c > ' ' && c <= '~' && c != '?' && c != '#' && c != '"';
          }));
}

bool read_metrics_queues(const std::string& text, Settings& settings) {
  constexpr uint64_t kMetricsQueuesMax = 10'000;
  const uint64_t queues = parse_whole(text).value_or(kMetricsQueuesMax + 1);
  settings.metrics.queues_max = static_cast<uint32_t>(std::min(queues, kMetricsQueuesMax));
  return queues <= kMetricsQueuesMax;
}

bool read_compat(const std::string& text, Settings& settings) {
  settings.localstack = text == kLocalstack;
  return text == kLocalstack || text == "none";
}

bool read_recreate_wait(const std::string& text, Settings& settings) {
  constexpr uint64_t kSecondsMax = 3'600;
  const uint64_t seconds = parse_whole(text).value_or(kSecondsMax + 1);
  settings.sqs.recreate_wait_ms = static_cast<int64_t>(std::min(seconds, kSecondsMax) * 1'000);
  return seconds <= kSecondsMax;
}

bool read_undeliverable(const std::string& text, Settings& settings) {
  settings.sns.accept_undeliverable = text == "accept";
  return text == "accept" || text == "refuse";
}

bool read_deliver_to(const std::string& text, Settings& settings) {
  std::string why;
  const auto reach = net::delivery::Reach::parse(text, &why);
  if (reach) settings.deliver_to = *reach;
  return reach.has_value();
}

bool read_log(const std::string& text, Settings& settings) {
  settings.log_format = text == "json" ? base::LogFormat::json : base::LogFormat::text;
  return text == "json" || text == "text";
}

bool read_log_level(const std::string& text, Settings& settings) {
  constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warn", "error"};
  const auto* found = std::find(kLevels.begin(), kLevels.end(), text);
  if (found == kLevels.end()) return false;
  settings.log_level = static_cast<base::LogLevel>(found - kLevels.begin());
  return true;
}

constexpr Row kRows[] = {
    {"data", "DIR", "./millrace-data", "a directory",
     "the data directory; made if missing, locked against a second process", read_data},
    {"listen", "ADDR:PORT", "127.0.0.1:7411", "ADDR:PORT, unix:PATH or off",
     "binary protocol; unix:PATH for a unix socket; off; port 0 picks a free one", read_listen},
    {"http", "ADDR:PORT", "127.0.0.1:9324", "ADDR:PORT, unix:PATH or off", "HTTP; as --listen",
     read_http},
    {"shards", "N", "auto", "1 to 64, or auto (the available cores)",
     "threads, each pinned to a core and with a log of its own; auto: the available cores",
     read_shards},
    {"durability", "LEVEL", "commit", "commit, interval=MS (1 to 60000) or none",
     "when an acknowledgement is given: commit (a sync has succeeded), interval=MS, none",
     read_durability},
    {"segment-size", "BYTES", "64MiB", "a power of two from 4MiB to 1GiB",
     "size of a log file; takes KiB, MiB, GiB; a directory keeps the one it was made with",
     read_segment_size},
    {"max-disk", "BYTES", "auto", "a size such as 20GiB, or auto",
     "sends are refused past it, acks are not; auto: 90 % of what is free at start", read_max_disk},
    {"max-memory", "BYTES", "auto", "a size from 16MiB, or auto",
     "memory for indexes, connections and what waits: sends are refused past 85 % of it, all else "
     "is "
     "not; auto: 75 % of the machine's, or of the cgroup's limit",
     read_max_memory},
    {"scrub-period", "SECONDS", "43200", "0 to 31536000 (seconds)",
     "each byte of the logs is read back from the disk once in so long and compared with its "
     "checksum; 0: never",
     read_scrub_period},
    {"spin", "US", "0", "0 to 10000 (microseconds)",
     "an idle shard looks for work so many microseconds before it sleeps: shorter latency, paid "
     "with "
     "CPU time",
     read_spin},
    {"trace-turns", "US", "0", "0 to 10000000 (microseconds)",
     "turns of a shard's loop that take longer are told of in the log, with what they did; 0: none",
     read_trace_turns},
    {"region", "NAME", "us-east-1", "lower-case letters, digits and hyphens",
     "the region in ARNs, where a request's signature names none", read_region},
    {"account", "ID", "000000000000", "12 digits", "the account in ARNs and queue URLs",
     read_account},
    {"advertise", "URL", "", "an http:// or https:// URL without a slash at its end",
     "begins the queue URLs that are handed out; empty: what the request's Host says",
     read_advertise},
    {"recreate-wait", "SECONDS", "0", "0 to 3600 (seconds)",
     "after a queue was deleted over HTTP, none of its name is made for so long; SQS has 60",
     read_recreate_wait},
    {"undeliverable", "WHAT", "refuse", "refuse or accept",
     "subscriptions of topics to email, sms, lambda and the like, to which nothing is ever "
     "delivered",
     read_undeliverable},
    {"deliver-to", "LIST", "off",
     "off, or of these, with commas: public, names (*.example.com too), addresses, blocks such as "
     "10.1.0.0/16",
     "endpoints that topics deliver to over HTTP and HTTPS; what is not of the public Internet is "
     "reached by its address only",
     read_deliver_to},
    {"deliver-ca", "FILE", "", "a file",
     "certificates that sign those of https endpoints, PEM; empty: the system's",
     [](const std::string& text, Settings& s) { return read_path(text, s.deliver_ca); }},
    {"credentials", "FILE", "", "a file",
     "access keys and what they may do, for HTTP; read again on SIGHUP. Without it any signature "
     "is "
     "accepted",
     [](const std::string& text, Settings& s) { return read_path(text, s.credentials); }},
    {"tls-cert", "FILE", "", "a file",
     "TLS on both listeners: the certificate and its chain, PEM; read again on SIGHUP",
     [](const std::string& text, Settings& s) { return read_path(text, s.tls_certificate); }},
    {"tls-key", "FILE", "", "a file", "the certificate's key, PEM, readable by its owner only",
     [](const std::string& text, Settings& s) { return read_path(text, s.tls_key); }},
    {"audit", "FILE", "", "a file, or -",
     "audit log, a line of JSON for each change and refusal; - is standard error; opened again on "
     "SIGHUP",
     [](const std::string& text, Settings& s) { return read_path(text, s.audit); }},
    {"definitions", "FILE", "", "a file",
     "queues to make sure of at the start: TOML, as millrace export writes it",
     [](const std::string& text, Settings& s) { return read_path(text, s.definitions); }},
    {"metrics-queues", "N", "1000", "0 to 10000",
     "so many queues, by name, and so many topics have series of their own at /metrics; the others "
     "are summed up",
     read_metrics_queues},
    {"compat", "NAME", "none", "localstack or none",
     "localstack: HTTP on 127.0.0.1:4566 unless --http says otherwise, and /_localstack/health",
     read_compat},
    {"insecure", "", "false", "true or false",
     "listen on any address, though there is no TLS or no authentication",
     [](const std::string& text, Settings& s) { return read_switch(text, s.insecure); }},
    {"accept-clock", "", "false", "true or false",
     "the clock is right, though it is more than a day ahead of all that is stored: messages may "
     "age out",
     [](const std::string& text, Settings& s) { return read_switch(text, s.broker.accept_clock); }},
    {"test-api", "", "false", "true or false",
     "answer /_millrace/reset, which deletes all queues and topics, and what else tests and "
     "benchmarks use",
     [](const std::string& text, Settings& s) { return read_switch(text, s.test_api); }},
    {"log", "FORMAT", "text", "text or json", "form of the log on standard error", read_log},
    {"log-level", "LEVEL", "info", "debug, info, warn or error", "the lowest level logged",
     read_log_level},
};
constexpr size_t kRowCount = std::size(kRows);
constexpr size_t row_of(std::string_view key) {
  size_t row = 0;
  while (key != kRows[row].key)
    ++row;
  return row;
}

std::string variable_of(std::string_view key) {
  std::string name = "MILLRACE_";
  for (const char c : key)
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// A setting's text, and where it was given, as an error or --check-config names it.
struct Given {
  std::string text;
  std::string where;   // "--shards", "MILLRACE_SHARDS", "/etc/millrace.toml: shards"
  std::string source;  // "flag", "environment", "file", "default"
};
using GivenRows = std::array<Given, kRowCount>;

bool complain(const std::string& line) {
  std::fprintf(stderr, "millraced: %s\n", base::one_line(line).c_str());
  return false;
}

// The text of a TOML value; nothing if it is a table, an array, a date.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<int64_t>()) return std::to_string(*number);
  if (const auto truth = node.value_exact<bool>()) return *truth ? "true" : "false";
  return std::nullopt;
}

bool read_file(const std::string& path, GivenRows& given) {
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    return complain(line > 0 ? fmt::format("{}:{}: {}", path, line, error.description())
                             : fmt::format("{}: {}", path, error.description()));
  }
  for (const auto& [key, node] : table) {
    const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                   [&](const Row& r) { return key.str() == r.key; });
    if (row == std::end(kRows))
      return complain(
          fmt::format("{}:{}: unknown key \"{}\"", path, node.source().begin.line, key.str()));
    const std::optional<std::string> text = text_of(node);
    if (!text)
      return complain(fmt::format("{}:{}: {} must be {}", path, node.source().begin.line, row->key,
                                  row->allowed));
    given[static_cast<size_t>(row - kRows)] = {*text, fmt::format("{}: {}", path, row->key),
                                               "file"};
  }
  return true;
}

void read_environment(GivenRows& given) {
  for (size_t i = 0; i < kRowCount; ++i) {
    const std::string name = variable_of(kRows[i].key);
    if (const char* text = std::getenv(name.c_str())) given[i] = {text, name, "environment"};
  }
}

}  // namespace

std::string durability_text(const BrokerOptions& options) {
  std::string text(durability_name(options.durability));
  if (options.durability == Durability::interval) text += fmt::format("={}", options.interval_ms);
  return text;
}

bool read_settings(int argc, char** argv, Settings& settings, int& exit_code) {
  Parser parser(
      "millraced",
      "The Millrace broker: queues on this machine, over the binary protocol and HTTP.\n"
      "Each setting is also a variable (MILLRACE_ and the flag in capitals: --max-disk is\n"
      "MILLRACE_MAX_DISK) and a key of the TOML file (max-disk). A flag wins over the\n"
      "environment, the environment over the file.",
      MILLRACE_VERSION);
  std::optional<std::string> config;
  std::array<std::optional<std::string>, kRowCount> flags;
  std::array<bool, kRowCount> switches{};
  Arguments& arguments = parser.root();
  arguments.option("--config", "FILE", config, "TOML file with any of these settings")
      .flag("--check-config", settings.check_config,
            "say what is wrong, or what would be used, and start nothing");
  for (size_t i = 0; i < kRowCount; ++i) {
    const Row& row = kRows[i];
    const std::string name = std::string("--") + row.key;
    if (row.type[0] == '\0')
      arguments.flag(name.c_str(), switches[i], row.help);
    else
      arguments.option(name.c_str(), row.type, flags[i],
                       fmt::format("{} [{}]", row.help, row.initial));
  }
  if (const auto exit = parser.parse(argc, argv)) {
    exit_code = *exit;
    return false;
  }
  exit_code = kExitUsage;

  GivenRows given;
  for (size_t i = 0; i < kRowCount; ++i)
    given[i] = {kRows[i].initial, std::string("--") + kRows[i].key, "default"};
  const char* named = std::getenv("MILLRACE_CONFIG");
  if (!config && named != nullptr) config = named;
  if (config && !read_file(*config, given)) return false;
  read_environment(given);
  for (size_t i = 0; i < kRowCount; ++i) {
    if (flags[i] || switches[i])
      given[i] = {flags[i].value_or("true"), std::string("--") + kRows[i].key, "flag"};
  }
  Given& http = given[row_of("http")];
  if (given[row_of("compat")].text == kLocalstack && http.source == "default")
    http = {kLocalstackHttp, "--compat", "compat"};
  for (size_t i = 0; i < kRowCount; ++i) {
    if (!kRows[i].read(given[i].text, settings))
      return complain(
          fmt::format("{} \"{}\": must be {}", given[i].where, given[i].text, kRows[i].allowed));
    settings.effective.push_back(
        fmt::format("{} = {} ({})", kRows[i].key, given[i].text, given[i].source));
  }
  return true;
}

}  // namespace millrace::tools

// millrace-check: judges the history of a run. README.md has the format and the rules.
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tests/checker/check_run.h"
#include "tests/checker/report.h"

namespace {

using millrace::checker::Limits;
using millrace::checker::Nanoseconds;

constexpr std::string_view kUsage =
    R"(usage: millrace-check [options] FOLDER|FILE...

Reads a history (JSON lines; a folder stands for its *.jsonl) and checks rules C1-C5, C8, C10-C13.

  --json               one JSON object on standard output instead of the tables
  --epsilon-ms N       slack for leases and delays                          (10)
  --late-ms N          C11: a message is visible at most this long after due (1000)
  --send-wait-ms N     C12: no send waits longer                            (2000)
  --boot-ms-per-gib N  C12: longest start per GiB of log                    (5000)
  --sync-slack-ms N    interval mode: longest sync to be reckoned with      (1000)
  --retention-s N      retention of the queues                              (345600)

exit status: 0 clean, 1 violations, 2 unusable input or wrong usage
)";

struct Setting {
  std::string_view option;
  Nanoseconds Limits::*limit;
  Nanoseconds unit;
};
constexpr Setting kSettings[] = {
    {"--epsilon-ms", &Limits::epsilon, millrace::checker::kMillisecond},
    {"--late-ms", &Limits::late, millrace::checker::kMillisecond},
    {"--send-wait-ms", &Limits::send_wait, millrace::checker::kMillisecond},
    {"--boot-ms-per-gib", &Limits::boot_per_gib, millrace::checker::kMillisecond},
    {"--sync-slack-ms", &Limits::sync_slack, millrace::checker::kMillisecond},
    {"--retention-s", &Limits::retention, millrace::checker::kSecond},
};

struct Arguments {
  bool json = false, help = false;
  Limits limits;
  std::vector<std::string> paths;
};

// Takes `option value`; returns what is wrong, or an empty text.
std::string take_setting(std::string_view option, const char* value, Limits& limits) {
  for (const Setting& setting : kSettings) {
    if (setting.option != option) continue;
    uint32_t number = 0;
    const std::string_view text = value == nullptr ? std::string_view{} : value;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) {
      return fmt::format("{} wants a whole number", option);
    }
    limits.*setting.limit = number * setting.unit;
    return {};
  }
  return fmt::format("unknown option {}", option);
}

std::string parse(int argc, char** argv, Arguments& arguments) {
  for (int at = 1; at < argc; ++at) {
    const std::string_view word = argv[at];
    if (word == "--json") {
      arguments.json = true;
    } else if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (word.starts_with("--")) {
      const char* value = at + 1 < argc ? argv[at + 1] : nullptr;
      std::string problem = take_setting(word, value, arguments.limits);
      if (!problem.empty()) return problem;
      ++at;
    } else {
      arguments.paths.emplace_back(word);
    }
  }
  if (!arguments.help && arguments.paths.empty()) return "no history given";
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  const std::string problem = parse(argc, argv, arguments);
  if (!problem.empty()) {
    fmt::print(stderr, "millrace-check: {}\n", problem);
    return 2;
  }
  if (arguments.help) {
    fmt::print("{}", kUsage);
    return 0;
  }
  millrace::checker::CheckRun run;
  millrace::checker::InputError error;
  if (!millrace::checker::check(arguments.paths, arguments.limits, run, error)) {
    const std::string place =
        error.line == 0 ? error.file : fmt::format("{}:{}", error.file, error.line);
    fmt::print(stderr, "millrace-check: {}: {}\n", place, error.what);
    return 2;
  }
  fmt::print("{}", arguments.json ? millrace::checker::json_report(run)
                                  : millrace::checker::text_report(run));
  return run.findings.clean() ? 0 : 1;
}

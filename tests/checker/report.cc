#include "tests/checker/report.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace millrace::checker {
namespace {

using LinePlace = std::pair<uint32_t, uint32_t>;  // file, line

std::vector<LinePlace> places(const Violation& violation) {
  std::vector<LinePlace> out;
  for (const Lines& lines : violation.lines) {
    for (const uint32_t line : {lines.begin, lines.end}) {
      const LinePlace place{lines.file, line};
      if (line != 0 && std::find(out.begin(), out.end(), place) == out.end()) out.push_back(place);
    }
  }
  return out;
}

// The text of every line that some first violation names. Each file is read at most once, and only
// as far as its last wanted line.
std::map<LinePlace, std::string> fetch_lines(const CheckRun& run) {
  std::map<LinePlace, std::string> wanted;
  for (const Finding& finding : run.findings.all()) {
    for (const LinePlace& place : places(finding.first))
      wanted[place];
  }
  std::ifstream file;
  uint32_t line = 0;
  uint32_t open_file = UINT32_MAX;
  std::string text;
  for (auto& [place, kept] : wanted) {  // sorted by file, then line
    if (place.first != open_file) {
      open_file = place.first;
      file = std::ifstream(run.input.files[open_file]);
      line = 0;
    }
    while (line < place.second && std::getline(file, text))
      ++line;
    kept = text;
  }
  return wanted;
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(letter));
    } else {
      out += letter;
    }
  }
  return out + '"';
}

}  // namespace

std::string text_report(const CheckRun& run) {
  std::string out;
  out += fmt::format("{} files, {} lines, {:.1f} MiB, {:.2f} s, {} MiB of memory\n\n",
                     run.input.files.size(), run.input.lines,
                     static_cast<double>(run.input.bytes) / (1 << 20), run.seconds,
                     run.peak_kib / 1024);
  if (run.input.torn_lines != 0) {
    out += fmt::format("{} torn last lines were skipped\n\n", run.input.torn_lines);
  }
  out += fmt::format("{:<8}{:>12}{:>12}{:>12}{:>12}{:>12}\n", "op", "begun", "ok", "fail", "info",
                     "unfinished");
  for (size_t op = 0; op < kOps; ++op) {
    const OpCounts& counts = run.counts[op];
    if (counts.begun == 0) continue;
    out += fmt::format("{:<8}{:>12}{:>12}{:>12}{:>12}{:>12}\n", kOpNames[op], counts.begun,
                       counts.ok, counts.fail, counts.info, counts.unfinished());
  }
  out += fmt::format("\n{:<5}{:<17}{:>12}{:>12}{:>12}\n", "rule", "", "checked", "undecided",
                     "violations");
  for (size_t rule = 0; rule < kRules.size(); ++rule) {
    const Finding& finding = run.findings.all()[rule];
    out += fmt::format("{:<5}{:<17}{:>12}{:>12}{:>12}\n", kRules[rule].name, kRules[rule].title,
                       finding.checked, finding.undecided, finding.violations);
  }
  const auto lines = fetch_lines(run);
  for (size_t rule = 0; rule < kRules.size(); ++rule) {
    const Finding& finding = run.findings.all()[rule];
    if (finding.violations == 0) continue;
    out += fmt::format("\n{} {}: {}\n", kRules[rule].name, kRules[rule].title, finding.first.why);
    for (const LinePlace& place : places(finding.first)) {
      out +=
          fmt::format("  {}:{}: {}\n", run.input.files[place.first], place.second, lines.at(place));
    }
  }
  out += fmt::format("\n{}\n", run.findings.clean() ? "clean" : "VIOLATIONS");
  return out;
}

std::string json_report(const CheckRun& run) {
  std::string out;
  out += fmt::format(
      R"({{"clean":{},"files":{},"lines":{},"bytes":{},"torn_lines":{},"seconds":{:.3f},"peak_kib":{},"ops":{{)",
      run.findings.clean(), run.input.files.size(), run.input.lines, run.input.bytes,
      run.input.torn_lines, run.seconds, run.peak_kib);
  const char* comma = "";
  for (size_t op = 0; op < kOps; ++op) {
    const OpCounts& counts = run.counts[op];
    if (counts.begun == 0) continue;
    out += fmt::format(R"({}"{}":{{"begun":{},"ok":{},"fail":{},"info":{},"unfinished":{}}})",
                       comma, kOpNames[op], counts.begun, counts.ok, counts.fail, counts.info,
                       counts.unfinished());
    comma = ",";
  }
  out += "},\"rules\":[";
  const auto lines = fetch_lines(run);
  comma = "";
  for (size_t rule = 0; rule < kRules.size(); ++rule) {
    const Finding& finding = run.findings.all()[rule];
    out +=
        fmt::format(R"({}{{"rule":"{}","title":"{}","checked":{},"undecided":{},"violations":{})",
                    comma, kRules[rule].name, kRules[rule].title, finding.checked,
                    finding.undecided, finding.violations);
    comma = ",";
    if (finding.violations != 0) {
      out += fmt::format(R"(,"first":{{"why":{},"lines":[)", json_text(finding.first.why));
      const char* line_comma = "";
      for (const LinePlace& place : places(finding.first)) {
        out += fmt::format(R"({}{{"file":{},"line":{},"text":{}}})", line_comma,
                           json_text(run.input.files[place.first]), place.second,
                           json_text(lines.at(place)));
        line_comma = ",";
      }
      out += "]}";
    }
    out += '}';
  }
  out += "]}\n";
  return out;
}

}  // namespace millrace::checker

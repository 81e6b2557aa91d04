// Findings: the table of rules, and per rule how often it was checked, broken, or could not be
// decided.
//
// Of each rule the earliest violation is kept with the lines that show it. A rule that is not in
// the table does not exist.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/checker/event.h"
#include "tests/checker/records.h"

namespace millrace::checker {

enum class Rule : uint8_t { c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13 };

struct RuleText {
  std::string_view name, title;
};
inline constexpr std::array<RuleText, 13> kRules = {{
    {"C1", "no loss"},
    {"C2", "no invention"},
    {"C3", "no resurrection"},
    {"C4", "lease"},
    {"C5", "duplicates"},
    {"C6", "FIFO order"},
    {"C7", "deduplication"},
    {"C8", "receive count"},
    {"C9", "dead letters"},
    {"C10", "purge"},
    {"C11", "delay"},
    {"C12", "liveness"},
    {"C13", "prefix"},
}};

struct Violation {
  Nanoseconds t = kForever;
  std::string why;
  std::vector<Lines> lines;
};

struct Finding {
  uint64_t checked = 0, violations = 0, undecided = 0;
  Violation first;
};

class Findings {
 public:
  void checked(Rule rule) { ++of(rule).checked; }
  void undecided(Rule rule) { ++of(rule).undecided; }

  // `why` is called only if this is the earliest violation of its rule so far: a broken server can
  // make millions of them.
  template <typename Why>
  void violation(Rule rule, Nanoseconds t, std::initializer_list<Lines> lines, Why why) {
    Finding& finding = of(rule);
    if (finding.violations++ != 0 && t >= finding.first.t) return;
    finding.first = {t, why(), lines};
  }

  const Finding& operator[](Rule rule) const { return findings_[static_cast<size_t>(rule)]; }
  const std::array<Finding, kRules.size()>& all() const { return findings_; }
  bool clean() const {
    return std::all_of(findings_.begin(), findings_.end(),
                       [](const Finding& finding) { return finding.violations == 0; });
  }

 private:
  Finding& of(Rule rule) { return findings_[static_cast<size_t>(rule)]; }
  std::array<Finding, kRules.size()> findings_;
};

}  // namespace millrace::checker

// CheckRun: one run of the checker, from files to findings.
#pragma once

#include <string>
#include <vector>

#include "tests/checker/findings.h"
#include "tests/checker/history.h"
#include "tests/checker/reader.h"
#include "tests/checker/rules.h"

namespace millrace::checker {

struct CheckRun {
  InputFacts input;
  std::array<OpCounts, kOps> counts{};
  Findings findings;
  double seconds = 0;     // of the whole run, by the wall
  uint64_t peak_kib = 0;  // most memory this process ever had resident
};

// Reads the files or folders and applies every rule. False, with `error` filled, if the input is
// not usable.
bool check(const std::vector<std::string>& paths, const Limits& limits, CheckRun& run,
           InputError& error);

}  // namespace millrace::checker

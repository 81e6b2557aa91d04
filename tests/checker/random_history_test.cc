// Legal histories pass, and one planted violation is found, for many seeds.
#include "tests/checker/random_history.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/checker/check_run.h"
#include "tests/checker/mutator.h"
#include "tests/checker/report.h"
#include "tests/support/temporary_directory.h"

namespace millrace::checker {
namespace {

// More for a long night: MILLRACE_CHECKER_SEEDS=1000.
uint64_t seeds() {
  const char* wanted = std::getenv("MILLRACE_CHECKER_SEEDS");
  const uint64_t number = wanted == nullptr ? 0 : std::strtoull(wanted, nullptr, 10);
  return number == 0 ? 8 : number;
}

// `report` is made while the files are there to be quoted.
void judge(const std::vector<RandomOperation>& history, CheckRun& run, std::string& report) {
  const TemporaryDirectory folder;
  ASSERT_TRUE(write_history(history, folder.path()));
  InputError error;
  ASSERT_TRUE(check({folder.path()}, Limits{}, run, error))
      << error.file << ":" << error.line << ": " << error.what;
  report = text_report(run);
}

struct Row {
  const char* name;
  RandomSettings settings;
};

const Row kRows[] = {
    {"quiet", {}},
    {"no answer lost", {.lost_answers = false}},
    {"kills", {.kills = 6}},
    {"kills and power losses, commit", {.kills = 3, .power_losses = 4}},
    {"kills and power losses, none", {.durability = "none", .kills = 3, .power_losses = 4}},
    {"power losses, interval", {.durability = "interval=50", .power_losses = 4}},
    {"purges and kills", {.kills = 3, .purges = 3}},
    {"everything, none", {.durability = "none", .kills = 3, .power_losses = 3, .purges = 3}},
    {"everything, commit", {.kills = 3, .power_losses = 3, .purges = 3}},
};

TEST(RandomHistory, WhatAPerfectQueueDoesIsClean) {
  for (const Row& row : kRows) {
    for (uint64_t seed = 1; seed <= seeds(); ++seed) {
      RandomSettings settings = row.settings;
      settings.seed = seed;
      CheckRun run;
      std::string report;
      ASSERT_NO_FATAL_FAILURE(judge(random_history(settings), run, report))
          << row.name << " seed " << seed;
      ASSERT_TRUE(run.findings.clean()) << row.name << ", seed " << seed << "\n" << report;
    }
  }
}

TEST(RandomHistory, EveryRuleIsExercised) {
  std::array<uint64_t, kRules.size()> checked{};
  for (const Row& row : kRows) {
    CheckRun run;
    std::string report;
    ASSERT_NO_FATAL_FAILURE(judge(random_history(row.settings), run, report));
    for (size_t rule = 0; rule < kRules.size(); ++rule) {
      checked[rule] += run.findings.all()[rule].checked;
    }
  }
  for (size_t rule = 0; rule < kRules.size(); ++rule) {
    // The perfect queue is a standard one; these have forged histories only.
    constexpr std::array kElsewhere = {Rule::c6, Rule::c7, Rule::c9};
    if (std::ranges::count(kElsewhere, static_cast<Rule>(rule)) > 0) continue;
    EXPECT_GE(checked[rule], 10U) << kRules[rule].name;
  }
}

TEST(RandomHistory, ThePlantedViolationIsFound) {
  for (const Mutation& mutation : mutations()) {
    uint64_t planted = 0;
    for (uint64_t seed = 1; seed <= seeds(); ++seed) {
      RandomSettings settings = mutation.settings;
      settings.seed = seed;
      settings.operations = 1000;
      std::vector<RandomOperation> history = random_history(settings);
      if (!mutation.plant(history, seed * 0x9E3779B97F4A7C15ULL >> 20)) continue;
      ++planted;
      CheckRun run;
      std::string report;
      ASSERT_NO_FATAL_FAILURE(judge(history, run, report)) << mutation.name << ", seed " << seed;
      const bool found = std::any_of(mutation.breaks.begin(), mutation.breaks.end(),
                                     [&](Rule rule) { return run.findings[rule].violations != 0; });
      ASSERT_TRUE(found) << mutation.name << ", seed " << seed << "\n" << report;
    }
    EXPECT_GE(planted, seeds() / 2) << mutation.name;
    fmt::print("{}: seeds 1..{}, planted and found in {}\n", mutation.name, seeds(), planted);
  }
}

}  // namespace
}  // namespace millrace::checker

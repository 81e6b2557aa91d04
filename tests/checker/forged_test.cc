// Every history in forged/ says in its name what the checker must say of it: the one rule it
// breaks, or clean.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/checker/check_run.h"
#include "tests/checker/report.h"

namespace millrace::checker {
namespace {

std::vector<std::filesystem::path> histories() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(MILLRACE_FORGED_FOLDER)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string expected_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.substr(0, name.find('_'));
}

std::string broken_rules(const Findings& findings) {
  std::string rules;
  for (size_t rule = 0; rule < kRules.size(); ++rule) {
    if (findings.all()[rule].violations == 0) continue;
    rules += fmt::format("{}{}", rules.empty() ? "" : ",", kRules[rule].name);
  }
  return rules.empty() ? "clean" : rules;
}

TEST(Forged, EachHistoryBreaksTheRuleInItsNameAndNoOther) {
  for (const auto& path : histories()) {
    CheckRun run;
    InputError error;
    ASSERT_TRUE(check({path.string()}, Limits{}, run, error)) << path << ": " << error.what;
    EXPECT_EQ(broken_rules(run.findings), expected_of(path)) << path << text_report(run);
  }
}

TEST(Forged, EveryRuleHasAHistoryThatBreaksIt) {
  std::vector<std::string> expected;
  for (const auto& path : histories())
    expected.push_back(expected_of(path));
  for (const RuleText& rule : kRules) {
    EXPECT_GE(std::count(expected.begin(), expected.end(), rule.name), 1) << rule.name;
  }
  EXPECT_GE(std::count(expected.begin(), expected.end(), "clean"), 8);
}

TEST(Forged, TheReportQuotesTheLinesOfTheFirstViolation) {
  CheckRun run;
  InputError error;
  const std::string path = MILLRACE_FORGED_FOLDER "/C3_received_again_after_its_delete.jsonl";
  ASSERT_TRUE(check({path}, Limits{}, run, error));
  EXPECT_EQ(run.findings[Rule::c3].violations, 1U);
  for (const std::string& report : {text_report(run), json_report(run)}) {
    EXPECT_NE(report.find("C3"), std::string::npos);
    EXPECT_NE(report.find("r-b-1"), std::string::npos) << "the delete's line";
    EXPECT_NE(report.find("r-b-2"), std::string::npos) << "the later receive's line";
  }
}

}  // namespace
}  // namespace millrace::checker

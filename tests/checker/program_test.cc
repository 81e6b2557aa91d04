// millrace-check as its user meets it: exit status and output.
#include <array>
#include <cstdio>
#include <string>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace millrace::checker {
namespace {

struct Answer {
  int status = -1;
  std::string output;  // both streams
};

Answer run(const std::string& arguments) {
  Answer answer;
  FILE* pipe =
      ::popen((std::string(MILLRACE_CHECK_PROGRAM) + " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return answer;
  std::array<char, 4096> buffer{};
  size_t got = 0;
  while ((got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0) {
    answer.output.append(buffer.data(), got);
  }
  const int status = ::pclose(pipe);
  answer.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return answer;
}

const std::string kForged = MILLRACE_FORGED_FOLDER;

TEST(Program, ExitsZeroOnACleanHistory) {
  const Answer answer = run(kForged + "/clean_plain_life.jsonl");
  EXPECT_EQ(answer.status, 0);
  EXPECT_NE(answer.output.find("\nclean\n"), std::string::npos) << answer.output;
}

TEST(Program, ExitsOneOnAViolationAndShowsItsLines) {
  const Answer answer = run(kForged + "/C4_lease_forgotten_in_a_kill.jsonl");
  EXPECT_EQ(answer.status, 1);
  EXPECT_NE(answer.output.find("C4 lease: a message came back"), std::string::npos);
  EXPECT_NE(answer.output.find("C4_lease_forgotten_in_a_kill.jsonl:"), std::string::npos);
}

TEST(Program, ExitsTwoWithOneLineOnUnusableInput) {
  const TemporaryDirectory folder;
  const std::string path = folder.write("broken.jsonl", "{}\n");
  const Answer answer = run(path);
  EXPECT_EQ(answer.status, 2);
  EXPECT_EQ(answer.output,
            "millrace-check: " + path + ":1: one of the fields t, p, i, ev, op is missing\n");
  EXPECT_EQ(run("").status, 2);
  EXPECT_EQ(run("--nonsense 1 x").status, 2);
  EXPECT_EQ(run("--late-ms soon x").status, 2);
  EXPECT_EQ(run(folder.path() + "/none.jsonl").status, 2);
}

TEST(Program, AnswersInJson) {
  const Answer answer = run("--json " + kForged + "/C8_receive_count_jumps.jsonl");
  EXPECT_EQ(answer.status, 1);
  EXPECT_EQ(answer.output.find("{\"clean\":false,"), 0U) << answer.output;
  EXPECT_NE(answer.output.find(R"("rule":"C8","title":"receive count")"), std::string::npos);
}

TEST(Program, ALimitGivenOnTheCommandLineIsUsed) {
  const std::string history = kForged + "/C12_send_waited_too_long.jsonl";
  EXPECT_EQ(run(history).status, 1);
  EXPECT_EQ(run("--send-wait-ms 3000 " + history).status, 0);
}

}  // namespace
}  // namespace millrace::checker

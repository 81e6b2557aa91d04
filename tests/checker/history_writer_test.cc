#include "tests/checker/history_writer.h"

#include <fstream>
#include <sstream>
#include <string>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "tests/checker/check_run.h"
#include "tests/checker/report.h"
#include "tests/support/temporary_directory.h"

namespace millrace::checker {
namespace {

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(HistoryWriter, AnInvocationIsInTheFileWhenBeginReturns) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/c.jsonl";
  HistoryWriter writer;
  ASSERT_TRUE(writer.open(path, "c"));
  const uint64_t first = writer.begin("recv", {.q = "q", .v = 500});
  EXPECT_NE(content(path).find(R"("i":1,"ev":"inv","op":"recv","q":"q","v":500})"),
            std::string::npos);
  writer.end(first, "ok", "recv", {});
  EXPECT_EQ(content(path).find("\"ok\""), std::string::npos) << "ends are gathered";
  writer.begin("recv", {.q = "q"});
  EXPECT_NE(content(path).find("\"ok\""), std::string::npos) << "and written with the next begin";
}

TEST(HistoryWriter, WhatItWritesTheCheckerReads) {
  const TemporaryDirectory folder;
  const std::string body = "a body";
  {
    HistoryWriter writer;
    ASSERT_TRUE(writer.open(folder.path() + "/c.jsonl", "c\"\\\n\x01"));
    const std::string hash = body_hash(body);
    const uint64_t send =
        writer.begin("send", {.q = "q \"1\"", .k = "c-1", .h = hash, .g = "g", .d = "d", .dl = 0});
    writer.end(send, "ok", "send", {.m = "m", .s = 7, .dur = "interval=20", .lsn = "2:88123"});
    const uint64_t receive = writer.begin("recv", {.q = "q \"1\"", .v = 30000});
    writer.end(receive, "ok", "recv", {.k = "c-1", .h = hash, .m = "m", .r = "r", .n = 1});
    const uint64_t refused = writer.begin("del", {.q = "q \"1\"", .k = "c-1", .r = "r"});
    writer.end(refused, "fail", "del", {.err = "no\tway"});
    ASSERT_TRUE(writer.close());
  }
  CheckRun run;
  InputError error;
  ASSERT_TRUE(check({folder.path()}, Limits{}, run, error)) << error.line << error.what;
  EXPECT_TRUE(run.findings.clean()) << text_report(run);
  EXPECT_EQ(run.input.lines, 6U);
  EXPECT_EQ(run.findings[Rule::c2].checked, 1U);
}

TEST(HistoryWriter, ABatchIsInTheFileAfterOneFlush) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/c.jsonl";
  HistoryWriter writer;
  ASSERT_TRUE(writer.open(path, "c"));
  for (int at = 0; at < 100; ++at) {
    writer.begin_later("send", {.q = "q", .k = "k" + std::to_string(at), .h = "1"});
  }
  EXPECT_EQ(content(path), "");
  ASSERT_TRUE(writer.flush());
  CheckRun run;
  InputError error;
  ASSERT_TRUE(check({path}, Limits{}, run, error)) << error.what;
  EXPECT_EQ(run.input.lines, 100U);
}

TEST(HistoryWriter, WhatWasBegunSurvivesTheDeathOfItsWriter) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/c.jsonl";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    HistoryWriter writer;
    if (writer.open(path, "c")) writer.begin("send", {.q = "q", .k = "k", .h = "1"});
    ::_exit(0);  // no destructor runs, as in a kill
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  CheckRun run;
  InputError error;
  ASSERT_TRUE(check({path}, Limits{}, run, error)) << error.what;
  EXPECT_EQ(run.counts[static_cast<size_t>(Op::send)].unfinished(), 1U);
}

TEST(HistoryWriter, AFailedWriteIsRemembered) {
  HistoryWriter writer;
  ASSERT_TRUE(writer.open("/dev/full", "c"));
  writer.begin("recv", {.q = "q"});
  EXPECT_TRUE(writer.failed());
  EXPECT_FALSE(writer.flush());
  EXPECT_FALSE(writer.close());
}

}  // namespace
}  // namespace millrace::checker

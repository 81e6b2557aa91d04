#include "base/log_line.h"

#include <string>

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

class LogLine : public ::testing::Test {
 protected:
  void TearDown() override { set_log(LogLevel::info, LogFormat::text); }

  static std::string written(LogLevel level, std::string_view text) {
    ::testing::internal::CaptureStderr();
    log_line(level, "area", "{}", text);
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogLine, IsOneLineWithTimeLevelAndArea) {
  set_log(LogLevel::info, LogFormat::text);
  const std::string line = written(LogLevel::warn, "disk is slow");
  // 2026-01-02T03:04:05.678Z
  ASSERT_GT(line.size(), 24u);
  EXPECT_EQ(line[10], 'T');
  EXPECT_EQ(line[23], 'Z');
  EXPECT_EQ(line.substr(24), " warn  area: disk is slow\n");
}

TEST_F(LogLine, BelowTheLevelAskedForIsNotWritten) {
  set_log(LogLevel::warn, LogFormat::text);
  EXPECT_EQ(written(LogLevel::info, "x"), "");
  EXPECT_NE(written(LogLevel::error, "x"), "");
}

TEST_F(LogLine, JsonEscapesWhatWouldBreakTheLine) {
  set_log(LogLevel::info, LogFormat::json);
  const std::string line = written(LogLevel::info, "a\"b\\c\nd\x01");
  EXPECT_NE(line.find(R"("level":"info","area":"area","text":"a\"b\\c\u000ad\u0001"})"),
            std::string::npos)
      << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

}  // namespace
}  // namespace millrace::base

#include "base/turn_trace.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "base/os_clock.h"

namespace millrace::base {
namespace {

class Tracing : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::internal::CaptureStderr(); }
  static std::string told() { return ::testing::internal::GetCapturedStderr(); }
  static void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }
  static void spin() {
    for (const int64_t begun_ns = os_monotonic_ns(); os_monotonic_ns() - begun_ns < 3'000'000;) {
    }
  }
};

TEST_F(Tracing, OfALongTurnItSaysWhatTookTheTime) {
  TurnTrace trace("shard 7", 2'000);
  trace.begin();
  turn_step("requests");
  nap();
  turn_step("writing");
  turn_step("answers");
  trace.end();
  const std::string line = told();
  EXPECT_NE(line.find("trace: shard 7: a turn took "), std::string::npos) << line;
  EXPECT_NE(line.find(" of them not on a core: writing "), std::string::npos) << line;
  EXPECT_EQ(line.find("answers"), std::string::npos) << line;
}

TEST_F(Tracing, StepsOfOneNameAreOneSum) {
  TurnTrace trace("shard 0", 2'000);
  trace.begin();
  for (int i = 0; i < 2; ++i) {
    spin();
    turn_step("receives");
  }
  trace.end();
  const std::string line = told();
  const size_t first = line.find("receives ");
  ASSERT_NE(first, std::string::npos) << line;
  EXPECT_EQ(line.find("receives ", first + 1), std::string::npos) << line;
}

TEST_F(Tracing, OfAShortTurnAndWithoutATraceItSaysNothing) {
  turn_step("requests");  // nobody traces
  {
    TurnTrace trace("shard 0", 10'000'000);
    trace.begin();
    turn_step("requests");
    trace.end();
    nap();  // between two turns
    turn_step("requests");
    trace.begin();
    trace.end();
  }
  turn_step("requests");  // nobody any more
  EXPECT_EQ(told(), "");
}

TEST_F(Tracing, LinesOfASecondAreBoundedAndNamesToo) {
  TurnTrace trace("shard 0", 0);
  static constexpr char kNames[64] = {};
  for (int turn = 0; turn < 200; ++turn) {
    trace.begin();
    for (const char& name : kNames)
      turn_step(&name);
    trace.end();
  }
  const std::string lines = told();
  const auto count = std::count(lines.begin(), lines.end(), '\n');
  EXPECT_GE(count, 20);
  EXPECT_LE(count, 60);  // as many seconds as three
}

}  // namespace
}  // namespace millrace::base

#include "base/server_clock.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

constexpr int64_t kMs = 1'000'000;  // in ns

TEST(ServerClock, StartsAtTheWallAndFollowsBootTime) {
  ServerClock clock(TimeMs{0}, 5'000, 70 * kMs);
  EXPECT_EQ(clock.at(70 * kMs).value, 5'000);
  EXPECT_EQ(clock.at(71 * kMs - 1).value, 5'000);
  EXPECT_EQ(clock.at(71 * kMs).value, 5'001);
  EXPECT_EQ(clock.at(1'070 * kMs).value, 6'000);
}

TEST(ServerClock, StartsAtTheLastLoggedTimeWhenTheWallWasSetBack) {
  ServerClock clock(TimeMs{9'000}, 5'000, 0);
  EXPECT_EQ(clock.at(0).value, 9'000);
  EXPECT_EQ(clock.at(3 * kMs).value, 9'003);
}

TEST(ServerClock, NeverGoesBack) {
  ServerClock clock(TimeMs{0}, 5'000, 100 * kMs);
  EXPECT_EQ(clock.at(150 * kMs).value, 5'050);
  EXPECT_EQ(clock.at(120 * kMs).value, 5'050);
  EXPECT_EQ(clock.at(0).value, 5'050);
  EXPECT_EQ(clock.at(151 * kMs).value, 5'051);
}

}  // namespace
}  // namespace millrace::base

#include "storage/write_rate.h"

#include <gtest/gtest.h>

namespace millrace::storage {
namespace {

TEST(WriteRate, IsThatOfTheLastMoments) {
  WriteRate rate;
  TimeMs now{1'000'000};
  EXPECT_EQ(rate.bytes_per_ms(now), 0u);
  for (int i = 0; i < 1000; ++i, now = now + 1)
    rate.add(100, now);
  EXPECT_NEAR(static_cast<double>(rate.bytes_per_ms(now)), 100, 3);
  EXPECT_LT(rate.bytes_per_ms(now + 100), 80u);
  EXPECT_EQ(rate.bytes_per_ms(now + 300), 0u);
  rate.add(6400, now + 10'000);
  EXPECT_EQ(rate.bytes_per_ms(now + 10'000), 100u);  // 64 ms at least: a single batch is no rush
}

}  // namespace
}  // namespace millrace::storage

#include "base/prng.h"

#include <array>
#include <cstdlib>

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(Prng, IsXoshiro256StarStarSeededBySplitMix64) {
  Prng random(0);
  EXPECT_EQ(random.next(), 11091344671253066420u);
  EXPECT_EQ(random.next(), 13793997310169335082u);
  EXPECT_EQ(random.next(), 1900383378846508768u);
  EXPECT_EQ(random.next(), 7684712102626143532u);
}

TEST(Prng, OneSeedGivesOneSequence) {
  Prng a(42);
  Prng b(42);
  Prng other(43);
  int equal_to_other = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t value = a.next();
    EXPECT_EQ(value, b.next());
    equal_to_other += value == other.next();
  }
  EXPECT_EQ(equal_to_other, 0);
}

TEST(Prng, BelowCoversItsRangeEvenly) {
  Prng random(1);
  std::array<int, 10> hits{};
  for (int i = 0; i < 100'000; ++i)
    ++hits[random.below(10)];
  // Ten standard deviations around the mean; the seed is fixed.
  for (const int n : hits)
    EXPECT_LT(std::abs(n - 10'000), 1'000);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Prng, BetweenReachesBothEnds) {
  Prng random(2);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t v = random.between(5, 8);
    ASSERT_GE(v, 5u);
    ASSERT_LE(v, 8u);
    low |= v == 5;
    high |= v == 8;
  }
  EXPECT_TRUE(low && high);
  EXPECT_EQ(random.between(9, 9), 9u);
}

TEST(Prng, ChanceIsAboutTheShareAskedFor) {
  Prng random(3);
  int hits = 0;
  for (int i = 0; i < 100'000; ++i)
    hits += random.chance(1, 4);
  EXPECT_LT(std::abs(hits - 25'000), 1'500);
  EXPECT_FALSE(random.chance(0, 4));
  EXPECT_TRUE(random.chance(4, 4));
}

}  // namespace
}  // namespace millrace::base

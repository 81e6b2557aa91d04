#include "tools/bench/histogram.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/prng.h"

namespace millrace::tools {
namespace {

TEST(Histogram, BucketsTileTheWholeRangeWithoutGapOrOverlap) {
  uint64_t next = 0;
  for (size_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    ASSERT_EQ(Histogram::bucket_of(next), bucket);
    ASSERT_EQ(Histogram::bucket_of(Histogram::upper_end(bucket)), bucket);
    next = Histogram::upper_end(bucket) + 1;
  }
  EXPECT_EQ(Histogram::upper_end(Histogram::kBuckets - 1), UINT64_MAX);
}

TEST(Histogram, APercentileIsWithinEightThousandthsOfTheSortedValue) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    base::Prng prng(seed);
    Histogram histogram;
    std::vector<uint64_t> values(1 + prng.below(2000));
    for (uint64_t& value : values) {
      value = prng.next() >> prng.below(64);
      histogram.record(value);
    }
    std::sort(values.begin(), values.end());
    for (const double percent : {0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
      const auto rank = static_cast<size_t>(
          std::max(1.0, std::ceil(percent / 100 * static_cast<double>(values.size()))));
      const uint64_t exact = values[rank - 1];
      const uint64_t shown = histogram.percentile(percent);
      EXPECT_GE(shown, exact) << "seed " << seed << " percent " << percent;
      EXPECT_LE(static_cast<double>(shown), static_cast<double>(exact) * 1.008)
          << "seed " << seed << " percent " << percent;
    }
    EXPECT_EQ(histogram.max(), values.back());
    EXPECT_EQ(histogram.count(), values.size());
  }
}

TEST(Histogram, TwoAddedAreAsOneThatRecordedBoth) {
  base::Prng prng(7);
  Histogram one;
  Histogram other;
  Histogram both;
  for (int i = 0; i < 5000; ++i) {
    const uint64_t value = prng.below(1'000'000);
    (i % 3 == 0 ? one : other).record(value);
    both.record(value);
  }
  one.add(other);
  for (int percent = 0; percent <= 100; ++percent)
    EXPECT_EQ(one.percentile(percent), both.percentile(percent));
  EXPECT_EQ(one.max(), both.max());
}

TEST(Histogram, AnEmptyOneAnswersZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.percentile(99), 0u);
  EXPECT_EQ(histogram.max(), 0u);
}

}  // namespace
}  // namespace millrace::tools

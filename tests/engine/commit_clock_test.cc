// How long answers wait for their sync.
#include "engine/commit_clock.h"

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

constexpr int64_t kUs = 1'000;

TEST(CommitClock, AnAnswerIsCountedWhenItsSyncIsDone) {
  CommitClock clock;
  clock.note_parked(3, {100}, 1'000 * kUs);
  clock.note_parked(5, {200}, 1'100 * kUs);
  clock.note_durable({99}, 1'200 * kUs);
  EXPECT_EQ(clock.times().sum_us, 0u);
  clock.note_durable({199}, 1'200 * kUs);
  EXPECT_EQ(clock.times().sum_us, 3u * 200);
  clock.note_durable({200}, 1'900 * kUs);
  EXPECT_EQ(clock.times().sum_us, 3u * 200 + 2u * 800);
  EXPECT_EQ(clock.times().counts[3], 3u);  // 200 us to under 400
  EXPECT_EQ(clock.times().counts[5], 2u);  // 800 us to under 1.6 ms
}

TEST(CommitClock, ATurnThatParkedNothingIsNotNoted) {
  CommitClock clock;
  clock.note_parked(1, {100}, 0);
  clock.note_parked(1, {100}, 500 * kUs);
  clock.note_durable({100}, 600 * kUs);
  clock.note_durable({100}, 700 * kUs);
  EXPECT_EQ(clock.times().sum_us, 600u);
}

TEST(CommitTimes, TheLastBucketTakesAllThatIsLonger) {
  CommitTimes times;
  times.add(-5, 1);
  times.add(49 * kUs, 1);
  times.add(50 * kUs, 1);
  times.add(INT64_MAX, 1);
  EXPECT_EQ(times.counts[0], 2u);
  EXPECT_EQ(times.counts[1], 1u);
  EXPECT_EQ(times.counts[CommitTimes::kBuckets - 1], 1u);
  EXPECT_EQ(CommitTimes::bound_us(1), 100u);
}

}  // namespace
}  // namespace millrace::engine

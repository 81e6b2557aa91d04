// What a queue counts for whoever looks at it: how long messages waited and were leased, how many
// came again, went to the dead-letter queue, grew too old.
#include <fmt/format.h>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

TEST(DurationHistogram, CountsByPowersOfTwoOfAMillisecond) {
  DurationHistogram times;
  EXPECT_EQ(times.percentile_ms(50), 0u);
  for (const int64_t ms : {-5, 0, 1, 2, 3, 4, 1023, 1024})
    times.add(ms);
  EXPECT_EQ(times.counts[0], 2u);
  EXPECT_EQ(times.counts[1], 1u);
  EXPECT_EQ(times.counts[2], 2u);
  EXPECT_EQ(times.counts[3], 1u);
  EXPECT_EQ(times.counts[10], 1u);
  EXPECT_EQ(times.counts[11], 1u);
  EXPECT_EQ(times.count(), 8u);
  EXPECT_EQ(times.sum_ms, 2057u);
  EXPECT_EQ(times.percentile_ms(25), 1u);
  EXPECT_EQ(times.percentile_ms(50), 4u);
  EXPECT_EQ(times.percentile_ms(100), 2048u);
  times.add(INT64_MAX);
  EXPECT_EQ(times.counts[31], 1u);
  DurationHistogram both = times;
  both.add(times);
  EXPECT_EQ(both.count(), 18u);
}

class QueueTimesTest : public EngineTest {
 protected:
  void SetUp() override { open(); }
};

TEST_F(QueueTimesTest, HowLongMessagesWaitedAndWereLeased) {
  options_.shards = 2;
  options_.data_directory += "-two";
  open();
  const QueueId queue = create("q");
  EXPECT_EQ(counters(queue).times, nullptr);
  send(queue, Batch().add("now").add("later", 5'000), 0);
  send(queue, Batch().add("there"), 1);
  advance(100);
  auto got = receive(queue, 1, 1'000, 0);
  const auto there = receive(queue, 1, 60'000, 1);
  ASSERT_EQ(got.size(), 1u);
  ASSERT_EQ(there.size(), 1u);
  advance(1'000);
  got = receive(queue, 1, 60'000, 0);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].receive_count, 2u);
  advance(4'100);
  const auto later = receive(queue, 1, 60'000, 0);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  EXPECT_EQ(ack(later[0].receipt), Errc::ok);
  EXPECT_EQ(ack(there[0].receipt), Errc::ok);
  EXPECT_EQ(ack(there[0].receipt), Errc::ok);  // counts once
  const QueueCounters counts = counters(queue);
  EXPECT_EQ(counts.received, 4u);
  EXPECT_EQ(counts.redelivered, 1u);
  EXPECT_EQ(counts.acked, 3u);
  ASSERT_NE(counts.times, nullptr);
  EXPECT_EQ(counts.times->wait.count(), 3u);
  EXPECT_EQ(counts.times->wait.sum_ms, 100u + 100u + 200u);
  EXPECT_EQ(counts.times->lease.count(), 3u);
  EXPECT_EQ(counts.times->lease.sum_ms, 4'100u + 0u + 5'100u);
}

TEST_F(QueueTimesTest, WhatLeavesAQueueOtherThanByAnAck) {
  const QueueId queue = create("q", {.retention_ms = 60'000});
  const QueueId dead = create("dead");
  redrive(queue, "dead");
  send(queue, Batch().add("poison").add("poison").add("old", 2'000));
  EXPECT_EQ(receive(queue, 2, 1'000).size(), 2u);
  advance(1'000);
  EXPECT_TRUE(receive(queue, 2, 1'000).empty());
  advance(60'000);
  tick();
  const QueueCounters counts = counters(queue);
  EXPECT_EQ(counts.dead_lettered, 2u);
  EXPECT_EQ(counts.aged_out, 1u);
  EXPECT_EQ(counts.acked, 0u);
  EXPECT_EQ(counters(dead).sent, 0u);
  EXPECT_EQ(counters(dead).ready, 2u);
}

}  // namespace
}  // namespace millrace::engine

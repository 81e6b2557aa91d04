// Retention: what is older than its queue keeps messages is never delivered, is not counted, and
// takes no room; whatever state it is in, through crashes.
#include <fmt/format.h>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

constexpr uint32_t kMinute = 60'000;

class Retention : public EngineTest {
 protected:
  static QueueAttributes keeping(uint32_t ms, bool fifo = false) {
    QueueAttributes attributes;
    attributes.retention_ms = ms;
    attributes.fifo = fifo;
    return attributes;
  }
  uint64_t all(QueueId queue) {
    const QueueCounters counts = counters(queue);
    return counts.ready + counts.leased + counts.delayed;
  }
};

TEST_F(Retention, AMessageIsDeliveredUntilItIsOverAndNeverAfter) {
  open();
  const QueueId queue = create("q", keeping(kMinute));
  send(queue, "a");
  advance(kMinute - 1);
  EXPECT_EQ(receive(queue, 10, 0).size(), 1u);
  // The clock has moved and no turn has been made since.
  environment_.advance(1);
  shard().refresh_clock();
  const ReplyTo to = reply();
  shard().receive({.queue = queue, .messages_max = 10, .wait_ms = 0}, to);
  until([&] { return sink_.receives.contains(to.token); });
  EXPECT_TRUE(sink_.receives[to.token][0].messages.empty());
  EXPECT_EQ(all(queue), 0u);
  EXPECT_EQ(shard().state().find(queue)->live_bytes(), 0u);
  send(queue, "b");
  advance(kMinute / 2);
  EXPECT_EQ(bodies(receive(queue, 10, 0)), Bodies{"b"});
}

TEST_F(Retention, ADelayThatNoQueueCanAskForCountsAsNotSentYet) {
  open();
  const QueueId queue = create("q", keeping(kMinute));
  constexpr uint32_t kTwentyDays = 1'728'000'000;
  send(queue, Batch().add("late", kTwentyDays).add("soon"));
  EXPECT_EQ(bodies(receive(queue, 10, 0)), Bodies{"soon"});
  for (int day = 0; day < 20; ++day) {
    if (day == 10) crash_and_open();
    if (day == 15) stop_and_open();
    tick();
    EXPECT_EQ(all(queue), day == 0 ? 2u : 1u);
    advance(kTwentyDays / 20);
  }
  const auto late = receive(queue, 10, 0);
  EXPECT_EQ(bodies(late), Bodies{"late"});
  advance(2 * kMinute);
  EXPECT_EQ(all(queue), 0u);
}

TEST_F(Retention, WhateverStateItIsInAndWhateverTheQueueIsToldLater) {
  open();
  const QueueId queue = create("q", keeping(kMinute));
  send(queue, Batch().add("leased").add("delayed", 300'000).add("ready"));
  const auto leased = receive(queue, 1, 600'000);
  ASSERT_EQ(leased.size(), 1u);
  advance(10);
  send(queue, "younger");
  advance(kMinute - 10);
  EXPECT_EQ(all(queue), 1u);
  EXPECT_EQ(ack(leased[0].receipt), Errc::ok);  // nothing is left to do
  set(queue, "MessageRetentionPeriod", "86400");
  for (const bool crash : {false, true}) {
    if (crash) {
      crash_and_open();
    } else {
      stop_and_open();
    }
    EXPECT_EQ(all(queue), 1u);
    EXPECT_EQ(bodies(receive(queue, 10, 0)), Bodies{"younger"});
    tick();
  }
  set(queue, "MessageRetentionPeriod", "60");  // goes for what is there
  advance(1'000);
  EXPECT_EQ(all(queue), 0u);
}

TEST_F(Retention, AnExpiredMessageDoesNotBlockItsGroup) {
  open();
  const QueueId queue = create("q.fifo", keeping(kMinute, true));
  send(queue, Batch().add_fifo("g", "1", "old"));
  ASSERT_EQ(receive(queue, 1, 600'000).size(), 1u);
  advance(1'000);
  send(queue, Batch().add_fifo("g", "2", "young"));
  const ReplyTo to = reply();
  shard().receive({.queue = queue, .messages_max = 10, .wait_ms = 600'000}, to);
  settle();
  EXPECT_FALSE(sink_.receives.contains(to.token));
  advance(kMinute - 1'000);
  until([&] { return sink_.receives.contains(to.token); });
  EXPECT_EQ(bodies(sink_.receives[to.token][0].messages), Bodies{"young"});
  // Its deduplication id lasts five minutes all the same.
  EXPECT_EQ(send(queue, Batch().add_fifo("g", "1", "again")).shard_slots.size(), 1u);
  crash_and_open();
  EXPECT_EQ(send(queue, Batch().add_fifo("g", "1", "again")).shard_slots.size(), 1u);
}

TEST_F(Retention, DeadLettersKeepTheirFirstSendingTimeOnStandardQueuesOnly) {
  for (const bool fifo : {false, true}) {
    options_.data_directory = fmt::format("{}/{}", directory_.path(), fifo);
    open();
    const std::string end = fifo ? ".fifo" : "";
    const QueueId queue = create("q" + end, keeping(10 * kMinute, fifo));
    const QueueId dead = create("dead" + end, keeping(2 * kMinute, fifo));
    set(queue, "RedrivePolicy",
        fmt::format(R"({{"deadLetterTargetArn":"dead{}","maxReceiveCount":1}})", end));
    const auto message = [&](std::string_view body) {
      return fifo ? Batch().add_fifo(body, body, body) : Batch().add(body);
    };
    send(queue, message("old"));
    advance(kMinute);
    send(dead, message("young"));  // stands before the other, and is not over when that is
    for (int i = 0; i < 2; ++i)
      receive(queue, 10, 0);
    settle_moves();
    EXPECT_EQ(all(dead), 2u);
    crash_and_open();
    advance(kMinute);
    EXPECT_EQ(bodies(receive(dead, 10, 0)), fifo ? (Bodies{"young", "old"}) : Bodies{"young"});
    advance(kMinute);
    EXPECT_EQ(all(dead), 0u);
    broker_.reset();
  }
}

TEST_F(Retention, ThousandsThatAreOverGoAFewATurn) {
  options_.durability = Durability::none;
  options_.segment_bytes = 256u << 10;
  open();
  const QueueId queue = create("q", keeping(kMinute));
  Batch thousand;
  for (int i = 0; i < 1'000; ++i)
    thousand.add("x");
  for (int i = 0; i < 20; ++i)
    send(queue, thousand);
  advance(1);
  send(queue, "young");
  settle();
  environment_.advance(kMinute - 1);
  const Partition& partition = *shard().state().find(queue);
  uint64_t before = partition.index().live_count();
  EXPECT_EQ(before, 20'001u);
  int turns = 0;
  for (; turns < 1'000 && partition.index().live_count() > 1; ++turns) {
    shard().tick();
    EXPECT_LE(before - partition.index().live_count(), kRetentionSlotsPerTickMax);
    before = partition.index().live_count();
  }
  EXPECT_GT(turns, 1);
  EXPECT_EQ(bodies(receive(queue)), Bodies{"young"});
  const uint64_t digest = shard().state().digest(shard().now());
  crash_and_open();
  EXPECT_EQ(shard().state().digest(shard().now()), digest);
}

class InFlight : public EngineTest {
 protected:
  static QueueAttributes at_most(uint32_t count, bool fifo = false) {
    QueueAttributes attributes;
    attributes.in_flight_max = count;
    attributes.fifo = fifo;
    return attributes;
  }
  ReplyTo ask(QueueId queue, uint32_t wait_ms, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).receive({.queue = queue, .messages_max = 10, .wait_ms = wait_ms}, to);
    settle();
    return to;
  }
};

TEST_F(InFlight, AStandardQueueRefusesAShortPollPastItsLimit) {
  open();
  const QueueId queue = create("q", at_most(3));
  for (int i = 0; i < 5; ++i)
    send(queue, fmt::format("{}", i));
  const auto leased = receive(queue);
  EXPECT_EQ(leased.size(), 3u);
  ReplyTo to = ask(queue, 0);
  ASSERT_TRUE(sink_.receives.contains(to.token));
  EXPECT_EQ(sink_.receives[to.token][0].error, Errc::over_limit);
  to = ask(queue, 5'000);  // waits, and gets nothing
  EXPECT_FALSE(sink_.receives.contains(to.token));
  advance(5'000);
  settle();
  ASSERT_TRUE(sink_.receives.contains(to.token));
  EXPECT_EQ(sink_.receives[to.token][0].error, Errc::ok);
  EXPECT_TRUE(sink_.receives[to.token][0].messages.empty());
  to = ask(queue, 5'000);  // unless one is acked meanwhile
  EXPECT_EQ(ack(leased[1].receipt), Errc::ok);
  until([&] { return sink_.receives.contains(to.token); });
  EXPECT_EQ(sink_.receives[to.token][0].messages.size(), 1u);
}

TEST_F(InFlight, AFifoQueueGivesNoMore) {
  open();
  const QueueId queue = create("q.fifo", at_most(1, true));
  send(queue, Batch().add_fifo("a", "1", "1").add_fifo("b", "2", "2"));
  const auto leased = receive(queue);
  EXPECT_EQ(leased.size(), 1u);
  EXPECT_TRUE(receive(queue).empty());
  const ReplyTo to = ask(queue, 5'000);
  EXPECT_EQ(ack(leased[0].receipt), Errc::ok);
  until([&] { return sink_.receives.contains(to.token); });
  EXPECT_EQ(sink_.receives[to.token][0].messages.size(), 1u);
}

TEST_F(InFlight, TheLimitIsSharedAmongTheShards) {
  options_.shards = 2;
  open();
  const QueueId queue = create("q", at_most(4));
  for (int i = 0; i < 10; ++i)
    send(queue, fmt::format("{}", i), static_cast<uint16_t>(i % 2));
  uint64_t leased = 0;
  for (int i = 0; i < 4; ++i) {
    const ReplyTo to = ask(queue, 0);
    until([&] { return sink_.receives.contains(to.token); });
    leased += sink_.receives[to.token][0].messages.size();
    if (i >= 2) {
      EXPECT_EQ(sink_.receives[to.token][0].error, Errc::over_limit);
    }
  }
  EXPECT_EQ(leased, 4u);
}

TEST_F(InFlight, AnAckOnAFifoQueueWakesWhoWaitsForTheGroup) {
  options_.shards = 2;
  open();
  const QueueId queue = create("q.fifo", at_most(100, true));
  send(queue, Batch().add_fifo("a", "1", "1").add_fifo("a", "2", "2"));
  const auto leased = receive(queue, 1);
  ASSERT_EQ(leased.size(), 1u);
  for (const uint16_t at : {uint16_t{0}, uint16_t{1}})
    ask(queue, 600'000, at);
  const uint64_t before = sink_.receives.size();
  EXPECT_EQ(ack(leased[0].receipt), Errc::ok);
  until([&] { return sink_.receives.size() > before; });
}

}  // namespace
}  // namespace millrace::engine

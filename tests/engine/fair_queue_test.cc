// Standard queues whose messages name groups: whose turn it is, and all that a queue does beside
// that; through restarts, on one shard and on several.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

class FairQueue : public EngineTest {
 protected:
  static Batch of(std::string_view group, std::initializer_list<std::string_view> bodies) {
    Batch batch;
    for (const std::string_view body : bodies)
      batch.add_fifo(group, "", body);
    return batch;
  }
  static Batch flood(int count, std::string_view group = "noisy") {
    Batch batch;
    for (int i = 0; i < count; ++i)
      batch.add_fifo(group, "", fmt::format("{} {}", group, i));
    return batch;
  }
  const Partition& partition(QueueId queue, uint16_t at = 0) {
    return *shard(at).state().find(queue);
  }
};

TEST_F(FairQueue, AQuietTenantDoesNotWaitBehindABacklog) {
  open();
  const QueueId queue = create("q");
  send(queue, flood(100));
  const auto first = receive(queue, 30);
  ASSERT_EQ(first.size(), 30u);
  send(queue, of("quiet", {"1", "2"}));
  send(queue, "3");  // of no group
  EXPECT_EQ(bodies(receive(queue, 4)), (Bodies{"1", "2", "3", "noisy 30"}));
  const QueueCounters counts = counters(queue);
  EXPECT_EQ(counts.ready, 69u);
  EXPECT_EQ(counts.leased, 34u);
  // Nothing is ordered and nothing blocked: any of them may go at any time.
  EXPECT_EQ(ack(first[7].receipt), Errc::ok);
  EXPECT_EQ(receive(queue, 100).size(), 69u);
}

TEST_F(FairQueue, AQueueWithoutGroupsKeepsNone) {
  open();
  const QueueId queue = create("q");
  std::string properties;
  append_property(properties, PropertyTag::attribute, "a", "String", as_bytes("b"));
  send(queue, Batch().add_with(properties, "1", kDelayQueueDefault).add("2"));
  EXPECT_FALSE(partition(queue).keeps_tenants());
  stop_and_open();
  EXPECT_FALSE(partition(queue).keeps_tenants());
  EXPECT_EQ(bodies(receive(queue)), (Bodies{"1", "2"}));
}

TEST_F(FairQueue, WhatComesBackIsThereForEachStateAMessageCanBeIn) {
  open();
  const QueueId queue = create("q");
  send(queue, of("a", {"1", "2", "3", "4"}));
  std::string group;
  append_property(group, PropertyTag::group, as_bytes("a"));
  send(queue, Batch().add_with(group, "later", 1'000));
  const auto got = receive(queue, 3, 500);
  ASSERT_EQ(bodies(got), (Bodies{"1", "2", "3"}));
  EXPECT_EQ(extend(got[1].receipt, 0), Errc::ok);
  EXPECT_EQ(bodies(receive(queue, 1, 10'000)), Bodies{"2"});
  EXPECT_EQ(extend(got[2].receipt, 2'000), Errc::ok);
  advance(500);
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);  // though its lease is over
  EXPECT_EQ(bodies(receive(queue)), Bodies{"4"});
  advance(500);
  EXPECT_EQ(bodies(receive(queue)), Bodies{"later"});
  advance(1'500);
  EXPECT_EQ(extend(got[2].receipt, 100), Errc::ok);  // hidden again though it was back
  EXPECT_TRUE(receive(queue).empty());
  advance(100);
  EXPECT_EQ(bodies(receive(queue)), Bodies{"3"});
  EXPECT_EQ(partition(queue).groups(), 1u);
  EXPECT_EQ(counters(queue).leased, 4u);
}

TEST_F(FairQueue, ARestartKnowsTheTenantsAndWhatTheyHaveInFlight) {
  open();
  const QueueId queue = create("q");
  send(queue, flood(60));
  const auto leased = receive(queue, 30, 3'600'000);
  ASSERT_EQ(leased.size(), 30u);
  send(queue, of("quiet", {"1", "2", "3"}));
  ASSERT_EQ(bodies(receive(queue, 1, 3'600'000)), Bodies{"1"});
  enum class End { crash, stop, stop_without_checkpoint };
  for (const End end : {End::crash, End::stop, End::stop_without_checkpoint}) {
    const uint64_t digest = shard().state().digest(shard().now());
    if (end == End::crash) {
      crash_and_open();
    } else {
      ASSERT_TRUE(broker_->stop());
      const std::string checkpoint = directory_.path() + "/shard-0/checkpoint";
      ASSERT_TRUE(std::filesystem::exists(checkpoint));
      if (end == End::stop_without_checkpoint) std::filesystem::remove(checkpoint);
      broker_.reset();
      open();
    }
    EXPECT_EQ(shard().state().digest(shard().now()), digest);
    EXPECT_EQ(partition(queue).groups(), 2u);
    const auto got = receive(queue, 4);
    ASSERT_EQ(got.size(), 4u);
    EXPECT_EQ(bodies({got[0], got[1]}), (Bodies{"2", "3"}));
    for (const Got& one : got)
      EXPECT_EQ(extend(one.receipt, 0), Errc::ok);
    EXPECT_EQ(counters(queue).ready, 32u);
  }
  std::vector<Receipt> receipts;
  for (const Got& one : leased)
    receipts.push_back(one.receipt);
  ack(receipts);
  EXPECT_EQ(receive(queue, 100).size(), 32u);
}

TEST_F(FairQueue, APurgeTakesAllTenantsAndTheNextOnesAreKept) {
  open();
  const QueueId queue = create("q");
  for (int round = 0; round < 3; ++round) {
    send(queue, flood(50));
    EXPECT_EQ(receive(queue, 30).size(), 30u);
    send(queue, of("quiet", {"1"}));
    EXPECT_EQ(bodies(receive(queue, 1)), Bodies{"1"});
    EXPECT_EQ(partition(queue).groups(), 2u);
    const ReplyTo to = reply();
    shard().purge_queue(queue, to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    EXPECT_EQ(partition(queue).groups(), 0u);
    EXPECT_TRUE(receive(queue).empty());
    if (round == 1) crash_and_open();
  }
}

TEST_F(FairQueue, ALookShowsAllThatIsReady) {
  open();
  const QueueId queue = create("q");
  send(queue, flood(50));
  EXPECT_EQ(receive(queue, 30).size(), 30u);
  send(queue, of("quiet", {"1"}));
  EXPECT_EQ(receive(queue, 2).size(), 2u);  // one of each: the flood is set aside
  const auto seen = peek(queue, 1 << static_cast<uint8_t>(MessageState::ready));
  ASSERT_EQ(seen.size(), 19u);
  for (const auto& one : seen)
    EXPECT_EQ(one.state, MessageState::ready);
}

TEST_F(FairQueue, DeadLettersLeaveTheirTenantAndKeepItAndComeBack) {
  open();
  const QueueId dead = create("dead");
  const QueueId queue = create("q");
  redrive(queue, "dead");
  send(queue, flood(40));
  send(queue, of("quiet", {"1"}));
  EXPECT_EQ(receive(queue, 41, 100).size(), 41u);
  advance(100);
  EXPECT_TRUE(receive(queue, 10).empty());
  settle_moves();
  EXPECT_EQ(partition(queue).groups(), 0u);
  EXPECT_EQ(partition(dead).groups(), 2u);
  const auto flood_first = receive(dead, 30);
  ASSERT_EQ(flood_first.size(), 30u);
  EXPECT_EQ(bodies(receive(dead, 1, 0)), Bodies{"1"});
  for (const Got& one : flood_first)
    EXPECT_EQ(extend(one.receipt, 0), Errc::ok);
  const ReplyTo to = reply();
  shard().start_move({.source = dead}, to);
  until([&] { return counters(queue).ready == 41; });
  EXPECT_EQ(counters(dead).ready, 0u);
  EXPECT_EQ(partition(queue).groups(), 2u);
}

TEST_F(FairQueue, WhoWaitsElsewhereIsToldOfWhatIsSetAside) {
  options_.shards = 2;
  open();
  const QueueId queue = create("q");
  send(queue, flood(31), 0);
  EXPECT_EQ(receive(queue, 30, 3'600'000, 0).size(), 30u);
  const auto last = receive(queue, 1, 1'000, 0);
  ASSERT_EQ(last.size(), 1u);
  const ReplyTo to = reply();
  shard(1).receive({.queue = queue, .messages_max = 1, .wait_ms = 20'000}, to);
  settle();
  EXPECT_FALSE(sink_.receives.contains(to.token));
  advance(1'000);
  until([&] { return sink_.receives.contains(to.token); });
  EXPECT_EQ(bodies(sink_.receives[to.token][0].messages), Bodies{last[0].body});
}

TEST_F(FairQueue, CleaningCarriesTenants) {
  options_.segment_bytes = 64u << 10;
  open();
  const QueueId queue = create("q");
  send(queue, flood(60));
  EXPECT_EQ(receive(queue, 35, 36'000'000).size(), 35u);
  const QueueId other = create("other");
  const std::string body(1'000, 'x');
  for (int i = 0; i < 500; ++i) {
    send(other, body);
    const auto got = receive(other);
    ASSERT_EQ(got.size(), 1u);
    ASSERT_EQ(ack(got[0].receipt), Errc::ok);
  }
  EXPECT_LT(shard().state().log().bytes_on_disk(), 640u << 10);
  for (const bool crash : {false, true}) {
    if (crash) crash_and_open();
    send(queue, of("quiet", {"1"}));
    const auto got = receive(queue, 2, 36'000'000);
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(got[0].body, "1");
    EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  }
  EXPECT_EQ(receive(queue, 100).size(), 23u);
}

TEST_F(FairQueue, WhatIsOverLeavesItsTenant) {
  open();
  const QueueId queue = create("q");
  set(queue, "MessageRetentionPeriod", "60");
  send(queue, flood(40));
  EXPECT_EQ(receive(queue, 35, 3'600'000).size(), 35u);
  advance(30'000);
  send(queue, of("noisy", {"young"}));
  send(queue, of("quiet", {"1"}));
  advance(30'001);
  settle();
  EXPECT_EQ(counters(queue).ready, 2u);
  EXPECT_EQ(bodies(receive(queue)), (Bodies{"young", "1"}));  // nothing is in flight any more
}

}  // namespace
}  // namespace millrace::engine

// What a peek shows: each state, and of a leased message who holds it until when. Nothing is leased
// by it.
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

class Peek : public EngineTest {
 protected:
  void SetUp() override {
    options_.durability = Durability::none;
    open();
    queue_ = create("orders");
  }
  std::vector<Got> receive_as(uint32_t holder, uint32_t max = 1, std::string_view attempt = {}) {
    const ReplyTo to = reply();
    shard().receive({.queue = queue_,
                     .messages_max = max,
                     .visibility_ms = 60'000,
                     .wait_ms = 0,
                     .attempt_id = attempt,
                     .holder = holder},
                    to);
    until([&] { return sink_.receives.contains(to.token); });
    return sink_.receives[to.token][0].messages;
  }
  void extend_as(uint32_t holder, const Receipt& receipt, uint32_t visibility_ms) {
    const ReplyTo to = reply();
    const ExtendEntry entry{receipt, visibility_ms};
    shard().extend({{&entry, 1}, holder}, to);
    until([&] { return sink_.result_errors.contains(to.token); });
    ASSERT_EQ(sink_.results[to.token].at(0), Errc::ok);
  }
  std::vector<uint32_t> holders() {
    std::vector<uint32_t> all;
    for (const auto& one : peek(queue_))
      all.push_back(one.holder);
    return all;
  }
  using Holders = std::vector<uint32_t>;

  QueueId queue_{};
};

TEST_F(Peek, EachStateIsShownAndNothingIsLeased) {
  send(queue_, Batch().add("leased").add("delayed", 9'000).add("ready"));
  receive(queue_, 1);
  const auto all = peek(queue_);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].state, MessageState::leased);
  EXPECT_EQ(all[1].state, MessageState::delayed);
  EXPECT_EQ(all[2].state, MessageState::ready);
  EXPECT_EQ(all[2].body, "ready");
  const auto delayed = peek(queue_, 1 << static_cast<int>(MessageState::delayed));
  ASSERT_EQ(delayed.size(), 1u);
  EXPECT_EQ(delayed[0].body, "delayed");
  EXPECT_EQ(bodies(receive(queue_)), Bodies{"ready"});
}

TEST_F(Peek, WhoHoldsALeasedMessageIsShownAndUntilWhen) {
  send(queue_, Batch().add("a").add("b").add("c").add("d", 9'000));
  receive_as(7);
  const int64_t now = environment_.wall_ms();
  advance(1'000);
  receive_as(8);
  const auto all = peek(queue_);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].holder, 7u);
  EXPECT_EQ(all[0].due.value, now + 60'000);
  EXPECT_EQ(all[1].holder, 8u);
  EXPECT_EQ(all[1].due.value, now + 61'000);
  EXPECT_EQ(all[2].holder, 0u);
  EXPECT_EQ(all[3].holder, 0u);
  advance(60'000);
  EXPECT_EQ(holders(), (Holders{0, 0, 0, 0}));
  EXPECT_EQ(receive_as(0).size(), 1u);
  EXPECT_EQ(holders(), (Holders{0, 0, 0, 0}));
}

TEST_F(Peek, WhoExtendsALeaseHoldsItFromThenOn) {
  send(queue_, Batch().add("a").add("b"));
  const auto got = receive_as(7, 2);
  ASSERT_EQ(got.size(), 2u);
  extend_as(9, got[0].receipt, 90'000);
  extend_as(0, got[1].receipt, 90'000);
  EXPECT_EQ(holders(), (Holders{9, 7}));
  advance(90'000);
  EXPECT_EQ(holders(), (Holders{0, 0}));
  // The newest receipt hides its message again.
  extend_as(5, got[0].receipt, 1'000);
  extend_as(0, got[1].receipt, 1'000);
  EXPECT_EQ(holders(), (Holders{5, 0}));
}

TEST_F(Peek, ASubscriberHoldsWhatItIsPushed) {
  const ReplyTo subscription = reply();
  ASSERT_TRUE(
      shard().subscribe({.queue = queue_, .messages_max = 1, .holder = 3}, 1, subscription));
  send(queue_, Batch().add("a").add("b"));
  until([&] { return sink_.receives.contains(subscription.token); });
  EXPECT_EQ(holders(), (Holders{3, 0}));
}

TEST_F(Peek, ACarriedMessageIsHeldByWhoHeldIt) {
  send(queue_, Batch().add("a").add("b"));
  receive_as(7, 2);
  settle();
  ShardState& state = shard().state();
  Partition& partition = *state.find(queue_);
  ASSERT_GT(state.carry(partition, Slot{0}, partition.index().position(Slot{0})).value().messages,
            0u);
  settle();
  EXPECT_EQ(holders(), (Holders{7, 7}));
}

TEST_F(Peek, AfterARestartALeaseIsHeldByNobodyKnown) {
  send(queue_, Batch().add("a"));
  receive_as(7);
  settle();
  const auto before = peek(queue_);
  crash_and_open();
  auto after = peek(queue_);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].holder, 0u);
  EXPECT_EQ(after[0].due, before[0].due);
  EXPECT_EQ(after[0].receive_count, 1u);
  stop_and_open();
  after = peek(queue_);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].state, MessageState::leased);
  EXPECT_EQ(after[0].holder, 0u);
}

TEST_F(Peek, WhoRepeatsAReceiveAttemptHoldsItsMessages) {
  queue_ = create("orders.fifo", fifo_queue());
  send(queue_, Batch().add_fifo("g", "1", "a"));
  receive_as(7, 1, "attempt");
  EXPECT_EQ(receive_as(8, 1, "attempt").size(), 1u);
  EXPECT_EQ(holders(), Holders{8});
}

class PeekAtTwoShards : public Peek {
 protected:
  void SetUp() override {
    options_.shards = 2;
    Peek::SetUp();
  }
};

TEST_F(PeekAtTwoShards, WhatAnotherShardLeasedAndExtendedIsHeldByWhoAsked) {
  send(queue_, Batch().add("there"), 1);
  const auto got = receive_as(7);
  ASSERT_EQ(got.size(), 1u);
  ASSERT_EQ(raw(shard_of(got[0].receipt.shard_slot)), 1);
  EXPECT_EQ(holders(), Holders{7});
  extend_as(9, got[0].receipt, 90'000);
  EXPECT_EQ(holders(), Holders{9});
}

TEST_F(PeekAtTwoShards, WhoRepeatsAnAttemptOfAnotherShardHoldsItsMessages) {
  // Queue ids rise: one of two FIFO queues lives on the other shard.
  for (const char* name : {"one.fifo", "two.fifo"}) {
    queue_ = create(name, fifo_queue());
    send(queue_, Batch().add_fifo("g", "1", "a"));
    EXPECT_EQ(receive_as(7, 1, "attempt").size(), 1u);
    EXPECT_EQ(receive_as(8, 1, "attempt").size(), 1u);
    EXPECT_EQ(holders(), Holders{8});
  }
}

}  // namespace
}  // namespace millrace::engine

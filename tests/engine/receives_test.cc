// Waiting for messages: long polls, subscriptions, and the way to other shards.
#include "engine/limits.h"
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

class Receiving : public EngineTest {
 protected:
  void SetUp() override {
    options_.durability = Durability::none;
    options_.shards = 2;
    open();
    queue_ = create("orders");
    settle();
  }
  ReplyTo wait_at(uint16_t at, uint32_t wait_ms, uint32_t max = 10) {
    const ReplyTo to = reply();
    shard(at).receive({.queue = queue_, .messages_max = max, .wait_ms = wait_ms}, to);
    return to;
  }
  size_t answers(ReplyTo to) { return sink_.receives[to.token].size(); }
  Bodies first_answer(ReplyTo to) {
    return answers(to) == 0 ? Bodies{"(none)"} : bodies(sink_.receives[to.token][0].messages);
  }
  void ticks(int n = 20) {
    for (int i = 0; i < n; ++i)
      tick();
  }

  QueueId queue_{};
};

TEST_F(Receiving, AnEmptyShardAsksTheOthersBeforeItAnswersEmpty) {
  send(queue_, "there", 1);
  EXPECT_EQ(bodies(receive(queue_, 10, kDelayQueueDefault, 0)), Bodies{"there"});
  EXPECT_TRUE(receive(queue_, 10, kDelayQueueDefault, 0).empty());
  // The other shard has said once that it is empty; it says when that is over.
  send(queue_, "again", 1);
  EXPECT_EQ(bodies(receive(queue_, 10, kDelayQueueDefault, 0)), Bodies{"again"});
}

TEST_F(Receiving, ALongPollIsWokenByASendOnItsOwnShardInTheSameTurn) {
  const ReplyTo poll = wait_at(0, 60'000);
  ticks();
  EXPECT_EQ(answers(poll), 0u);
  shard(0).send(Batch().add("now").to(queue_), reply());
  shard(0).tick();
  EXPECT_EQ(first_answer(poll), Bodies{"now"});
}

TEST_F(Receiving, ALongPollIsWokenByASendOnAnotherShard) {
  const ReplyTo poll = wait_at(0, 60'000);
  ticks();
  shard(1).send(Batch().add("from there").to(queue_), reply());
  ticks(4);
  EXPECT_EQ(first_answer(poll), Bodies{"from there"});
  const auto got = sink_.receives[poll.token][0].messages;
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(ack(got[0].receipt, 0), Errc::ok);  // through the shard that has not got it
  EXPECT_EQ(counters(queue_).acked, 1u);
}

TEST_F(Receiving, ALongPollEndsEmptyWhenItsTimeIsOver) {
  const ReplyTo poll = wait_at(0, 5'000);
  advance(4'999);
  ticks();
  EXPECT_EQ(answers(poll), 0u);
  advance(1);
  ticks();
  ASSERT_EQ(answers(poll), 1u);
  EXPECT_EQ(first_answer(poll), Bodies{});
  EXPECT_EQ(counters(queue_).empty_receives, 1u);
}

TEST_F(Receiving, ALongPollSeesAMessageWhoseLeaseEnds) {
  send(queue_, "a", 1);
  ASSERT_EQ(receive(queue_, 1, 2'000, 1).size(), 1u);
  const ReplyTo poll = wait_at(0, 60'000);
  ticks();
  EXPECT_EQ(answers(poll), 0u);
  advance(2'000);
  ticks();
  EXPECT_EQ(first_answer(poll), Bodies{"a"});
}

TEST_F(Receiving, AMessageWakesOneOfThoseWhoWait) {
  std::vector<ReplyTo> polls;
  for (uint16_t i = 0; i < 40; ++i)
    polls.push_back(wait_at(i % 2, 60'000));
  ticks();
  send(queue_, "one", 0);
  ticks();
  size_t answered = 0;
  for (const ReplyTo& poll : polls)
    answered += answers(poll);
  EXPECT_EQ(answered, 1u);
  EXPECT_EQ(counters(queue_).leased, 1u);
}

TEST_F(Receiving, ACancelledReceiveSwallowsNothing) {
  // At each point of a receive's way to the other shard and back.
  for (uint16_t turns = 0; turns < 8; ++turns) {
    const ReplyTo poll = wait_at(0, 60'000);
    for (uint16_t i = 0; i < turns; ++i)
      shard(i % 2).tick();
    shard(1).send(Batch().add("kept").to(queue_), reply());
    for (uint16_t i = turns; i > 0; --i)
      shard(i % 2).tick();
    const bool had_it = answers(poll) > 0;
    shard(0).cancel(poll);
    ticks();
    EXPECT_EQ(answers(poll), had_it ? 1u : 0u) << turns;
    const auto rest = had_it ? sink_.receives[poll.token][0].messages : receive(queue_);
    ASSERT_EQ(rest.size(), 1u) << turns;
    EXPECT_EQ(ack(rest[0].receipt), Errc::ok);
  }
}

TEST_F(Receiving, ALeaseOfTheSameTurnIsGivenBackWhenItsAskerGoes) {
  send(queue_, "a", 0);
  RecordingSink other;
  shard(0).receive({.queue = queue_}, {&other, 1});
  shard(0).cancel_all(&other);
  ticks();
  EXPECT_TRUE(other.receives.empty());
  const auto got = receive(queue_);
  ASSERT_EQ(bodies(got), Bodies{"a"});
  EXPECT_EQ(got[0].receive_count, 2u);
}

TEST_F(Receiving, ASubscriptionIsPushedToWhileItHasCredit) {
  const ReplyTo subscription = reply();
  ASSERT_TRUE(shard(0).subscribe({.queue = queue_, .messages_max = 4}, 5, subscription));
  for (int i = 0; i < 4; ++i)
    send(queue_, Batch().add("here").add("too"), 0);
  for (int i = 0; i < 4; ++i)
    send(queue_, "there", 1);
  ticks();
  const auto count = [&] {
    size_t n = 0;
    for (const auto& push : sink_.receives[subscription.token])
      n += push.messages.size();
    return n;
  };
  EXPECT_EQ(count(), 5u);
  ASSERT_TRUE(shard(0).add_credit(subscription, 100));
  ticks();
  EXPECT_EQ(count(), 12u);
  ASSERT_TRUE(shard(0).unsubscribe(subscription));
  send(queue_, "late", 0);
  ticks();
  EXPECT_EQ(count(), 12u);
  EXPECT_EQ(shard(0).add_credit(subscription, 1).error(), Errc::subscription_not_found);
}

TEST_F(Receiving, SubscriptionsAndWaitingReceivesTakeTurns) {
  const ReplyTo first = reply();
  const ReplyTo second = reply();
  ASSERT_TRUE(shard(0).subscribe({.queue = queue_, .messages_max = 1}, 100, first));
  ASSERT_TRUE(shard(0).subscribe({.queue = queue_, .messages_max = 1}, 100, second));
  const ReplyTo poll = wait_at(0, 60'000, 1);
  ticks();
  Batch batch;
  for (int i = 0; i < 21; ++i)
    batch.add("m");
  send(queue_, batch, 0);
  ticks();
  EXPECT_EQ(answers(first), 10u);
  EXPECT_EQ(answers(second), 10u);
  EXPECT_EQ(answers(poll), 1u);
}

TEST_F(Receiving, AckAndExtendReachEveryShardInOneRequest) {
  send(queue_, "zero", 0);
  send(queue_, "one", 1);
  auto got = receive(queue_, 10, 60'000, 0);
  for (const Got& more : receive(queue_, 10, 60'000, 1))
    got.push_back(more);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(extend(got[0].receipt, 0, 1), Errc::ok);
  EXPECT_EQ(extend(got[1].receipt, 0, 0), Errc::ok);
  const QueueCounters ready = counters(queue_);
  EXPECT_EQ(ready.ready, 2u);
  EXPECT_EQ(peek(queue_).size(), 2u);
  Receipt forged = got[0].receipt;
  forged.mac ^= 1;
  EXPECT_EQ(ack({got[0].receipt, forged, got[1].receipt}, 1),
            (std::vector<Errc>{Errc::ok, Errc::receipt_invalid, Errc::ok}));
  EXPECT_EQ(counters(queue_).ready, 0u);
}

TEST_F(Receiving, DeletingAQueueEndsItsWaiters) {
  const ReplyTo poll = wait_at(1, 60'000);
  const ReplyTo subscription = reply();
  ASSERT_TRUE(shard(0).subscribe({.queue = queue_}, 5, subscription));
  ticks();
  shard(1).delete_queue(queue_, reply());
  settle();
  ASSERT_EQ(answers(poll), 1u);
  EXPECT_EQ(sink_.receives[poll.token][0].error, Errc::queue_not_found);
  ASSERT_EQ(answers(subscription), 1u);
  EXPECT_EQ(sink_.receives[subscription.token][0].error, Errc::queue_not_found);
}

TEST_F(Receiving, ASinkMayAskAgainFromWithinItsAnswer) {
  class Chain final : public ReplySink {
   public:
    Chain(Shard& shard, QueueId queue) : shard_(shard), queue_(queue) {}
    void on_send(uint64_t, const SendReply&) override {}
    void on_receive(uint64_t token, const ReceiveReply& reply) override {
      for (const Delivery& delivery : reply.deliveries) {
        ++received;
        shard_.ack({{&delivery.receipt, 1}}, {this, token});
        shard_.receive({.queue = queue_, .wait_ms = 1'000}, {this, token + 1});
        shard_.send(Batch().add("next").to(queue_), {this, token});
      }
    }
    void on_results(uint64_t, const ResultsReply&) override { ++acked; }
    void on_peek(uint64_t, const PeekReply&) override {}
    void on_queues(uint64_t, const QueueReply&) override {}
    void on_stats(uint64_t, const BrokerStatsReply&) override {}
    int received = 0, acked = 0;

   private:
    Shard& shard_;
    QueueId queue_;
  } chain(shard(0), queue_);
  send(queue_, "first", 0);
  shard(0).receive({.queue = queue_}, {&chain, 1});
  ticks(200);
  EXPECT_GE(chain.received, 50);
  EXPECT_GE(chain.acked, 50);
  shard(0).cancel_all(&chain);
}

TEST_F(Receiving, AsManyMailsAsTheRingHoldsAndMoreAreLostNowhere) {
  for (int i = 0; i < 1'000; ++i)
    send(queue_, "m", 1);
  const auto got = receive(queue_, 1'000, 60'000, 1);
  ASSERT_EQ(got.size(), 1'000u);
  std::vector<ReplyTo> acks;
  for (const Got& one : got) {
    acks.push_back(reply());
    shard(0).ack({{&one.receipt, 1}}, acks.back());
  }
  settle();
  for (const ReplyTo& to : acks)
    EXPECT_EQ(sink_.results[to.token], std::vector<Errc>{Errc::ok});
  EXPECT_EQ(counters(queue_).acked, 1'000u);
}

class ReceivingMuch : public EngineTest {
 protected:
  static constexpr size_t kBodyBytes = 500'000;
  static constexpr size_t kPolls = 100;

  void SetUp() override {
    options_.durability = Durability::none;
    options_.segment_bytes = 64u << 20;
    open();
  }
  // The polls that were answered with a message.
  size_t served(const std::vector<ReplyTo>& polls) {
    size_t n = 0;
    for (const ReplyTo& poll : polls)
      n +=
          sink_.receives.contains(poll.token) && !sink_.receives[poll.token].at(0).messages.empty();
    return n;
  }
  std::vector<ReplyTo> poll_often(QueueId queue) {
    std::vector<ReplyTo> polls;
    for (size_t i = 0; i < kPolls; ++i) {
      polls.push_back(reply());
      shard().receive({.queue = queue, .messages_max = 1, .wait_ms = 20'000}, polls.back());
    }
    return polls;
  }
  void send_much(QueueId queue) {
    Batch run;
    run.add(std::string(kBodyBytes, 'x'));
    for (size_t i = 0; i < kPolls; ++i)
      shard().send(run.to(queue), reply());
  }
};

TEST_F(ReceivingMuch, ATickLeasesABoundedNumberOfBytesForWaiters) {
  const QueueId first = create("first");
  const QueueId second = create("second");
  const auto first_polls = poll_often(first);
  const auto second_polls = poll_often(second);
  tick();
  send_much(first);
  send_much(second);
  size_t before = 0;
  int turns = 0;
  for (; before < 2 * kPolls && turns < 100; ++turns) {
    shard().tick();
    const size_t now = served(first_polls) + served(second_polls);
    EXPECT_LE((now - before) * kBodyBytes, kServedBytesPerTickMax + kBodyBytes);
    before = now;
    // Neither line waits until the other has all it wants.
    if (turns == 2) {
      EXPECT_GT(served(first_polls), 0u);
      EXPECT_GT(served(second_polls), 0u);
    }
  }
  EXPECT_EQ(before, 2 * kPolls);
  EXPECT_GT(turns, 10);
}

}  // namespace
}  // namespace millrace::engine

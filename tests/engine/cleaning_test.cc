// Cleaning: what carries over when the log's oldest segments are freed, and that slots are never
// given out twice.
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

class Cleaning : public EngineTest {
 protected:
  void SetUp() override {
    options_.durability = Durability::none;
    open();
    queue_ = create("orders");
  }

  QueueId queue_{};
};

TEST_F(Cleaning, StragglersKeepTheirStateThroughCarriesAndAKill) {
  const QueueId busy = create("busy");
  send(queue_, Batch().add("leased").add("delayed", 600'000).add("ready", 0).add("acked"));
  const auto first = receive(queue_, 1, 500'000);
  ASSERT_EQ(first.size(), 1u);
  const auto all = peek(queue_);
  ASSERT_EQ(all.size(), 4u);
  traffic(busy, 2);
  traffic(busy, 3);  // carried messages are carried again
  crash_and_open();
  tick();
  const auto after = peek(queue_);
  ASSERT_EQ(after.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(after[i].shard_slot, all[i].shard_slot);
    EXPECT_EQ(after[i].body, all[i].body);
    EXPECT_EQ(after[i].state, all[i].state);
    EXPECT_EQ(after[i].due, all[i].due);
    EXPECT_EQ(after[i].receive_count, all[i].receive_count);
    EXPECT_EQ(after[i].first_received_at, all[i].first_received_at);
    // A carry keeps it in whole seconds.
    EXPECT_GE(after[i].last_received_at, all[i].last_received_at);
    EXPECT_LT(after[i].last_received_at, all[i].last_received_at + 1'000);
  }
  EXPECT_EQ(extend(first[0].receipt, 1'000), Errc::ok);
  EXPECT_EQ(ack(first[0].receipt), Errc::ok);
  EXPECT_EQ(counters(queue_).ready, 2u);
  EXPECT_EQ(counters(queue_).delayed, 1u);
}

TEST_F(Cleaning, ACarryMetBeforeItsOriginalIsFreedChangesOnlyThePosition) {
  send(queue_, Batch().add("a").add("b"));
  ShardState& state = shard().state();
  Partition& partition = *state.find(queue_);
  const Position before = partition.index().position(Slot{1});
  settle();
  ASSERT_GT(state.carry(partition, Slot{1}, before).value().messages, 0u);
  EXPECT_EQ(state.carry(partition, Slot{1}, before).value().messages,
            0u);  // it is not there any more
  EXPECT_NE(partition.index().position(Slot{1}), before);
  settle();
  const uint64_t bytes = counters(queue_).bytes;
  const uint64_t digest = state.digest(shard().now());
  crash_and_open();
  EXPECT_EQ(shard().state().digest(shard().now()), digest);
  EXPECT_EQ(counters(queue_).bytes, bytes);
  const auto got = receive(queue_);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].body, "a");
  EXPECT_EQ(got[1].body, "b");
}

TEST_F(Cleaning, SlotsOfADrainedQueueAreNotGivenOutAgainWhenNothingElseRemembers) {
  const QueueId busy = create("busy");
  send(queue_, Batch().add("a").add("b").add("c"));
  std::vector<Receipt> receipts;
  for (const Got& got : receive(queue_))
    receipts.push_back(got.receipt);
  ack(receipts);
  traffic(busy, 4);
  crash_and_open();
  const Slot first = send(queue_, "d").first_slot;
  EXPECT_GE(raw(first), 3u);
  traffic(busy, 4);
  stop_and_open();
  EXPECT_EQ(send(queue_, "e").first_slot, first + 1);
}

TEST_F(Cleaning, AnOldMessageCarriedBehindYoungerOnesKeepsItsPlaceInTheOrder) {
  const QueueId busy = create("busy");
  send(queue_, "old");
  traffic(busy, 1);
  send(queue_, "young");
  traffic(busy, 1);
  crash_and_open();
  const auto got = receive(queue_);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].body, "old");
  EXPECT_EQ(got[1].body, "young");
}

TEST_F(Cleaning, TheDiskStaysBoundedWhileStragglersWait) {
  const QueueId busy = create("busy");
  for (int i = 0; i < 50; ++i) {
    send(queue_, std::string(10'000, 's'));
    traffic(busy, 1);
    storage::Log& log = shard().state().log();
    // Freed files can be used again once a durable mark names the new head: a moment later.
    until([&] {
      environment_.advance(20);
      return log.bytes_on_disk() <= 4 * log.live_bytes() + 3 * log.segment_bytes();
    });
  }
  EXPECT_EQ(counters(queue_).ready, 50u);
}

TEST_F(Cleaning, TheCatalogOutlivesItsFirstSegmentsAndIdsStillRise) {
  const QueueId kept = create("kept");
  uint32_t last = 0;
  for (int i = 0; i < 400; ++i) {
    const ReplyTo made = reply();
    shard().create_queue("passing", {}, made);
    until([&] { return sink_.queue_errors.contains(made.token); });
    last = raw(sink_.queues[made.token].at(0).id);
    const ReplyTo changed = reply();
    shard().set_queue(kept, {.attributes = {{"DelaySeconds", std::to_string(i)}}}, changed);
    const ReplyTo gone = reply();
    shard().delete_queue(QueueId{last}, gone);
    until([&] { return sink_.queue_errors.contains(gone.token); });
  }
  crash_and_open();
  ASSERT_NE(shard().find_queue("kept"), nullptr);
  EXPECT_EQ(shard().find_queue("kept")->id, kept);
  EXPECT_EQ(shard().find_queue("kept")->attributes.delay_ms, 399'000u);
  EXPECT_GT(raw(create("next")), last);
}

}  // namespace
}  // namespace millrace::engine

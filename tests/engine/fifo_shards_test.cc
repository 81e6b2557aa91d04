// FIFO queues where there are several shards: on one of them, or spread over them by group.
#include <map>

#include <fmt/format.h>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

class FifoShards : public EngineTest {
 protected:
  // Over the shards, by group.
  QueueAttributes spread() const {
    QueueAttributes attributes = fifo_queue();
    attributes.deduplication_scope = DeduplicationScope::group;
    attributes.throughput_limit = ThroughputLimit::group;
    return attributes;
  }
};

TEST_F(FifoShards, LivesOnOneShardWhereverItIsSentAndReceived) {
  options_.shards = 3;
  open();
  const QueueId queue = create("q.fifo", fifo_queue());
  for (int i = 0; i < 30; ++i) {
    const auto at = static_cast<uint16_t>(i % 3);
    const Batch one = Batch().add_fifo("g", fmt::format("id-{}", i), std::to_string(i));
    ASSERT_EQ(send(queue, one, at).error, Errc::ok);
  }
  Bodies got;
  for (uint32_t turn = 0; got.size() < 30; ++turn) {
    const auto at = static_cast<uint16_t>(turn % 3);
    const auto leased = receive(queue, 4, kDelayQueueDefault, at);
    ASSERT_FALSE(leased.empty());
    std::vector<Receipt> receipts;
    for (const Got& one : leased) {
      got.push_back(one.body);
      receipts.push_back(one.receipt);
    }
    ack(receipts, at);
  }
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(got[static_cast<size_t>(i)], std::to_string(i));
}

TEST_F(FifoShards, SpreadByGroupKeepsTheOrderOfEachGroup) {
  options_.shards = 3;
  open();
  const QueueId queue = create("q.fifo", spread());
  for (int i = 0; i < 20; ++i) {
    Batch batch;
    for (int g = 0; g < 10; ++g)
      batch.add_fifo(fmt::format("g{}", g), fmt::format("{}-{}", g, i), fmt::format("{} {}", g, i));
    const SendReply sent = send(queue, batch, static_cast<uint16_t>(i % 3));
    ASSERT_EQ(sent.error, Errc::ok);
    EXPECT_EQ(sent.shard_slots.size(), 10u);
  }
  uint64_t shards_used = 0;
  for (uint16_t i = 0; i < 3; ++i)
    shards_used += shard(i).state().find(queue)->index().live_count() > 0;
  EXPECT_GT(shards_used, 1u);
  std::map<std::string, int> next;
  for (uint32_t n = 0; n < 200;) {
    const auto leased = receive(queue, 10, kDelayQueueDefault, static_cast<uint16_t>(n % 3));
    ASSERT_FALSE(leased.empty());
    std::vector<Receipt> receipts;
    for (const Got& one : leased) {
      const size_t blank = one.body.find(' ');
      EXPECT_EQ(one.body.substr(blank + 1), std::to_string(next[one.body.substr(0, blank)]++));
      receipts.push_back(one.receipt);
      ++n;
    }
    ack(receipts);
  }
}

// Where a group is at home is for good: its order and its ids are there.
TEST_F(FifoShards, SpreadByGroupKeepsOrderAndIdsWhenThereAreMoreShards) {
  options_.shards = 2;
  open();
  create("other.fifo", spread());
  QueueAttributes narrow = spread();
  narrow.partitions = 1;
  const QueueId queue = create("q.fifo", spread());
  const QueueId one = create("one.fifo", narrow);
  const auto batch_of = [](std::string_view what) {
    Batch batch;
    for (int g = 0; g < 10; ++g)
      batch.add_fifo(fmt::format("g{}", g), fmt::format("{}-{}", what, g), what);
    return batch;
  };
  for (const QueueId id : {queue, one}) {
    send(id, batch_of("first"));
    send(id, batch_of("second"));
  }
  options_.shards = 5;
  stop_and_open();
  ASSERT_EQ(broker_->shard_count(), 5u);
  for (const QueueId id : {queue, one}) {
    send(id, batch_of("first"), 4);  // each is a duplicate
    send(id, batch_of("third"), 3);
    EXPECT_EQ(counters(id).ready, 30u);
    std::map<std::string, int> seen;
    for (int n = 0; n < 100 && counters(id).ready > 0; ++n)
      for (const Got& got : receive(id, 1, kDelayQueueDefault, 2)) {
        ++seen[got.body];
        EXPECT_LE(seen["second"], seen["first"]);
        EXPECT_LE(seen["third"], seen["second"]);
        ack(got.receipt);
      }
    EXPECT_EQ(seen["third"], 10);
  }
}

TEST(Catalog, KnowsTheQueueThatMoreShardsWouldBreak) {
  Catalog catalog;
  QueueInfo queue;
  queue.id = QueueId{1};
  queue.name = "q.fifo";
  queue.first_shard = ShardId{1};
  queue.attributes.fifo = true;
  queue.attributes.partitions = 2;
  catalog.put(queue);
  EXPECT_EQ(catalog.tied_to(3), nullptr);
  ASSERT_NE(catalog.tied_to(2), nullptr);
  EXPECT_EQ(catalog.tied_to(2)->name, "q.fifo");
}

// One run goes to several shards, the next to this one alone: it may not pass the first one's part.
TEST_F(FifoShards, ARunThatStaysDoesNotOvertakeOneThatIsSplit) {
  options_.shards = 3;
  open();
  const QueueId queue = create("q.fifo", spread());
  Batch mixed;
  for (int g = 0; g < 20; ++g)
    mixed.add_fifo(fmt::format("g{}", g), "first", "1");
  const ReplyTo split = reply();
  shard().send(mixed.to(queue), split);
  for (int g = 0; g < 20; ++g)
    shard().send(Batch().add_fifo(fmt::format("g{}", g), "second", "2").to(queue), reply());
  settle();
  ASSERT_EQ(sink_.sends.at(split.token).error, Errc::ok);
  for (uint16_t at = 0; at < 3; ++at) {
    ASSERT_GT(shard(at).state().find(queue)->groups(), 0u);
    for (const Got& one : receive(queue, 1, kDelayQueueDefault, at))
      EXPECT_EQ(one.body, "1");
  }
  EXPECT_EQ(counters(queue).ready + counters(queue).leased, 40u);
}

}  // namespace
}  // namespace millrace::engine

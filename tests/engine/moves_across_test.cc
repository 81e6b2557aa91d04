// Move tasks to queues that keep a message's group on another shard.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/engine/move_task_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

// Groups of a FIFO queue that is named live where that queue keeps them.
class MovesAcrossShards : public MoveTasksTest,
                          public testing::WithParamInterface<std::pair<uint16_t, uint16_t>> {
 protected:
  static QueueAttributes spread(uint16_t partitions) {
    QueueAttributes attributes = fifo_queue();
    if (partitions == 1) return attributes;
    attributes.deduplication_scope = DeduplicationScope::group;
    attributes.throughput_limit = ThroughputLimit::group;
    attributes.partitions = partitions;
    return attributes;
  }
  // What comes in each group, acknowledging it.
  std::map<std::string, Bodies> drain(QueueId queue) {
    std::map<std::string, Bodies> by_group;
    for (int i = 0; i < 1'000 && counters(queue).ready > 0; ++i)
      for (const Got& got : receive(queue, 10, 60'000)) {
        EXPECT_EQ(got.receive_count, 1u);
        EXPECT_FALSE(find_property(as_bytes(got.properties), PropertyTag::moved));
        const size_t colon = got.body.find(':');
        by_group[got.body.substr(0, colon)].push_back(got.body.substr(colon + 1));
        ack(got.receipt);
      }
    return by_group;
  }
};

TEST_P(MovesAcrossShards, EachMessageArrivesOnceInTheOrderOfItsGroup) {
  options_.shards = 4;
  open();
  const QueueId queue = create("q.fifo", spread(GetParam().first));
  const QueueId dead = create("dead.fifo", fifo_queue());
  create("between.fifo", fifo_queue());  // so that the next one's first shard is another
  const QueueId there = create("there.fifo", spread(GetParam().second));
  redrive(queue, "dead.fifo");
  constexpr int kGroups = 20;
  constexpr int kEach = 30;
  for (int n = 0; n < kEach; ++n) {
    Batch batch;
    for (int group = 0; group < kGroups; ++group)
      batch.add_fifo(fmt::format("g{}", group), fmt::format("{}-{}", group, n),
                     fmt::format("{}:{}", group, n));
    send(queue, batch);
  }
  for (int idle = 0; idle < 200; ++idle)
    if (!receive(queue, 1'000, 0).empty()) idle = 0;
  settle_moves();
  ASSERT_EQ(counters(dead).ready, uint64_t{kGroups * kEach});
  // Some were there before; they come first.
  send(there, Batch().add_fifo("g3", "first", "3:first"));
  ASSERT_EQ(start({.source = dead, .destination = there}).error, Errc::ok);
  const MoveTask task = until_ended(dead);
  EXPECT_EQ(task.state, MoveState::completed);
  EXPECT_EQ(task.moved, uint64_t{kGroups * kEach});
  EXPECT_EQ(counters(dead).ready + counters(dead).leased, 0u);
  EXPECT_EQ(counters(there).ready, uint64_t{kGroups * kEach + 1});
  send(there, Batch().add_fifo("g3", "last", "3:last"));
  crash_and_open();
  for (uint16_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(shard(i).state().accounts_hold());
    EXPECT_EQ(shard(i).state().move_ids().count(), 0u);
  }
  const auto by_group = drain(there);
  EXPECT_EQ(by_group.size(), size_t{kGroups});
  for (const auto& [group, all] : by_group) {
    Bodies right;
    if (group == "3") right.push_back("first");
    for (int n = 0; n < kEach; ++n)
      right.push_back(std::to_string(n));
    if (group == "3") right.push_back("last");
    EXPECT_EQ(all, right) << group;
  }
}
INSTANTIATE_TEST_SUITE_P(Partitions, MovesAcrossShards,
                         testing::Values(std::pair<uint16_t, uint16_t>{1, 1},
                                         std::pair<uint16_t, uint16_t>{4, 1},
                                         std::pair<uint16_t, uint16_t>{1, 4},
                                         std::pair<uint16_t, uint16_t>{4, 3}));

TEST_F(MovesAcrossShards, ARateACancelAndADestinationThatGoesLeaveEachMessageSomewhere) {
  options_.shards = 2;
  open();
  const QueueId dead = create("dead.fifo", fifo_queue());
  QueueId there = create("there.fifo", fifo_queue());
  const QueueId queue = create("q.fifo", fifo_queue());
  redrive(queue, "dead.fifo");
  // What is on its way between two shards waits for their syncs, at home nowhere yet.
  const auto all_arrived = [&] {
    until([&] { return counters(dead).leased == 0; });
    settle();
  };
  const auto home = [&](QueueId id) { return shard().find_queue(id)->first_shard; };
  ASSERT_NE(home(dead), home(there));
  Batch batch;
  for (int i = 0; i < 40; ++i)
    batch.add_fifo(fmt::format("g{}", i % 4), std::to_string(i), fmt::format("{}:{}", i % 4, i));
  send(dead, batch);
  ASSERT_EQ(start({.source = dead, .destination = there, .rate = 10}).error, Errc::ok);
  for (int i = 0; i < 100; ++i)
    advance(10);
  settle_moves();
  all_arrived();
  const uint64_t moved = counters(there).ready;
  EXPECT_GE(moved, 5u);
  EXPECT_LE(moved, 10u);
  EXPECT_EQ(cancel(dead).tasks.at(0).moved, moved);
  EXPECT_EQ(counters(dead).ready, 40 - moved);
  EXPECT_EQ(counters(dead).leased, 0u);
  ASSERT_EQ(start({.source = dead, .destination = there, .rate = 10}).error, Errc::ok);
  for (int i = 0; i < 50; ++i)
    advance(10);
  settle_moves();
  all_arrived();
  remove(there);
  advance(1'000);
  const MoveTask task = until_ended(dead);
  EXPECT_EQ(task.state, MoveState::failed);
  EXPECT_EQ(task.failure, "AWS.SimpleQueueService.NonExistentQueue");
  all_arrived();
  EXPECT_EQ(counters(dead).ready, 40 - moved - task.moved);
  EXPECT_EQ(counters(dead).leased, 0u);
}

}  // namespace
}  // namespace millrace::engine

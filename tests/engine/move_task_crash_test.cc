// Move tasks and the end of the process or the power at each call of the disk, and full disks.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "engine/shard.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

constexpr int kMoveCallsMax = 60;

class MoveTasksUnderCrashes : public SimEngineTest, public testing::WithParamInterface<int> {
 protected:
  ShardState& state(uint16_t i) { return static_cast<Shard&>(shard(i)).state(); }
  void redrive(QueueId queue, std::string_view target) {
    const ReplyTo to = reply();
    shard().set_queue(queue, {.attributes = {{"RedrivePolicy", redrive_text(target, 1)}}}, to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    ASSERT_EQ(sink_.queue_errors[to.token], Errc::ok);
  }
  std::vector<MoveTask> tasks_of(QueueId queue) {
    const ReplyTo to = reply();
    shard().list_moves(queue, 10, to);
    until([&] { return sink_.move_errors.contains(to.token); });
    return sink_.moves[to.token];
  }
};

// A task runs while the process or the power goes, at a later call in each run, and once more while
// it goes on after the restart: each message is in one of the queues, what the destination showed
// is there, and a task that was answered comes to its end.
TEST_P(MoveTasksUnderCrashes, EachMessageIsInExactlyOneQueueAndTheTaskGoesOn) {
  for (const Durability durability : {Durability::none, Durability::commit}) {
    for (const bool power : {false, true}) {
      SCOPED_TRACE(fmt::format("durability {} power {}", static_cast<int>(durability), power));
      const std::string suffix =
          fmt::format("{}{}", static_cast<int>(durability), static_cast<int>(power));
      options_.data_directory = "sim" + suffix;
      options_.durability = durability;
      open();
      const QueueId queue = create("q" + suffix);
      const QueueId dead = create("dead" + suffix);
      const QueueId there = create("there" + suffix);
      redrive(queue, "dead" + suffix);
      const std::set<std::string> all{"1", "2", "3", "4", "5"};
      send(dead, Batch().add("1").add("2").add("3").add("4").add("5"));
      turns(2'000);  // all is durable
      std::set<std::string> shown;
      const ReplyTo asked = reply();
      bool answered = false;
      for (const int life : {0, 1}) {
        image_.halt_after(static_cast<uint64_t>(GetParam()));
        if (life == 0)
          shard().start_move({.source = dead, .destination = there, .rate = 500}, asked);
        for (int i = 0; i < 30; ++i, turns(1)) {
          answered = answered || (sink_.move_errors.contains(asked.token) &&
                                  sink_.move_errors[asked.token] == Errc::ok);
          for (const Got& got : try_receive(there, 0))
            shown.insert(got.body);
        }
        if (power)
          image_.crash(prng_);
        else
          image_.kill();
        environment_.forget_disks();
        broker_.reset();
        open();
        std::set<std::string> here = all_of(dead);
        const std::set<std::string> moved = all_of(there);
        EXPECT_TRUE(std::includes(moved.begin(), moved.end(), shown.begin(), shown.end()));
        for (const std::string& body : moved)
          EXPECT_TRUE(here.insert(body).second) << body;
        EXPECT_EQ(here, all);
      }
      turns(200);
      const auto tasks = tasks_of(dead);
      if (answered) {
        ASSERT_EQ(tasks.size(), 1u);
        EXPECT_EQ(tasks[0].state, MoveState::completed);
        EXPECT_LE(tasks[0].moved, 5u);
        EXPECT_EQ(all_of(there), all);
        EXPECT_TRUE(all_of(dead).empty());
      } else {
        EXPECT_LE(tasks.size(), 1u);
      }
      if (GetParam() == kMoveCallsMax) {
        EXPECT_TRUE(answered);
      }
      kill();
    }
  }
}
INSTANTIATE_TEST_SUITE_P(EachCall, MoveTasksUnderCrashes, testing::Range(0, kMoveCallsMax + 1));

// The same for messages that go from log to log: shards lose what was not synced each by itself.
class MovesAcrossShardsUnderCrashes : public MoveTasksUnderCrashes {
 protected:
  QueueId create_fifo(const std::string& name) {
    const ReplyTo to = reply();
    QueueAttributes fifo;
    fifo.fifo = true;
    shard().create_queue(name, settings_of(fifo), to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    return sink_.queues[to.token].at(0).id;
  }
  // Six messages in turn; returns their bodies.
  std::set<std::string> send_two_groups(QueueId queue) {
    Batch batch;
    std::set<std::string> all;
    for (int i = 0; i < 6; ++i) {
      all.insert(std::to_string(i));
      batch.add_fifo(fmt::format("g{}", i % 2), fmt::format("id{}", i), std::to_string(i));
    }
    send(queue, batch);
    return all;
  }
  size_t known_from(QueueId source) {
    size_t known = 0;
    for (uint16_t at = 0; at < 2; ++at)
      for (uint16_t from = 0; from < 2; ++from)
        known += state(at)
                     .move_ids()
                     .slots({source, ShardId{from}}, [](Position) { return true; })
                     .size();
    return known;
  }
};

TEST_P(MovesAcrossShardsUnderCrashes, EachMessageIsInExactlyOneQueueAndTheTaskGoesOn) {
  uint64_t met_open = 0;
  for (const Durability durability : {Durability::none, Durability::commit}) {
    for (const bool power : {false, true}) {
      for (const int second : {3, 9, 17, 29, kMoveCallsMax}) {
        SCOPED_TRACE(fmt::format("durability {} power {} second {}", static_cast<int>(durability),
                                 power, second));
        const std::string suffix = fmt::format("{}{}-{}.fifo", static_cast<int>(durability),
                                               static_cast<int>(power), second);
        options_.shards = 2;
        options_.data_directory = "sim2";
        options_.durability = durability;
        open();
        const QueueId queue = create_fifo("q" + suffix);
        const QueueId dead = create_fifo("dead" + suffix);
        const QueueId there = create_fifo("there" + suffix);
        ASSERT_NE(shard().find_queue(dead)->first_shard, shard().find_queue(there)->first_shard);
        redrive(queue, "dead" + suffix);
        const std::set<std::string> all = send_two_groups(dead);
        turns(2'000);  // all is durable
        const ReplyTo asked = reply();
        shard().start_move({.source = dead, .destination = there, .rate = 500}, asked);
        std::set<std::string> shown;
        for (const int life : {0, 1}) {
          if (life == 0) until([&] { return sink_.move_errors.contains(asked.token); });
          image_.halt_after(static_cast<uint64_t>(life == 0 ? GetParam() : second));
          for (int i = 0; i < 40; ++i, turns(1))
            for (const Got& got : try_receive(there, 0))
              shown.insert(got.body);
          if (power)
            image_.crash(prng_);
          else
            image_.kill();
          environment_.forget_disks();
          broker_.reset();
          open();
          met_open += known_from(dead);
          const std::set<std::string> here = all_of(dead);
          const std::set<std::string> moved = all_of(there);
          EXPECT_TRUE(std::includes(moved.begin(), moved.end(), shown.begin(), shown.end()));
          // What has arrived may still be there, but nobody is given it.
          std::set<std::string> given;
          for (const Got& got : try_receive(dead, 0))
            given.insert(got.body);
          for (const std::string& body : given)
            EXPECT_FALSE(moved.contains(body)) << body;
          std::set<std::string> somewhere = here;
          somewhere.insert(moved.begin(), moved.end());
          EXPECT_EQ(somewhere, all);
        }
        turns(3'000);
        const auto tasks = tasks_of(dead);
        ASSERT_EQ(tasks.size(), 1u);
        EXPECT_EQ(tasks[0].state, MoveState::completed);
        EXPECT_EQ(all_of(there), all);
        EXPECT_TRUE(all_of(dead).empty());
        // What a crash left known is forgotten by the next task.
        const ReplyTo next = reply();
        shard().start_move({.source = dead, .destination = there}, next);
        until([&] { return sink_.move_errors.contains(next.token); });
        turns(100);
        EXPECT_EQ(known_from(dead), 0u);
        // In the order of each group, each once.
        std::map<char, std::vector<int>> by_group;
        for (int i = 0; i < 20; ++i)
          for (const Got& got : try_receive(there, 600'000)) {
            by_group[static_cast<char>('0' + std::stoi(got.body) % 2)].push_back(
                std::stoi(got.body));
            ack(got.receipt);
          }
        EXPECT_EQ(by_group['0'], (std::vector<int>{0, 2, 4}));
        EXPECT_EQ(by_group['1'], (std::vector<int>{1, 3, 5}));
        kill();
      }
    }
  }
  // Some of the later calls end a life in the middle of the steps.
  if (GetParam() == 20) {
    EXPECT_GT(met_open, 0u);
  }
}
INSTANTIATE_TEST_SUITE_P(EachCall, MovesAcrossShardsUnderCrashes,
                         testing::Range(0, kMoveCallsMax + 1));

// A shard whose sync fails acknowledges nothing more, also not to the shard the messages come from:
// that one keeps what it has sent over, for the next life.
TEST_F(MovesAcrossShardsUnderCrashes, WhatADestinationCouldNotSyncStaysAtItsSource) {
  options_.shards = 2;
  options_.durability = Durability::commit;
  uint64_t fenced = 0;
  for (const sim::SyncFailure how : {sim::SyncFailure::keeps_content, sim::SyncFailure::reverts}) {
    for (uint64_t nth = 1; nth <= 4; ++nth) {
      SCOPED_TRACE(fmt::format("failure {} of sync {}", static_cast<int>(how), nth));
      const std::string suffix = fmt::format("{}-{}.fifo", static_cast<int>(how), nth);
      open();
      const QueueId queue = create_fifo("q" + suffix);
      const QueueId dead = create_fifo("dead" + suffix);
      const QueueId there = create_fifo("there" + suffix);
      const uint16_t home = raw(shard().find_queue(there)->first_shard);
      ASSERT_NE(home, raw(shard().find_queue(dead)->first_shard));
      redrive(queue, "dead" + suffix);
      const std::set<std::string> all = send_two_groups(dead);
      turns(2'000);  // all is durable
      environment_.disks().at(1u + home)->inject(
          {.call = sim::DiskCall::sync, .nth = nth, .sync_failure = how});
      shard().start_move({.source = dead, .destination = there}, reply());
      turns(100);
      fenced += state(home).log().fenced();
      image_.crash(prng_);
      environment_.forget_disks();
      broker_.reset();
      open();
      std::set<std::string> somewhere = all_of(dead);
      somewhere.merge(all_of(there));
      EXPECT_EQ(somewhere, all);
      turns(3'000);
      EXPECT_EQ(tasks_of(dead).size(), 1u);
      EXPECT_TRUE(all_of(dead).empty());
      EXPECT_EQ(all_of(there), all);
      kill();
    }
  }
  EXPECT_GT(fenced, 0u);
}

// What cleaning carries can't be read before it is written: a task must not meet it in that turn.
TEST_F(MoveTasksUnderCrashes, ATaskAndCleaningWorkOnTheSameMessages) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  Batch batch;
  for (int i = 0; i < 100; ++i)
    batch.add(std::string(200, 'd'));
  for (int i = 0; i < 3; ++i)
    send(dead, batch);
  turns(20);
  const ReplyTo asked = reply();
  shard().start_move({.source = dead, .destination = there, .rate = 100}, asked);
  // Traffic, so that the head is cleaned over and over while the task takes from it.
  const uint64_t head = state(0).log().head().value;
  for (int i = 0; i < 3'500; ++i) {
    shard().send(Batch().add(std::string(8'000, 't')).to(queue), reply());
    for (const Got& got : try_receive(queue, 60'000))
      shard().ack({{&got.receipt, 1}}, reply());
    ASSERT_FALSE(state(0).log().fenced());
    sink_.receives.clear();
    turns(1);
  }
  EXPECT_GT(state(0).log().head().value, head);
  turns(1'000);
  EXPECT_EQ(tasks_of(dead).at(0).state, MoveState::completed);
  EXPECT_EQ(tasks_of(dead).at(0).moved, 300u);
}

// On a full disk a task waits, and goes on when there is room; consumers and acks are not hindered.
TEST_F(MoveTasksUnderCrashes, ATaskWaitsForAFullDisk) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId there = create("there");
  redrive(queue, "dead");
  turns(20);
  image_.set_capacity(image_.used_bytes() + 6 * options_.segment_bytes);
  uint64_t sent = 0;
  for (int refused = 0; refused < 3;) {
    Batch batch;
    for (int i = 0; i < 10; ++i)
      batch.add(std::string(500, 'x'));
    const ReplyTo to = reply();
    shard().send(batch.to(dead), to);
    until([&] { return sink_.sends.contains(to.token); });
    const bool well = sink_.sends[to.token].error == Errc::ok;
    sent += well ? 10 : 0;
    refused += !well;
  }
  const ReplyTo asked = reply();
  shard().start_move({.source = dead, .destination = there}, asked);
  // Somebody makes room: first from the source, then from where the messages go.
  uint64_t acked = 0;
  uint64_t acked_there = 0;
  for (int i = 0; i < 20'000 && acked < sent; ++i) {
    turns(5);
    for (const QueueId from : {there, dead}) {
      if (from == dead && i % 50 != 0) continue;
      for (const Got& got : try_receive(from, 600'000)) {
        const ReplyTo to = reply();
        shard().ack({{&got.receipt, 1}}, to);
        until([&] { return sink_.result_errors.contains(to.token); });
        const bool well = sink_.result_errors[to.token] == Errc::ok;
        acked += well;
        acked_there += well && from == there;
      }
    }
  }
  EXPECT_EQ(acked, sent);
  EXPECT_GT(acked_there, sent / 4);
  turns(2'000);
  const auto tasks = tasks_of(dead);
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].state, MoveState::completed);
  EXPECT_EQ(tasks[0].moved, acked_there);
}

}  // namespace
}  // namespace millrace::engine

// Move tasks and the end of the process or the power at each call of the disk, and full disks.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "engine/shard.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

constexpr int kMoveCallsMax = 60;

class MoveTasksUnderCrashes : public SimEngineTest, public testing::WithParamInterface<int> {
 protected:
  void redrive(QueueId queue, std::string_view target) {
    const ReplyTo to = reply();
    const std::string policy =
        fmt::format(R"({{"deadLetterTargetArn":"{}","maxReceiveCount":"1"}})", target);
    shard().set_queue(queue, {.attributes = {{"RedrivePolicy", policy}}}, to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    ASSERT_EQ(sink_.queue_errors[to.token], Errc::ok);
  }
  // Whatever becomes of it.
  std::vector<Got> try_receive(QueueId queue, uint32_t visibility_ms) {
    const ReplyTo to = reply();
    shard().receive(
        {.queue = queue, .messages_max = 10, .visibility_ms = visibility_ms, .wait_ms = 0}, to);
    until([&] { return sink_.receives.contains(to.token); });
    return sink_.receives[to.token][0].messages;
  }
  std::set<std::string> all_of(QueueId queue) {
    std::set<std::string> bodies;
    const ReplyTo to = reply();
    shard().peek({.queue = queue, .messages_max = 100}, to);
    until([&] { return sink_.peeks.contains(to.token); });
    for (const auto& one : sink_.peeks[to.token])
      EXPECT_TRUE(bodies.insert(one.body).second) << one.body;
    return bodies;
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

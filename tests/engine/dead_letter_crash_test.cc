// Dead letters and the end of the process or the power at each call of the disk, and full disks.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "engine/shard.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

constexpr int kCallsMax = 40;

class DeadLettersUnderCrashes : public SimEngineTest, public testing::WithParamInterface<int> {
 protected:
  ShardState& state() { return static_cast<Shard&>(shard()).state(); }
  void redrive(QueueId queue, uint32_t receives_max, QueueId target) {
    QueueRules rules = state().find(queue)->rules();
    rules.receives_max = receives_max;
    rules.dead_letters = target;
    state().find(queue)->set_rules(rules);
  }
  bool try_ack(const Receipt& receipt) {
    const ReplyTo to = reply();
    shard().ack({{&receipt, 1}}, to);
    until([&] { return sink_.result_errors.contains(to.token); });
    return sink_.result_errors[to.token] == Errc::ok;
  }
};

// Three messages are moved while the process or the power goes, at a later call in each run: each
// is in one of the queues afterwards, and what the other one showed is not shown here.
TEST_P(DeadLettersUnderCrashes, EachMessageIsInExactlyOneQueue) {
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
      send(queue, Batch().add("1").add("2").add("3"));
      EXPECT_EQ(try_receive(queue, 0).size(), 3u);
      turns(2'000);  // all is durable
      redrive(queue, 1, dead);
      image_.halt_after(static_cast<uint64_t>(GetParam()));
      EXPECT_TRUE(try_receive(queue, 0).empty());
      std::set<std::string> shown;
      for (int i = 0; i < 4; ++i, turns(1))
        for (const Got& got : try_receive(dead, 0))
          shown.insert(got.body);
      if (GetParam() == kCallsMax) {
        EXPECT_EQ(shown.size(), 3u);  // by then all is done
      }
      if (power)
        image_.crash(prng_);
      else
        image_.kill();
      environment_.forget_disks();
      broker_.reset();
      open();
      for (const int round : {0, 1}) {
        std::set<std::string> here = all_of(queue);
        const std::set<std::string> there = all_of(dead);
        EXPECT_TRUE(std::includes(there.begin(), there.end(), shown.begin(), shown.end()));
        for (const std::string& body : there)
          EXPECT_TRUE(here.insert(body).second) << body;
        EXPECT_EQ(here.size(), 3u);
        if (round == 1) {
          EXPECT_EQ(there.size(), 3u);
        }
        // The rest follows.
        redrive(queue, 1, dead);
        EXPECT_TRUE(try_receive(queue, 0).empty());
        turns(20);
      }
      kill();
    }
  }
}
INSTANTIATE_TEST_SUITE_P(EachCall, DeadLettersUnderCrashes, testing::Range(0, kCallsMax + 1));

// On a full disk messages are moved while there is room, and delivered as ever when there is none:
// consumers always get it empty, and afterwards sends and moves go on.
class DeadLettersOnAFullDisk : public DeadLettersUnderCrashes {};
TEST_P(DeadLettersOnAFullDisk, NeverGetStuck) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  turns(20);
  image_.set_capacity(image_.used_bytes() + 6 * options_.segment_bytes);
  const auto body_bytes = static_cast<size_t>(1 << GetParam());
  uint64_t sent = 0;
  const auto send_one = [&] {
    Batch batch;
    for (int i = 0; i < 10; ++i)
      batch.add(std::string(body_bytes, 'x'));
    const ReplyTo to = reply();
    shard().send(batch.to(queue), to);
    until([&] { return sink_.sends.contains(to.token); });
    const Errc error = sink_.sends[to.token].error;
    sent += error == Errc::ok ? 10 : 0;
    return error;
  };
  int refused = 0;
  for (int i = 0; i < 50'000 && refused < 3; ++i)
    refused += send_one() == Errc::disk_full;
  ASSERT_EQ(refused, 3);
  redrive(queue, 1, dead);
  // All are received and given up; from then on each receive moves what it can.
  uint64_t delivered = 0;
  uint64_t acked = 0;
  uint64_t moved = 0;
  for (int idle = 0; acked < sent && idle < 2'000; ++idle) {
    for (const QueueId from : {queue, dead})
      for (const Got& got : try_receive(from, 60'000)) {
        ++delivered;
        moved += from == dead;
        idle = 0;
        // The dead-letter queue's consumer works; the other one gives up until it must not.
        if (from == queue && got.receive_count < 4 && delivered % 16 != 0) {
          const ExtendEntry entry{got.receipt, 0};
          shard().extend({{&entry, 1}}, reply());
        } else {
          acked += try_ack(got.receipt);
        }
      }
    // Leases of acks that were refused end.
    if (idle > 0) turns(20);
    if (idle > 100) turns(1'000);
    sink_.receives.clear();
    sink_.results.clear();
    sink_.result_errors.clear();
  }
  EXPECT_EQ(acked, sent);
  EXPECT_GT(moved, 0u);
  turns(3'000);
  sent = 0;
  EXPECT_EQ(send_one(), Errc::ok);
}
INSTANTIATE_TEST_SUITE_P(Sizes, DeadLettersOnAFullDisk, testing::Values(0, 5, 8, 12));

}  // namespace
}  // namespace millrace::engine

// Slot ends of many queues: what tells them survives cleaning, and costs a bounded amount of
// writing.
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

constexpr uint32_t kQueues = 5'000;

class SlotEnds : public SimEngineTest {
 protected:
  SlotEnds() { options_.segment_bytes = 64 << 10; }
  void create_many() {
    for (uint32_t i = 0; i < kQueues; ++i)
      shard().create_queue("queue-" + std::to_string(i), {}, reply());
    for (int i = 0; i < 2'000 && sink_.queue_errors.size() < kQueues; ++i)
      turns(10);
    ASSERT_EQ(sink_.queue_errors.size(), kQueues);
  }
  uint64_t bytes_written() {
    const ReplyTo to = reply();
    shard().broker_stats(to);
    turns(2);
    return sink_.stats.at(to.token).at(0).bytes_written;
  }
};

TEST_F(SlotEnds, OfThousandsOfQueuesLeaveAnIdleBrokerIdle) {
  open();
  create_many();
  kill();
  open();  // each queue passes over slots, and a record says so
  EXPECT_LE(bytes_written(), kQueues * 20 + options_.segment_bytes);
  turns(3'000);
  const uint64_t settled = bytes_written();
  turns(3'000);
  EXPECT_EQ(bytes_written(), settled);
}

TEST_F(SlotEnds, AreStillKnownAfterTheirSegmentsWereCleanedManyTimes) {
  open();
  create_many();
  const QueueId first = sink_.queues.at(1).at(0).id;
  const QueueId busy = sink_.queues.at(2).at(0).id;
  const Slot slot = send(first, "a").first_slot;
  ack(receive(first).at(0).receipt);
  for (int i = 0; i < 200; ++i) {
    send(busy, std::string(20'000, 'x'));
    ack(receive(busy).at(0).receipt);
  }
  kill();
  open();
  EXPECT_GT(raw(send(first, "b").first_slot), raw(slot));
}

}  // namespace
}  // namespace millrace::engine

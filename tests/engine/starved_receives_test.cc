// What becomes of those who wait while the disk has no room for a lease's record.
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

class StarvedReceives : public SimEngineTest, public testing::WithParamInterface<uint16_t> {
 protected:
  void SetUp() override {
    options_.shards = GetParam();
    open();
    queue_ = create("orders");
  }
  QueueId queue_{};
};

TEST_P(StarvedReceives, AreServedOnceThereIsRoomAgain) {
  const uint16_t last = static_cast<uint16_t>(broker_->shard_count() - 1);
  for (int batch = 0; batch < 2; ++batch) {
    Batch small;
    for (int i = 0; i < 1'000; ++i)
      small.add("a", 0);
    send(queue_, small, last);
  }
  // Messages take all there is but the reserve; then leases take that, in one turn: cleaning makes
  // room of their records in the next ones.
  image_.set_capacity(image_.used_bytes() + (512 << 10));
  Errc error = Errc::ok;
  for (int i = 0; i < 200 && error == Errc::ok; ++i) {
    const ReplyTo to = reply();
    shard(last).send(Batch().add(std::string(20'000, 'x'), 0).to(queue_), to);
    until([&] { return sink_.sends.contains(to.token); });
    error = sink_.sends[to.token].error;
  }
  ASSERT_EQ(error, Errc::disk_full);
  const uint64_t first = token_ + 1;
  for (int i = 0; i < 1'900; ++i)
    shard(last).receive(
        {.queue = queue_, .messages_max = 1, .visibility_ms = 3'600'000, .wait_ms = 0}, reply());
  const ReplyTo subscription = reply();
  ASSERT_TRUE(shard().subscribe({.queue = queue_, .messages_max = 1}, 1, subscription));
  const ReplyTo waiting = reply();
  shard().receive({.queue = queue_, .messages_max = 1, .wait_ms = 3'600'000}, waiting);
  turns(1);
  ASSERT_TRUE(sink_.receives.contains(first));
  EXPECT_EQ(sink_.receives[first][0].error, Errc::ok);
  ASSERT_TRUE(sink_.receives.contains(subscription.token - 1));
  EXPECT_EQ(sink_.receives[subscription.token - 1][0].error, Errc::disk_full);

  // The disk is as full as before.
  turns(1'000);
  ASSERT_TRUE(sink_.receives.contains(subscription.token));
  EXPECT_EQ(sink_.receives[subscription.token][0].messages.size(), 1u);
  ASSERT_TRUE(sink_.receives.contains(waiting.token));
  EXPECT_EQ(sink_.receives[waiting.token][0].messages.size(), 1u);
}

// On a FIFO queue a push waits for a sync, and a deletion may be told before it comes.
TEST_P(StarvedReceives, APushThatWaitsForASyncDoesNotComeAfterTheEnd) {
  options_.durability = Durability::commit;
  kill();
  open();
  const QueueId queue = create("q.fifo", {.fifo = true});
  const ReplyTo subscription = reply();
  ASSERT_TRUE(shard().subscribe({.queue = queue, .messages_max = 1}, 10, subscription));
  send(queue, Batch().add_fifo("g", "id", "body"));
  ASSERT_FALSE(sink_.receives.contains(subscription.token));
  shard().delete_queue(queue, reply());
  // Only the catalog's disk gets on.
  sim::SimDisk* catalog = environment_.disks().front();
  for (int i = 0; i < 200; ++i) {
    (void)catalog->step_jobs(prng_);
    for (uint16_t s = 0; s < broker_->shard_count(); ++s)
      shard(s).tick();
  }
  ASSERT_TRUE(sink_.receives.contains(subscription.token));
  turns(200);
  EXPECT_EQ(sink_.receives[subscription.token].size(), 1u);
  EXPECT_EQ(sink_.receives[subscription.token].back().error, Errc::queue_not_found);
}

INSTANTIATE_TEST_SUITE_P(Shards, StarvedReceives, testing::Values(uint16_t{1}, uint16_t{2}));

}  // namespace
}  // namespace millrace::engine

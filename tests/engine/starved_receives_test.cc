// What becomes of those who wait while the disk has no room for a lease's record.
#include <gtest/gtest.h>

#include "engine/broker.h"
#include "tests/engine/engine_harness.h"
#include "tests/sim/sim_environment.h"

namespace millrace::engine {
namespace {

class StarvedReceives : public testing::TestWithParam<uint16_t> {
 protected:
  void SetUp() override {
    std::string message;
    auto broker = Broker::open({.data_directory = "sim",
                                .shards = GetParam(),
                                .durability = Durability::none,
                                .segment_bytes = 64 << 10},
                               environment_, &message);
    ASSERT_TRUE(broker) << message;
    broker_ = std::move(*broker);
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      shard(i).set_waker([] {});
    const ReplyTo made = reply();
    shard().create_queue("orders", {}, made);
    turns(50);
    ASSERT_EQ(sink_.queue_errors.at(made.token), Errc::ok);
    queue_ = sink_.queues.at(made.token).at(0).id;
  }
  ShardPort& shard(uint16_t i = 0) { return broker_->shard(ShardId{i}); }
  ReplyTo reply() { return {&sink_, ++token_}; }
  void turns(int count) {
    for (int i = 0; i < count; ++i) {
      for (sim::SimDisk* disk : environment_.disks())
        for (int step = 0; step < 8; ++step)
          (void)disk->step_jobs(prng_);
      for (uint16_t s = 0; s < broker_->shard_count(); ++s)
        shard(s).tick();
      environment_.advance(1);
    }
  }
  Errc try_receive(uint16_t at) {
    const ReplyTo to = reply();
    shard(at).receive({.queue = queue_, .messages_max = 1, .visibility_ms = 0, .wait_ms = 0}, to);
    turns(4);
    return sink_.receives.contains(to.token) ? sink_.receives[to.token][0].error : Errc::ok;
  }

  sim::SimDiskImage image_;
  sim::SimEnvironment environment_{image_, 1};
  base::Prng prng_{1};
  RecordingSink sink_;
  uint64_t token_ = 0;
  QueueId queue_{};
  std::unique_ptr<Broker> broker_;
};

TEST_P(StarvedReceives, AreServedOnceThereIsRoomAgain) {
  const uint16_t last = static_cast<uint16_t>(broker_->shard_count() - 1);
  const ReplyTo sent = reply();
  const Batch batch = Batch().add("a", 0).add("b", 0);
  shard(last).send(batch.to(queue_), sent);
  turns(20);
  ASSERT_EQ(sink_.sends.at(sent.token).error, Errc::ok);
  image_.set_capacity(image_.used_bytes());
  Errc error = Errc::ok;
  for (int i = 0; i < 6'000 && error == Errc::ok; ++i)
    error = try_receive(last);
  ASSERT_EQ(error, Errc::disk_full);

  const ReplyTo subscription = reply();
  ASSERT_TRUE(shard().subscribe({.queue = queue_, .messages_max = 1}, 1, subscription));
  const ReplyTo waiting = reply();
  shard().receive({.queue = queue_, .messages_max = 1, .wait_ms = 3'600'000}, waiting);
  turns(50);
  EXPECT_FALSE(sink_.receives.contains(subscription.token));

  image_.set_capacity(uint64_t{1} << 40);
  turns(1'000);
  ASSERT_TRUE(sink_.receives.contains(subscription.token));
  EXPECT_EQ(sink_.receives[subscription.token][0].messages.size(), 1u);
  ASSERT_TRUE(sink_.receives.contains(waiting.token));
  EXPECT_EQ(sink_.receives[waiting.token][0].messages.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Shards, StarvedReceives, testing::Values(uint16_t{1}, uint16_t{2}));

}  // namespace
}  // namespace millrace::engine

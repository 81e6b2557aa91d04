// A broker on simulated disks, driven by one thread, for tests that need full disks, or more turns
// and syncs than a real disk gives in a second.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/engine/engine_harness.h"
#include "tests/sim/sim_environment.h"

namespace millrace::engine {

class SimEngineTest : public testing::Test {
 protected:
  void open() {
    std::string message;
    auto broker = Broker::open(options_, environment_, &message);
    ASSERT_TRUE(broker) << message;
    broker_ = std::move(*broker);
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      shard(i).set_waker([] {});
  }
  void kill() {
    image_.kill();
    environment_.forget_disks();
    broker_.reset();
  }
  void TearDown() override { kill(); }

  ShardPort& shard(uint16_t i = 0) { return broker_->shard(ShardId{i}); }
  ReplyTo reply() { return {&sink_, ++token_}; }
  // Each a millisecond.
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
  template <class Done>
  void until(Done&& done) {
    for (int i = 0; i < 10'000 && !done(); ++i)
      turns(1);
    ASSERT_TRUE(done());
  }
  TopicPort& topics(uint16_t at = 0) { return shard(at).topics(); }
  // Its answer.
  template <class Ask>
  RecordingSink::Topics ask(Ask&& ask) {
    const ReplyTo to = reply();
    ask(to);
    until([&] { return sink_.topics.contains(to.token); });
    return sink_.topics[to.token];
  }
  QueueId create(std::string_view name, const QueueAttributes& attributes = {}) {
    const ReplyTo to = reply();
    shard().create_queue(name, settings_of(attributes), to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    return sink_.queues[to.token].empty() ? QueueId{} : sink_.queues[to.token][0].id;
  }
  SendReply send(QueueId queue, const Batch& batch, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).send(batch.to(queue), to);
    until([&] { return sink_.sends.contains(to.token); });
    EXPECT_EQ(sink_.sends[to.token].error, Errc::ok);
    return sink_.sends[to.token];
  }
  SendReply send(QueueId queue, std::string_view body) { return send(queue, Batch().add(body)); }
  std::vector<Got> receive(QueueId queue) {
    const ReplyTo to = reply();
    shard().receive({.queue = queue, .messages_max = 10}, to);
    until([&] { return sink_.receives.contains(to.token); });
    return sink_.receives[to.token][0].messages;
  }
  // Whatever becomes of it.
  std::vector<Got> try_receive(QueueId queue, uint32_t visibility_ms) {
    const ReplyTo to = reply();
    shard().receive(
        {.queue = queue, .messages_max = 10, .visibility_ms = visibility_ms, .wait_ms = 0}, to);
    until([&] { return sink_.receives.contains(to.token); });
    return sink_.receives[to.token][0].messages;
  }
  // The bodies that are there, each once.
  std::set<std::string> all_of(QueueId queue) {
    std::set<std::string> bodies;
    const ReplyTo to = reply();
    shard().peek({.queue = queue, .messages_max = 100}, to);
    until([&] { return sink_.peeks.contains(to.token); });
    for (const auto& one : sink_.peeks[to.token])
      EXPECT_TRUE(bodies.insert(one.body).second) << one.body;
    return bodies;
  }
  void ack(const Receipt& receipt) {
    const ReplyTo to = reply();
    shard().ack({{&receipt, 1}}, to);
    until([&] { return sink_.result_errors.contains(to.token); });
    EXPECT_EQ(sink_.results[to.token].at(0), Errc::ok);
  }

  sim::SimDiskImage image_;
  sim::SimEnvironment environment_{image_, 1};
  base::Prng prng_{1};
  BrokerOptions options_{.data_directory = "sim",
                         .shards = 1,
                         .durability = Durability::none,
                         .segment_bytes = 64 << 10,
                         .disk_bytes_max = 1u << 30};
  RecordingSink sink_;
  uint64_t token_ = 0;
  std::unique_ptr<Broker> broker_;
};

}  // namespace millrace::engine

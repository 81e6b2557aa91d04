// Sending, receiving, acknowledging and extending on one shard, and what of it survives.
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

class Messages : public EngineTest {
 protected:
  void SetUp() override { open(); }
};

TEST_F(Messages, ASentMessageIsReceivedAndAckedOnce) {
  const QueueId queue = create("orders");
  const SendReply sent = send(queue, "hello");
  EXPECT_EQ(sent.error, Errc::ok);
  EXPECT_EQ(sent.durability, Durability::commit);
  EXPECT_EQ(raw(sent.first_slot), 0u);
  const auto got = receive(queue);
  ASSERT_EQ(bodies(got), Bodies{"hello"});
  EXPECT_EQ(got[0].receive_count, 1u);
  EXPECT_TRUE(receive(queue).empty());
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);  // again: gone already is success
  advance(60'000);
  EXPECT_TRUE(receive(queue).empty());
}

TEST_F(Messages, WhatWasAcknowledgedSurvivesAKill) {
  const QueueId queue = create("orders");
  send(queue, Batch().add("a").add("b").add("c"));
  const auto first = receive(queue, 1);
  ASSERT_EQ(bodies(first), Bodies{"a"});
  EXPECT_EQ(ack(first[0].receipt), Errc::ok);
  crash_and_open();
  EXPECT_EQ(bodies(receive(queue)), (Bodies{"b", "c"}));
  advance(60'000);
  const auto again = receive(queue);
  EXPECT_EQ(bodies(again), (Bodies{"b", "c"}));
  EXPECT_EQ(again[0].receive_count, 2u);
}

}  // namespace
}  // namespace millrace::engine

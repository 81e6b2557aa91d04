// What the map shows may change under a shard: a failed write-back that no sync told of yet.
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

class StoredBytes : public SimEngineTest {
 protected:
  StoredBytes() { options_.durability = Durability::commit; }
  // It says ok and leaves what was there before. The shard's disk is the last one made.
  void next_sync_lies() {
    environment_.disks().back()->inject({.call = sim::DiskCall::sync,
                                         .sync_failure = sim::SyncFailure::reverts,
                                         .late_report = true});
  }
  uint64_t lies() { return environment_.disks().back()->lies_told(); }
  Errc receive_error(QueueId queue) {
    const ReplyTo to = reply();
    shard().receive({.queue = queue, .messages_max = 10}, to);
    until([&] { return sink_.receives.contains(to.token); });
    return sink_.receives[to.token][0].error;
  }
};

TEST_F(StoredBytes, ThatChangedAreNotDeliveredAndTheShardIsFenced) {
  open();
  const QueueId queue = create("q");
  turns(50);
  next_sync_lies();
  send(queue, std::string(600, 'x'));
  ASSERT_EQ(lies(), 1u);
  EXPECT_EQ(receive_error(queue), Errc::shard_fenced);
  const ReplyTo to = reply();
  shard().send(Batch().add("y").to(queue), to);
  until([&] { return sink_.sends.contains(to.token); });
  EXPECT_EQ(sink_.sends[to.token].error, Errc::shard_fenced);
}

TEST_F(StoredBytes, ThatChangedAreNotCountedOnceTheyAreAcknowledged) {
  options_.durability = Durability::none;
  open();
  const QueueId queue = create("q");
  turns(50);
  // Still in memory when it is leased, gone when it is acknowledged.
  send(queue, std::string(600, 'x'));
  const std::vector<Got> got = receive(queue);
  ASSERT_EQ(got.size(), 1u);
  next_sync_lies();
  until([&] { return lies() == 1; });
  const ReplyTo to = reply();
  shard().ack({{&got[0].receipt, 1}}, to);
  until([&] { return sink_.result_errors.contains(to.token); });
  EXPECT_EQ(sink_.result_errors[to.token], Errc::shard_fenced);
}

}  // namespace
}  // namespace millrace::engine

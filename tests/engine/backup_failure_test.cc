// A backup while a log's disk fails.
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

class StartSink final : public ReplySink {
 public:
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
  void on_backup(uint64_t, const BackupReply& reply) override {
    answered = true;
    error = reply.error;
  }
  bool answered = false;
  Errc error = Errc::ok;
};

class BackupFailure : public SimEngineTest {};

// What is in the copy will never be durable: who asked is told, and does not wait for a minute.
TEST_F(BackupFailure, IsRefusedWhenALogOfItIsFenced) {
  options_.shards = 2;
  options_.durability = Durability::none;
  open();
  const QueueId queue = create("q");
  send(queue, "x");
  turns(50);
  // The last shard's disk is the last one made.
  environment_.disks().back()->inject({.call = sim::DiskCall::sync, .for_ever = true});
  StartSink sink;
  shard(0).start_backup({&sink, 1});
  until([&] { return sink.answered; });
  EXPECT_TRUE(sink.answered);
  EXPECT_EQ(sink.error, Errc::shard_fenced);
}

}  // namespace
}  // namespace millrace::engine

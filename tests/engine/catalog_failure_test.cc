// The catalog's log fails, and no shard's.
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

class CatalogFailure : public SimEngineTest, public testing::WithParamInterface<sim::DiskCall> {};

TEST_P(CatalogFailure, FencesTheShardBesideIt) {
  options_.durability = Durability::commit;
  open();
  const QueueId queue = create("q");
  turns(50);
  ASSERT_FALSE(shard().fenced());
  // The catalog's disk is the first one made.
  environment_.disks().front()->inject({.call = GetParam(), .for_ever = true});
  const ReplyTo made = reply();
  shard().create_queue("r", {}, made);
  until([&] { return shard().fenced(); });
  EXPECT_TRUE(shard().fenced());
  const ReplyTo sent = reply();
  shard().send(Batch().add("y").to(queue), sent);
  until([&] { return sink_.sends.contains(sent.token); });
  EXPECT_EQ(sink_.sends[sent.token].error, Errc::shard_fenced);
}

INSTANTIATE_TEST_SUITE_P(OfEachKind, CatalogFailure,
                         testing::Values(sim::DiskCall::write, sim::DiskCall::sync));

}  // namespace
}  // namespace millrace::engine

// The scope of deduplication ids changes while a queue is in use: what is a duplicate from then on,
// through kills, checkpoints and cleaning.
#include <fmt/format.h>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

class DedupScope : public EngineTest {
 protected:
  void SetUp() override {
    options_.durability = Durability::none;
    open();
    queue_ = create("q.fifo", fifo_queue());
  }
  void set_scope(std::string_view scope) { set(queue_, "DeduplicationScope", scope); }
  // Whether a message with this id was stored, not taken for a duplicate.
  bool stores(std::string_view group, std::string_view id) {
    const uint64_t before = counters(queue_).sent;
    const SendReply sent = send(queue_, Batch().add_fifo(group, id, "body"));
    EXPECT_EQ(sent.error, Errc::ok);
    return counters(queue_).sent != before;
  }
  // So that cleaning frees what lies in `segments` now.
  void traffic(uint64_t segments) { EngineTest::traffic(create("busy"), segments); }

  QueueId queue_{};
};

TEST_F(DedupScope, ToTheGroupHoldsForWhatIsSentFromThenOn) {
  EXPECT_TRUE(stores("a", "1"));
  EXPECT_FALSE(stores("b", "1"));
  set_scope("messageGroup");
  EXPECT_TRUE(stores("a", "2"));
  EXPECT_TRUE(stores("b", "2"));
  EXPECT_FALSE(stores("a", "2"));
  // An id from before is in force as it was taken, for the rest of its time.
  EXPECT_FALSE(stores("a", "1"));
  EXPECT_FALSE(stores("b", "1"));
  advance(300'000);
  EXPECT_TRUE(stores("a", "1"));
  EXPECT_TRUE(stores("b", "1"));
  EXPECT_FALSE(stores("b", "1"));
}

TEST_F(DedupScope, ToTheQueueHoldsForWhatIsSentFromThenOn) {
  set_scope("messageGroup");
  EXPECT_TRUE(stores("a", "1"));
  EXPECT_TRUE(stores("b", "1"));
  set_scope("queue");
  EXPECT_TRUE(stores("a", "2"));
  EXPECT_FALSE(stores("b", "2"));
  EXPECT_FALSE(stores("a", "1"));
  EXPECT_FALSE(stores("b", "1"));
  // There it did not come.
  EXPECT_TRUE(stores("c", "1"));
  EXPECT_FALSE(stores("d", "1"));
}

TEST_F(DedupScope, ByContentToo) {
  set(queue_, "ContentBasedDeduplication", "true");
  EXPECT_TRUE(stores("a", ""));
  set_scope("messageGroup");
  EXPECT_FALSE(stores("a", ""));
  EXPECT_FALSE(stores("b", ""));
  advance(300'000);
  EXPECT_TRUE(stores("a", ""));
  EXPECT_TRUE(stores("b", ""));
}

TEST_F(DedupScope, ARetryAcrossTheChangeIsADuplicateAlsoAfterAKillAndAStop) {
  for (const char* scope : {"messageGroup", "queue"}) {
    const std::string id = fmt::format("before-{}", scope);
    EXPECT_TRUE(stores("a", id));
    set_scope(scope);
    settle();
    crash_and_open();
    EXPECT_FALSE(stores("a", id));
    stop_and_open();
    EXPECT_FALSE(stores("a", id));
  }
}

TEST_F(DedupScope, IdsOfTheOtherScopeOutliveTheSegmentsTheyCameIn) {
  EXPECT_TRUE(stores("a", "acked"));
  const auto got = receive(queue_);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  EXPECT_TRUE(stores("a", "stays"));
  set_scope("messageGroup");
  traffic(3);
  EXPECT_FALSE(stores("a", "acked"));
  EXPECT_FALSE(stores("a", "stays"));
  EXPECT_TRUE(shard().state().accounts_hold());
  settle();
  crash_and_open();
  EXPECT_FALSE(stores("a", "acked"));
  EXPECT_FALSE(stores("a", "stays"));
  EXPECT_TRUE(shard().state().accounts_hold());
  // All is forgotten, and gives its segments back.
  advance(360'000);
  traffic(2);
  EXPECT_TRUE(stores("a", "acked"));
  EXPECT_TRUE(stores("b", "acked"));
}

}  // namespace
}  // namespace millrace::engine

// The memory budget, and the disk that does not get on: which sends are refused, that nothing else
// is, and that sends are taken again by themselves.
#include "engine/memory_budget.h"

#include <string>
#include <vector>

#include "engine/send_gate.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

constexpr int64_t kTurnNs = 100'000'000;

TEST(MemoryBudget, IsFullFromOneBoundAndNotBelowAnother) {
  MemoryBudget budget(1'000);
  budget.note(ShardId{0}, 400);
  budget.note(ShardId{63}, 449);
  EXPECT_FALSE(budget.full(false));
  budget.note(ShardId{63}, 450);
  EXPECT_TRUE(budget.full(false));
  budget.note(ShardId{0}, 350);
  EXPECT_TRUE(budget.full(true));
  EXPECT_FALSE(budget.full(false));
  budget.note(ShardId{0}, 349);
  EXPECT_FALSE(budget.full(true));
}

TEST(MemoryBudget, OfNothingIsNone) {
  MemoryBudget budget(0);
  budget.note(ShardId{0}, UINT64_MAX / 2);
  EXPECT_FALSE(budget.full(false) || budget.full(true));
  EXPECT_TRUE(budget.ample());
}

TEST(SendGate, ThrottlesWhileASyncThatIsWaitedForDoesNotGetOn) {
  MemoryBudget none(0);
  SendGate gate(none);
  int64_t now_ns = 0;
  const auto turns = [&](int count, uint64_t durable, size_t waiting) {
    for (int i = 0; i < count; ++i)
      gate.note_turn(now_ns += kTurnNs, Position{durable}, waiting, waiting);
  };
  turns(19, 10, 1);
  EXPECT_EQ(gate.judge(), Errc::ok);
  turns(2, 10, 1);
  EXPECT_EQ(gate.judge(), Errc::throttled);
  turns(1, 11, 1);
  EXPECT_EQ(gate.judge(), Errc::ok);
  turns(30, 11, 0);  // nobody waits
  EXPECT_EQ(gate.judge(), Errc::ok);
  EXPECT_EQ(gate.refused().behind, 1u);
}

TEST(SendGate, DoesNotTakeAProcessThatWasStoppedForASlowDisk) {
  MemoryBudget none(0);
  SendGate gate(none);
  gate.note_turn(1, Position{10}, 1, 1);
  gate.note_turn(60'000'000'000, Position{10}, 1, 1);
  EXPECT_EQ(gate.judge(), Errc::ok);
}

TEST(SendGate, ThrottlesWhileTooManyAnswersWait) {
  MemoryBudget none(0);
  SendGate gate(none);
  gate.note_turn(1, Position{10}, kAnswersWaitingMax, 0);
  EXPECT_EQ(gate.judge(), Errc::throttled);
  gate.note_turn(2, Position{10}, kAnswersWaitingMax - 1, 0);
  EXPECT_EQ(gate.judge(), Errc::ok);
}

class MemoryFull : public SimEngineTest {
 protected:
  static constexpr uint64_t kBudget = 2u << 20;
  static constexpr int kSendsMax = 20'000;

  void open_with(uint16_t shards, uint64_t budget = kBudget) {
    options_.shards = shards;
    options_.memory_bytes_max = budget;
    open();
  }
  Errc try_send(QueueId queue, const Batch& batch, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).send(batch.to(queue), to);
    until([&] { return sink_.sends.contains(to.token); });
    const Errc error = sink_.sends[to.token].error;
    sink_.sends.erase(to.token);
    return error;
  }
  std::vector<Got> receive_all(QueueId queue) {
    const ReplyTo to = reply();
    shard().receive({.queue = queue, .messages_max = 1'000}, to);
    until([&] { return sink_.receives.contains(to.token); });
    return sink_.receives[to.token][0].messages;
  }
  // Until the first refusal; how many went well.
  int fill(QueueId queue, uint16_t at = 0) {
    Batch batch;
    for (int i = 0; i < 100; ++i)
      batch.add("x", 3'600'000);  // delayed: 32 bytes of timer each
    for (int sent = 0; sent < kSendsMax; ++sent) {
      const Errc error = try_send(queue, batch, at);
      if (error == Errc::ok) continue;
      EXPECT_EQ(error, Errc::memory_full);
      return sent;
    }
    ADD_FAILURE() << "the budget was never used up";
    return 0;
  }
  ShardStats stats(uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).broker_stats(to);
    until([&] { return sink_.stats.contains(to.token); });
    return sink_.stats[to.token].at(at);
  }
};

TEST_F(MemoryFull, RefusesSendsAndNothingElseAndTakesThemAgainByItself) {
  open_with(1);
  const QueueId work = create("work");
  const QueueId late = create("late");
  for (int i = 0; i < 20; ++i)
    (void)send(work, "before");
  const std::vector<Got> held = receive(work);
  ASSERT_EQ(held.size(), 10u);

  EXPECT_GT(fill(late), 10);
  const ShardStats full = stats();
  EXPECT_TRUE(full.memory_full);
  EXPECT_EQ(full.memory_bytes_max, kBudget);
  EXPECT_GE(full.memory_bytes, kBudget / 100 * 85);
  EXPECT_LT(full.memory_bytes, kBudget);
  EXPECT_GE(full.timers, full.memory_bytes / 64);
  EXPECT_EQ(full.refused_memory, 1u);
  EXPECT_EQ(try_send(work, Batch().add("no")), Errc::memory_full);

  const std::vector<Got> more = receive(work);
  EXPECT_EQ(more.size(), 10u);
  const ExtendEntry entry{held[0].receipt, 60'000};
  const ReplyTo to = reply();
  shard().extend({{&entry, 1}}, to);
  until([&] { return sink_.result_errors.contains(to.token); });
  EXPECT_EQ(sink_.result_errors[to.token], Errc::ok);
  for (const Got& message : held)
    ack(message.receipt);

  const ReplyTo purge = reply();
  shard().purge_queue(late, purge);
  until([&] { return sink_.queue_errors.contains(purge.token); });
  turns(static_cast<int>(2 * kMemoryCountMs));
  EXPECT_EQ(try_send(work, Batch().add("again")), Errc::ok);
  EXPECT_FALSE(stats().memory_full);
}

// What one shard holds is refused by all, and who freed it tells the others, though nothing else
// happens there.
TEST_F(MemoryFull, CountsAllShardsTogether) {
  open_with(2);
  const QueueId work = create("work");
  const QueueId late = create("late");
  fill(late, 0);
  turns(static_cast<int>(2 * kMemoryCountMs));
  EXPECT_EQ(try_send(work, Batch().add("no"), 1), Errc::memory_full);
  const ReplyTo purge = reply();
  shard(0).purge_queue(late, purge);
  until([&] { return sink_.queue_errors.contains(purge.token); });
  // As the server does: a shard turns only when it says so.
  bool counted = false;
  for (int i = 0; i < 1'000 && !counted; ++i) {
    environment_.advance(1);
    shard(0).refresh_clock();
    if (shard(0).now() >= shard(0).next_deadline()) shard(0).tick();
    counted = shard(0).next_deadline() > shard(0).now() + kMemoryCountMs;
  }
  EXPECT_EQ(try_send(work, Batch().add("again"), 1), Errc::ok);
}

TEST_F(MemoryFull, CountsDeduplicationIdsAsLongAsTheyAreInForce) {
  open_with(1);
  const QueueId fifo = create("ids.fifo", {.fifo = true});
  int ids = 0;
  Errc error = Errc::ok;
  while (error == Errc::ok && ids < 1'000'000) {
    Batch batch;
    for (int i = 0; i < 100; ++i)
      batch.add_fifo("g", std::to_string(++ids), "x");
    error = try_send(fifo, batch);
    for (const Got& message : receive_all(fifo))
      ack(message.receipt);
  }
  EXPECT_EQ(error, Errc::memory_full);
  turns(static_cast<int>(2 * kMemoryCountMs));
  EXPECT_TRUE(stats().memory_full);
  environment_.advance(DedupWindow::kWindowMs + 1);
  until([&] { return try_send(fifo, Batch().add_fifo("g", "new", "x")) == Errc::ok; });
  EXPECT_LT(stats().memory_bytes, kBudget / 4);
}

TEST_F(MemoryFull, CountsWhatTheDriverHolds) {
  open_with(1);
  const QueueId work = create("work");
  (void)send(work, "before");
  shard().note_memory(kBudget);
  turns(static_cast<int>(kMemoryCountMs) + 1);
  EXPECT_EQ(try_send(work, Batch().add("no")), Errc::memory_full);
  shard().note_memory(0);
  turns(static_cast<int>(kMemoryCountMs) + 1);
  EXPECT_EQ(try_send(work, Batch().add("again")), Errc::ok);
}

TEST_F(MemoryFull, NeverIsWithoutABudget) {
  open_with(1, 0);
  const QueueId work = create("work");
  shard().note_memory(uint64_t{1} << 50);
  turns(static_cast<int>(kMemoryCountMs) + 1);
  EXPECT_EQ(try_send(work, Batch().add("yes")), Errc::ok);
}

class SlowDisk : public SimEngineTest {};

// Sends that came before are answered when the sync ends, those that come behind a sync that does
// not are told at once.
TEST_F(SlowDisk, ThrottlesSendsWhileASyncHangsAndTakesThemAtOnceWhenItEnds) {
  options_.durability = Durability::commit;
  open();
  const QueueId work = create("work");
  (void)send(work, "before");
  const std::vector<Got> held = receive(work);
  ASSERT_EQ(held.size(), 1u);
  const ReplyTo waits = reply();
  shard().send(Batch().add("waits").to(work), waits);
  const auto hang = [&](int count) {  // no job of the disk's goes on
    for (int i = 0; i < count; ++i) {
      shard().tick();
      environment_.advance(1);
    }
    const ReplyTo to = reply();
    shard().send(Batch().add("behind").to(work), to);
    return to;
  };
  EXPECT_FALSE(sink_.sends.contains(hang(1'900).token));
  const ReplyTo behind = hang(200);
  ASSERT_TRUE(sink_.sends.contains(behind.token));
  EXPECT_EQ(sink_.sends[behind.token].error, Errc::throttled);
  EXPECT_FALSE(sink_.sends.contains(waits.token));
  // Whoever frees something is not refused, only waits.
  const ReplyTo acked = reply();
  shard().ack({{&held[0].receipt, 1}}, acked);
  EXPECT_FALSE(sink_.result_errors.contains(acked.token));
  until([&] { return sink_.result_errors.contains(acked.token); });
  EXPECT_EQ(sink_.result_errors[acked.token], Errc::ok);
  EXPECT_EQ(sink_.sends[waits.token].error, Errc::ok);
  (void)send(work, "after");
}

}  // namespace
}  // namespace millrace::engine

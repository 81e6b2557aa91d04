// Receive attempt ids: who did not get the answer asks again and gets the same messages.
#include "engine/receive_attempts.h"

#include <fmt/format.h>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

TEST(ReceiveAttempts, KeepsTheNewestForFiveMinutes) {
  ReceiveAttempts attempts;
  const auto key = [](uint64_t n) { return AttemptKey{n, 1}; };
  attempts.put(key(1), TimeMs{50}, {{Slot{7}, 1}}, TimeMs{0});
  ASSERT_NE(attempts.find(key(1), TimeMs{299'999}), nullptr);
  EXPECT_EQ(attempts.find(key(1), TimeMs{299'999})->given[0].slot, Slot{7});
  EXPECT_EQ(attempts.find(key(1), TimeMs{300'000}), nullptr);
  // Used again, it is kept from then on.
  attempts.put(key(1), TimeMs{50}, {{Slot{8}, 1}}, TimeMs{200'000});
  attempts.put(key(2), TimeMs{50}, {}, TimeMs{300'000});
  ASSERT_NE(attempts.find(key(1), TimeMs{300'000}), nullptr);
  EXPECT_EQ(attempts.find(key(1), TimeMs{300'000})->given[0].slot, Slot{8});
  for (uint64_t n = 10; n < 10 + kReceiveAttemptsMax; ++n)
    attempts.put(key(n), TimeMs{50}, {}, TimeMs{300'001});
  EXPECT_LE(attempts.size(), kReceiveAttemptsMax);
  EXPECT_EQ(attempts.find(key(1), TimeMs{300'001}), nullptr);
  EXPECT_NE(attempts.find(key(9 + kReceiveAttemptsMax), TimeMs{300'001}), nullptr);
}

class Attempts : public EngineTest {
 protected:
  std::vector<Got> attempt(QueueId queue, std::string_view id, uint32_t max = 10,
                           uint32_t visibility_ms = 5'000, uint16_t at = 0, uint32_t wait_ms = 0) {
    const ReplyTo to = reply();
    shard(at).receive({.queue = queue,
                       .messages_max = max,
                       .visibility_ms = visibility_ms,
                       .wait_ms = wait_ms,
                       .attempt_id = id},
                      to);
    until([&] { return sink_.receives.contains(to.token); });
    last_error_ = sink_.receives[to.token][0].error;
    return sink_.receives[to.token][0].messages;
  }
  static std::vector<Receipt> receipts(const std::vector<Got>& messages) {
    std::vector<Receipt> receipts;
    for (const Got& got : messages)
      receipts.push_back(got.receipt);
    return receipts;
  }
  static bool same(const std::vector<Got>& a, const std::vector<Got>& b) {
    const auto x = receipts(a), y = receipts(b);
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(Receipt)) == 0;
  }
  Errc last_error_ = Errc::ok;
};

TEST_F(Attempts, TheSameReceiveGetsTheSameMessagesAndHidesThemAnew) {
  open();
  const QueueId queue = create("q.fifo", fifo_queue());
  send(queue, Batch().add_fifo("a", "1", "a1").add_fifo("a", "2", "a2").add_fifo("b", "3", "b1"));
  const auto first = attempt(queue, "try", 2);
  ASSERT_EQ(bodies(first), (std::vector<std::string>{"a1", "a2"}));
  advance(4'000);
  EXPECT_TRUE(same(attempt(queue, "try", 2), first));
  EXPECT_EQ(bodies(attempt(queue, "other", 2)), std::vector<std::string>{"b1"});
  advance(4'000);  // past the first lease, within the second
  EXPECT_EQ(counters(queue).leased, 3u);
  EXPECT_EQ(counters(queue).received, 3u);
  EXPECT_EQ(ack(first[0].receipt), Errc::ok);
}

TEST_F(Attempts, AnAttemptThatDoesNotHoldIsAReceiveAsAny) {
  open();
  const QueueId queue = create("q.fifo", fifo_queue());
  const auto begin = [&](std::string_view id) {
    send(queue, Batch().add_fifo("g", id, id));
    auto got = attempt(queue, id, 1, 5'000);
    EXPECT_EQ(got.size(), 1u);
    return got;
  };
  auto got = begin("acknowledged");
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  EXPECT_TRUE(attempt(queue, "acknowledged").empty());

  got = begin("extended");
  advance(1);
  EXPECT_EQ(extend(got[0].receipt, 9'000), Errc::ok);
  EXPECT_TRUE(attempt(queue, "extended").empty());
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);

  got = begin("over");
  advance(5'000);
  auto again = attempt(queue, "over");
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].receive_count, 2u);
  EXPECT_EQ(ack(again[0].receipt), Errc::ok);

  got = begin("restarted");
  crash_and_open();
  EXPECT_TRUE(attempt(queue, "restarted").empty());
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);

  got = attempt(queue, "empty-at-first");
  EXPECT_TRUE(got.empty());
  send(queue, Batch().add_fifo("g", "later", "later"));
  EXPECT_EQ(attempt(queue, "empty-at-first").size(), 1u);
}

// The request comes before the timers that say so.
TEST_F(Attempts, ALeaseThatIsOverIsNotGivenAnewBeforeAnyTickEither) {
  open();
  const QueueId queue = create("q.fifo", fifo_queue());
  send(queue, Batch().add_fifo("g", "1", "m"));
  ASSERT_EQ(attempt(queue, "id", 1, 5'000).size(), 1u);
  environment_.advance(5'000);
  shard().refresh_clock();
  auto again = attempt(queue, "id", 1, 5'000);
  tick();
  if (again.empty()) again = attempt(queue, "id", 1, 5'000);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].receive_count, 2u);
}

TEST_F(Attempts, AMessageThatIsOverIsNotGivenAnewBeforeAnyTickEither) {
  open();
  QueueAttributes attributes = fifo_queue();
  attributes.retention_ms = 60'000;
  const QueueId queue = create("q.fifo", attributes);
  send(queue, Batch().add_fifo("g", "1", "m"));
  ASSERT_EQ(attempt(queue, "id", 1, 90'000).size(), 1u);
  environment_.advance(59'999);
  EXPECT_EQ(attempt(queue, "id", 1, 90'000).size(), 1u);
  environment_.advance(1);
  shard().refresh_clock();
  EXPECT_TRUE(attempt(queue, "id", 1, 90'000).empty());
}

TEST_F(Attempts, OnlyOfFifoQueuesAndByAnIdThatMayBeOne) {
  open();
  const QueueId ordered = create("q.fifo", fifo_queue());
  const QueueId standard = create("q");
  attempt(standard, "id");
  EXPECT_EQ(last_error_, Errc::invalid_argument);
  for (const std::string& bad : {std::string(129, 'x'), std::string("a b"), std::string("\x7F")}) {
    attempt(ordered, bad);
    EXPECT_EQ(last_error_, Errc::invalid_argument) << bad;
  }
  attempt(ordered, std::string(128, 'x'));
  EXPECT_EQ(last_error_, Errc::ok);
}

TEST_F(Attempts, FromAnyShardAlsoOfAQueueThatIsSpread) {
  options_.shards = 3;
  open();
  QueueAttributes spread = fifo_queue();
  spread.deduplication_scope = DeduplicationScope::group;
  spread.throughput_limit = ThroughputLimit::group;
  const QueueId queues[] = {create("one.fifo", fifo_queue()), create("spread.fifo", spread)};
  for (const QueueId queue : queues) {
    for (int n = 0; n < 30; ++n)
      send(queue, Batch().add_fifo(fmt::format("g{}", n), fmt::format("{}", n), "m"), 0);
    std::vector<std::vector<Got>> firsts;
    for (uint16_t n = 0; n < 6; ++n)
      firsts.push_back(attempt(queue, fmt::format("try {}", n).replace(3, 1, "-"), 2, 50'000,
                               static_cast<uint16_t>(n % 3)));
    for (uint16_t n = 0; n < 6; ++n) {
      EXPECT_EQ(firsts[n].size(), 2u);
      const uint16_t elsewhere = static_cast<uint16_t>((n + 1) % 3);
      EXPECT_TRUE(same(attempt(queue, fmt::format("try-{}", n), 2, 50'000, elsewhere), firsts[n]));
    }
    EXPECT_EQ(counters(queue).leased, 12u);
  }
}

TEST_F(Attempts, AReceiveThatWaitedIsRepeatedToo) {
  options_.shards = 2;
  open();
  const QueueId queue = create("q.fifo", fifo_queue());
  for (const uint16_t at : {uint16_t{0}, uint16_t{1}}) {
    const ReplyTo to = reply();
    const std::string id = fmt::format("wait-{}", at);
    shard(at).receive(
        {.queue = queue, .visibility_ms = 50'000, .wait_ms = 10'000, .attempt_id = id}, to);
    for (int n = 0; n < 20; ++n)
      tick();
    EXPECT_FALSE(sink_.receives.contains(to.token));
    send(queue, Batch().add_fifo(id, id, "m"));
    until([&] { return sink_.receives.contains(to.token); });
    const auto first = sink_.receives[to.token][0].messages;
    ASSERT_EQ(first.size(), 1u);
    EXPECT_TRUE(same(attempt(queue, id, 1, 50'000, 1), first));
  }
}

// Also if others wait in line for what is not there.
TEST_F(Attempts, OneThatIsRepeatedNeedNotStandInLine) {
  open();
  const QueueId queue = create("q.fifo", fifo_queue());
  send(queue, Batch().add_fifo("g", "1", "m"));
  const auto first = attempt(queue, "id");
  ASSERT_EQ(first.size(), 1u);
  const ReplyTo waits = reply();
  shard().receive({.queue = queue, .wait_ms = 10'000}, waits);
  EXPECT_TRUE(same(attempt(queue, "id"), first));
  EXPECT_FALSE(sink_.receives.contains(waits.token));
  shard().cancel(waits);
}

// What it was given is for who asks again; given back, it would end a lease that was given anew.
TEST_F(Attempts, OneThatIsCanceledKeepsItsLeases) {
  options_.shards = 2;
  options_.durability = Durability::commit;
  open();
  for (const char* name : {"a.fifo", "b.fifo"}) {
    const QueueId queue = create(name, fifo_queue());
    send(queue, Batch().add_fifo("g", "1", "m"));
    const ReplyTo to = reply();
    shard().receive({.queue = queue, .visibility_ms = 60'000, .attempt_id = "id"}, to);
    for (int n = 0; n < 1'000 && counters(queue).leased == 0; ++n)
      tick();
    shard().cancel(to);
    const auto again = attempt(queue, "id", 10, 60'000);
    settle();
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(counters(queue).leased, 1u);
    EXPECT_TRUE(same(attempt(queue, "id", 10, 60'000), again));
  }
}

TEST_F(Attempts, OneThatIsCanceledIsNotAnswered) {
  options_.shards = 2;
  open();
  const QueueId queue = create("q.fifo", fifo_queue());
  const ReplyTo to = reply();
  shard(0).receive({.queue = queue, .wait_ms = 10'000, .attempt_id = "id"}, to);
  shard(0).cancel(to);
  const ReplyTo later = reply();
  shard(0).receive({.queue = queue, .wait_ms = 10'000, .attempt_id = "id"}, later);
  for (int n = 0; n < 20; ++n)
    tick();
  shard(0).cancel(later);
  send(queue, Batch().add_fifo("g", "1", "m"));
  for (int n = 0; n < 20; ++n)
    tick();
  EXPECT_FALSE(sink_.receives.contains(to.token));
  EXPECT_FALSE(sink_.receives.contains(later.token));
  EXPECT_EQ(counters(queue).ready, 1u);
}

}  // namespace
}  // namespace millrace::engine

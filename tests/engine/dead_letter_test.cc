// Dead letters: what is received too often goes to the queue that was named for it, once, whole,
// and in order, through restarts, crashes and cleaning.
#include <deque>

#include <fmt/format.h>

#include "base/prng.h"
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

using Bodies = std::vector<std::string>;

MovedFrom moved_from(const Got& got) {
  return find_moved(as_bytes(got.properties)).value_or(MovedFrom{});
}

class DeadLetters : public EngineTest {
 protected:
  void fail(QueueId queue, uint32_t times, uint32_t max = 10) {
    for (uint32_t i = 0; i < times; ++i)
      receive(queue, max, 0);
  }
};

TEST_F(DeadLetters, PoisonMessageWithMaxTwoEndsInTheDeadLetterQueueAfterExactlyTwoDeliveries) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  redrive(queue, "dead", 2);
  const SendReply sent = send(queue, "poison");
  const int64_t sent_at = environment_.wall_ms();
  int deliveries = 0;
  for (int i = 0; i < 5; ++i) {
    for (const Got& got : receive(queue, 10, 1'000)) {
      EXPECT_EQ(got.body, "poison");
      EXPECT_EQ(got.receive_count, static_cast<uint32_t>(++deliveries));
      EXPECT_TRUE(counters(dead).ready == 0);
    }
    advance(1'000);
  }
  EXPECT_EQ(deliveries, 2);
  settle_moves();
  EXPECT_EQ(counters(queue).ready + counters(queue).leased, 0u);
  const auto got = receive(dead);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].body, "poison");
  EXPECT_EQ(got[0].receive_count, 3u);  // goes on
  EXPECT_EQ(got[0].sent_at.value, sent_at);
  EXPECT_EQ(got[0].first_received_at.value, sent_at);
  const MovedFrom moved = moved_from(got[0]);
  EXPECT_EQ(moved.origin_queue, raw(queue));
  EXPECT_EQ(moved.origin_shard_slot, raw(sent.first_slot));
  EXPECT_EQ(moved.source_queue, raw(queue));
  EXPECT_EQ(moved.moved_at_ms, sent_at + 2'000);
}

TEST_F(DeadLetters, FirstAndLastReceiveStayKnownAlsoWhereTheSendingTimeBeginsAnew) {
  for (const bool is_fifo : {false, true}) {
    if (is_fifo) options_.data_directory += "-fifo";
    open();
    const std::string suffix = is_fifo ? ".fifo" : "";
    const QueueId queue = is_fifo ? create("q.fifo", fifo_queue()) : create("q");
    const QueueId dead = is_fifo ? create("dead.fifo", fifo_queue()) : create("dead");
    redrive(queue, "dead" + suffix, 2);
    const int64_t sent_at = environment_.wall_ms();
    send(queue, is_fifo ? Batch().add_fifo("g", "id", "m") : Batch().add("m"));
    advance(100);
    EXPECT_EQ(receive(queue, 1, 1'000).size(), 1u);
    advance(2'000);
    EXPECT_EQ(receive(queue, 1, 1'000).size(), 1u);
    advance(3'000);
    EXPECT_TRUE(receive(queue, 1, 1'000).empty());
    settle_moves();
    for (const bool after_a_kill : {false, true}) {
      if (after_a_kill) crash_and_open();
      tick();
      const auto peeked = peek(dead);
      ASSERT_EQ(peeked.size(), 1u);
      EXPECT_EQ(peeked[0].first_received_at.value, sent_at + 100);
      EXPECT_EQ(peeked[0].last_received_at.value, sent_at + 2'100);
    }
  }
}

TEST_F(DeadLetters, TheReceiveThatMovesGoesOnToTheNextMessage) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  send(queue, Batch().add("1").add("2").add("3"));
  fail(queue, 1, 2);
  redrive(queue, "dead", 1);
  EXPECT_EQ(bodies(receive(queue, 1)), Bodies{"3"});
  settle_moves();
  EXPECT_EQ(bodies(receive(dead)), (Bodies{"1", "2"}));
}

TEST_F(DeadLetters, AMessageKeepsItsPropertiesAndTheIdOfItsFirstSend) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  const QueueId deader = create("deader");
  redrive(queue, "dead", 1);
  redrive(dead, "deader", 2);
  std::string properties;
  append_property(properties, PropertyTag::attribute, "color", "String", as_bytes("blue"));
  append_property(properties, PropertyTag::trace_header, as_bytes("Root=1"));
  const SendReply sent = send(queue, Batch().add_with(properties, "body", 0));
  fail(queue, 2);
  settle_moves();
  fail(dead, 2);
  settle_moves();
  const auto got = receive(deader);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].receive_count, 3u);
  EXPECT_TRUE(got[0].properties.starts_with(properties));
  EXPECT_EQ(moved_from(got[0]).origin_queue, raw(queue));
  EXPECT_EQ(moved_from(got[0]).origin_shard_slot, raw(sent.first_slot));
  EXPECT_EQ(moved_from(got[0]).source_queue, raw(dead));
  EXPECT_EQ(got[0].properties.size(),
            properties.size() + property_bytes(0, 0, sizeof(MovedFrom)));  // told once
}

TEST_F(DeadLetters, WithoutAQueueToGoToAMessageIsDeliveredAsEver) {
  open();
  const QueueId queue = create("q");
  QueueId dead = create("dead");
  send(queue, "m");
  redrive(queue, "dead", 2);
  fail(queue, 2);
  remove(dead);
  EXPECT_EQ(receive(queue, 10, 0).size(), 1u);
  crash_and_open();
  tick();
  EXPECT_EQ(receive(queue, 10, 0).size(), 1u);
  dead = create("dead");  // another, by the same name
  EXPECT_TRUE(receive(queue, 10, 0).empty());
  settle_moves();
  EXPECT_EQ(counters(dead).ready, 1u);
}

TEST_F(DeadLetters, DoNotGoRoundInARing) {
  open();
  const QueueId a = create("a");
  const QueueId b = create("b");
  const QueueId c = create("c");
  const QueueId before = create("before");
  redrive(c, "c", 1);
  redrive(a, "b", 1);
  redrive(b, "a", 1);
  redrive(before, "a", 1);
  for (const QueueId queue : {a, b, c}) {
    send(queue, "m");
    fail(queue, 3);
    EXPECT_EQ(receive(queue, 10, 0).size(), 1u);
  }
  send(before, "n");
  fail(before, 2);
  settle_moves();
  EXPECT_EQ(counters(a).ready, 2u);
}

TEST_F(DeadLetters, SurviveStopsKillsAndCleaning) {
  options_.segment_bytes = 64u << 10;
  for (const Durability durability : {Durability::none, Durability::commit}) {
    options_.durability = durability;
    options_.data_directory = fmt::format("{}/{}", directory_.path(), static_cast<int>(durability));
    open();
    const QueueId queue = create("q");
    const QueueId dead = create("dead");
    const QueueId busy = create("busy");
    redrive(queue, "dead", 2);
    for (int i = 0; i < 50; ++i)
      send(queue, fmt::format("{}", i));
    fail(queue, 15);  // the front of the queue, again and again
    settle_moves();
    const uint64_t moved = counters(dead).ready;
    EXPECT_GE(moved, 50u);
    const auto check = [&] {
      EXPECT_EQ(counters(dead).ready, moved);
      EXPECT_EQ(counters(queue).ready, 0u);
      const auto all = peek(dead);
      ASSERT_EQ(all.size(), moved);
      for (size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i].body, std::to_string(i));
        EXPECT_EQ(all[i].receive_count, 2u);
      }
    };
    check();
    const uint64_t digest = shard().state().digest(shard().now());
    crash_and_open();
    EXPECT_EQ(shard().state().digest(shard().now()), digest);
    check();
    stop_and_open();  // from a checkpoint
    EXPECT_EQ(shard().state().digest(shard().now()), digest);
    check();
    storage::Log& log = shard().state().log();
    const uint64_t far = log.segment_of(log.end()) + 3;
    for (int i = 0; i < 5'000 && log.segment_of(log.head()) < far; ++i) {
      send(busy, std::string(10'000, 'x'));
      std::vector<Receipt> receipts;
      for (const Got& got : receive(busy))
        receipts.push_back(got.receipt);
      if (!receipts.empty()) ack(receipts);
    }
    ASSERT_GE(log.segment_of(log.head()), far);
    check();  // carried
    crash_and_open();
    check();
    const auto got = receive(dead, 10);
    ASSERT_EQ(got.size(), 10u);
    EXPECT_EQ(moved_from(got[3]).origin_shard_slot, 3u);
    EXPECT_EQ(ack(got[3].receipt), Errc::ok);
    EXPECT_EQ(counters(dead).ready + counters(dead).leased, moved - 1);
    broker_.reset();
  }
}

// Consumers that die while they work: leases end, nobody acks, nothing is lost.
TEST_F(DeadLetters, AConsumerThatCrashesMidProcessingLosesNothing) {
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  redrive(queue, "dead", 3);
  for (int i = 0; i < 20; ++i)
    send(queue, fmt::format("{}", i));
  std::map<std::string, uint32_t> deliveries;
  for (int round = 0; round < 10; ++round) {
    for (int n = 0; n < 4; ++n)
      for (const Got& got : receive(queue, 10, 5'000)) {
        EXPECT_EQ(got.receive_count, ++deliveries[got.body]);
        if (got.body == "7" && got.receive_count == 3) {
          EXPECT_EQ(ack(got.receipt), Errc::ok);
        }
      }
    if (round % 3 == 2) {
      settle_moves();
      crash_and_open();  // the server too
    }
    advance(5'000);
  }
  settle_moves();
  EXPECT_EQ(deliveries.size(), 20u);
  for (const auto& [body, times] : deliveries)
    EXPECT_EQ(times, 3u) << body;
  EXPECT_EQ(counters(queue).ready + counters(queue).leased, 0u);
  EXPECT_EQ(counters(dead).ready, 19u);
}

TEST_F(DeadLetters, ThousandsOverTheCountAreMovedAFewATurnAndHideNothing) {
  options_.durability = Durability::none;
  for (const uint16_t shards : {uint16_t{1}, uint16_t{2}}) {
    options_.shards = shards;
    options_.data_directory = fmt::format("{}/{}", directory_.path(), shards);
    open();
    const QueueId queue = create("q");
    const QueueId dead = create("dead");
    Batch thousand;
    for (int i = 0; i < 1'000; ++i)
      thousand.add(fmt::format("{}", i));
    for (int i = 0; i < 10; ++i)
      send(queue, thousand);
    for (int i = 0; i < 10; ++i)
      receive(queue, 1'000, 1'000);
    advance(1'000);
    settle();
    send(queue, "good");
    redrive(queue, "dead", 1);
    // Asked elsewhere, and not willing to wait.
    const auto at = static_cast<uint16_t>(shards - 1);
    const ReplyTo to = reply();
    shard(at).receive({.queue = queue, .messages_max = 10, .wait_ms = 0}, to);
    const auto moved = [&] { return shard().state().find(dead)->index().live_count(); };
    uint64_t before = moved();
    until([&] {
      const uint64_t now = moved();
      EXPECT_LE(now - before, kDeadLettersPerTickMax);
      before = now;
      return sink_.receives.contains(to.token);
    });
    ASSERT_EQ(sink_.receives[to.token][0].messages.size(), 1u);
    EXPECT_EQ(sink_.receives[to.token][0].messages[0].body, "good");
    settle_moves();
    EXPECT_EQ(counters(dead).ready, 10'000u);
    EXPECT_EQ(counters(queue).ready, 0u);
    broker_.reset();
  }
}

TEST_F(DeadLetters, WaitersOfTheDeadLetterQueueAreWoken) {
  options_.shards = 2;
  open();
  const QueueId queue = create("q");
  const QueueId dead = create("dead");
  redrive(queue, "dead", 1);
  send(queue, "m");
  const ReplyTo to = reply();
  shard(1).receive({.queue = dead, .messages_max = 10, .wait_ms = 20'000}, to);
  settle();
  fail(queue, 2);
  until([&] { return sink_.receives.contains(to.token); });
  ASSERT_EQ(sink_.receives[to.token][0].messages.size(), 1u);
}

TEST_F(DeadLetters, AFifoGroupGoesOnWhenItsHeadIsMovedAndKeepsItsOrderThere) {
  options_.shards = 3;
  open();
  const QueueId queue = create("q.fifo", fifo_queue());
  const QueueId dead = create("dead.fifo", fifo_queue());
  redrive(queue, "dead.fifo", 2);
  // The same deduplication id twice, more than five minutes apart.
  send(queue, Batch().add_fifo("a", "id", "1"));
  advance(300'000);
  settle();
  send(queue, Batch().add_fifo("a", "id", "2").add_fifo("a", "id-3", "3").add_fifo("b", "x", "4"));
  for (const uint16_t at : {uint16_t{0}, uint16_t{1}})
    EXPECT_EQ(bodies(receive(queue, 1, 0, at)), Bodies{"1"});
  EXPECT_EQ(bodies(receive(queue, 1, 0, 2)), Bodies{"2"});  // 1 has left
  EXPECT_EQ(bodies(receive(queue, 1, 0, 2)), Bodies{"2"});
  EXPECT_EQ(bodies(receive(queue, 10, 0)), (Bodies{"3", "4"}));
  settle_moves();
  const auto got = receive(dead, 10, 1'000, 1);
  EXPECT_EQ(bodies(got), (Bodies{"1", "2"}));
  EXPECT_EQ(got[0].sent_at.value, environment_.wall_ms());  // retention begins anew
  EXPECT_FALSE(find_property(as_bytes(got[0].properties), PropertyTag::deduplication_id));
  EXPECT_TRUE(find_property(as_bytes(got[0].properties), PropertyTag::group));
  EXPECT_TRUE(receive(dead, 10, 1'000, 2).empty());  // the group is blocked there too
  EXPECT_EQ(ack(got[0].receipt), Errc::ok);
  // A duplicate is one still, wherever the first went.
  EXPECT_EQ(send(queue, Batch().add_fifo("a", "id", "5")).shard_slots.size(), 1u);
  for (const bool crash : {false, true}) {
    if (crash) {
      crash_and_open();
    } else {
      stop_and_open();
    }
    advance(1'000);
    EXPECT_EQ(bodies(receive(dead, 10, 500, 2)), Bodies{"2"});
    EXPECT_EQ(send(queue, Batch().add_fifo("a", "id", "5")).shard_slots.size(), 1u);
  }
}

// Two plain queues of one shard beside the engine, one the other's dead-letter queue.
class PlainQueues {
 public:
  struct Message {
    std::string group, body;
    int64_t sent_at = 0;
    int64_t hidden_until = 0;
    uint32_t receives = 0;
  };
  PlainQueues(bool fifo, uint32_t receives_max) : fifo_(fifo), receives_max_(receives_max) {}

  void send(const std::string& group, const std::string& body, int64_t now) {
    live_.push_back({group, body, now, 0, 0});
  }
  std::vector<Message> receive(bool dead, uint32_t max, int64_t visibility, int64_t now) {
    auto& queue = dead ? dead_ : live_;
    for (;;) {
      const std::vector<size_t> chosen = choose(queue, max, now);
      std::vector<size_t> over;
      for (const size_t i : chosen)
        if (!dead && queue[i].receives >= receives_max_) over.push_back(i);
      if (over.empty()) {
        std::vector<Message> got;
        for (const size_t i : chosen) {
          queue[i].hidden_until = now + visibility;
          ++queue[i].receives;
          got.push_back(queue[i]);
        }
        return got;
      }
      for (const size_t i : over) {
        dead_.push_back(queue[i]);
        if (fifo_) dead_.back().sent_at = now;
      }
      std::sort(over.rbegin(), over.rend());
      for (const size_t i : over)
        queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  bool ack(const std::string& body) {
    for (auto* queue : {&live_, &dead_})
      for (auto m = queue->begin(); m != queue->end(); ++m)
        if (m->body == body) {
          queue->erase(m);
          return true;
        }
    return false;
  }
  size_t size(bool dead) const { return dead ? dead_.size() : live_.size(); }

 private:
  // The first that are not hidden, a group after the other.
  std::vector<size_t> choose(const std::deque<Message>& queue, uint32_t max, int64_t now) const {
    std::vector<size_t> chosen;
    std::map<std::string, bool> seen;
    for (size_t i = 0; i < queue.size(); ++i) {
      if (std::exchange(seen[queue[i].group], true)) continue;
      for (size_t j = i; j < queue.size() && chosen.size() < max; ++j) {
        if (queue[j].group != queue[i].group) continue;
        if (queue[j].hidden_until > now) break;
        chosen.push_back(j);
      }
    }
    return chosen;
  }

  bool fifo_;
  uint32_t receives_max_;
  std::deque<Message> live_, dead_;
};

TEST_F(DeadLetters, AgreeWithPlainQueuesOverRandomRequestsAndCrashes) {
  options_.segment_bytes = 64u << 10;
  for (const uint64_t seed : {1u, 2u, 3u, 4u, 5u, 6u}) {
    const bool is_fifo = seed % 2 == 0;
    base::Prng random(seed);
    options_.durability = seed % 3 == 0 ? Durability::none : Durability::commit;
    options_.data_directory = fmt::format("{}/{}", directory_.path(), seed);
    environment_ = ManualEnvironment();
    open();
    QueueAttributes attributes = is_fifo ? fifo_queue() : QueueAttributes{};
    attributes.retention_ms = kRetentionMsMax;
    const QueueId queue = create(is_fifo ? "q.fifo" : "q", attributes);
    const QueueId dead = create(is_fifo ? "dead.fifo" : "dead", attributes);
    const auto receives_max = static_cast<uint32_t>(1 + random.below(3));
    redrive(queue, is_fifo ? "dead.fifo" : "dead", receives_max);
    PlainQueues plain(is_fifo, receives_max);
    struct Held {
      Receipt receipt;
      std::string body;
      int64_t until;
    };
    std::vector<Held> held;
    int64_t now = environment_.wall_ms();
    for (int step = 0; step < 500; ++step) {
      const uint64_t dice = random.below(100);
      SCOPED_TRACE(fmt::format("seed {} step {}", seed, step));
      if (dice < 30) {
        Batch batch;
        for (uint64_t i = 1 + random.below(8); i > 0; --i) {
          const std::string body =
              fmt::format("{}-{}-{}", step, i, std::string(random.below(300), 'x'));
          const std::string group = fmt::format("g{}", random.below(6));
          if (is_fifo) {
            batch.add_fifo(group, body.substr(0, 20), body);
          } else {
            batch.add(body);
          }
          plain.send(is_fifo ? group : body, body, now);
        }
        ASSERT_EQ(send(queue, batch).error, Errc::ok);
      } else if (dice < 75) {
        const bool of_dead = random.below(4) == 0;
        const auto max = static_cast<uint32_t>(1 + random.below(10));
        const auto visibility = static_cast<uint32_t>(random.below(3) * 5'000);
        const auto expected = plain.receive(of_dead, max, visibility, now);
        const auto got = receive(of_dead ? dead : queue, max, visibility);
        ASSERT_EQ(got.size(), expected.size());
        for (size_t i = 0; i < got.size(); ++i) {
          ASSERT_EQ(got[i].body, expected[i].body);
          ASSERT_EQ(got[i].receive_count, expected[i].receives);
          ASSERT_EQ(got[i].sent_at.value, expected[i].sent_at);
          held.push_back({got[i].receipt, got[i].body, now + visibility});
        }
        settle_moves();
      } else if (dice < 88 && !held.empty()) {
        const size_t i = random.below(held.size());
        const Held one = held[i];
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
        if (one.until <= now) continue;
        ASSERT_EQ(ack(one.receipt), Errc::ok);
        ASSERT_TRUE(plain.ack(one.body));
      } else if (dice < 97) {
        const auto ms =
            static_cast<int64_t>(random.below(random.below(9) == 0 ? 100'000'000 : 6'000));
        now += ms;
        advance(ms);
      } else {
        settle();
        if (dice < 98) {
          stop_and_open();
        } else {
          crash_and_open();
        }
        tick();
      }
    }
    settle_moves();
    EXPECT_GT(plain.size(true), 0u);
    EXPECT_EQ(counters(queue).ready + counters(queue).leased, plain.size(false));
    EXPECT_EQ(counters(dead).ready + counters(dead).leased, plain.size(true));
    broker_.reset();
  }
}

}  // namespace
}  // namespace millrace::engine

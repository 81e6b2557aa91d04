// Publishing in the engine: messages that lie once and are in many queues.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "base/uuid.h"
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kPlace = "------------------------------------";  // of a stamp

Uuid uuid_of(uint8_t number) {
  Uuid uuid{};
  uuid.fill(number);
  return uuid;
}

class Publishing : public EngineTest {
 protected:
  void SetUp() override {
    options_.durability = Durability::none;
    open();
  }

  std::vector<QueueId> make_queues(int count) {
    std::vector<QueueId> queues;
    for (int i = 0; i < count; ++i)
      queues.push_back(create(fmt::format("q{}", i)));
    return queues;
  }
  SendReply publish(const Batch& batch, const std::vector<PublishCopy>& copies,
                    const std::vector<uint32_t>& stamps = {}) {
    Batch run = batch;
    const ReplyTo to = reply();
    shard().publish({TopicId{77}, run.count(), run.bytes(), stamps, copies}, to);
    until([&] { return sink_.sends.contains(to.token); });
    return sink_.sends[to.token];
  }
  // All of the batch to all of the queues.
  SendReply publish_to(const std::vector<QueueId>& queues, const Batch& batch) {
    std::vector<PublishCopy> copies;
    for (const QueueId queue : queues)
      copies.push_back({queue, SubscriptionId{raw(queue) + 100},
                        ~uint64_t{0} >> (64 - batch.count()), uuid_of(1)});
    return publish(batch, copies);
  }
  uint64_t appended() { return shard().state().log().end().value; }
  bool accounts_hold() {
    settle();
    return shard().state().accounts_hold();
  }
  void ack_all(QueueId queue) {
    std::vector<Receipt> receipts;
    for (const Got& got : receive(queue, 1'000))
      receipts.push_back(got.receipt);
    if (!receipts.empty()) ack(receipts);
  }
};

TEST_F(Publishing, EachQueueGetsItsMessagesInTheirOrder) {
  const auto queues = make_queues(3);
  const SendReply published =
      publish(Batch().add("a", 0).add("b", 0).add("c", 0),
              {{queues[2], {}, 0b111, {}}, {queues[0], {}, 0b101, {}}, {queues[1], {}, 0b010, {}}});
  EXPECT_EQ(published.error, Errc::ok);
  EXPECT_EQ(bodies(receive(queues[0])), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(bodies(receive(queues[1])), (std::vector<std::string>{"b"}));
  EXPECT_EQ(bodies(receive(queues[2])), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(counters(queues[0]).sent, 2u);
  EXPECT_TRUE(accounts_hold());
}

TEST_F(Publishing, AMessageLiesOnceHoweverManyQueuesHaveIt) {
  const auto queues = make_queues(100);
  const std::string body(10'000, 'x');
  const uint64_t before = appended();
  ASSERT_EQ(publish_to(queues, Batch().add(body, 0)).error, Errc::ok);
  const uint64_t bytes = appended() - before;
  EXPECT_GT(bytes, body.size());
  EXPECT_LT(bytes, body.size() + 100 * 48 + 300);
  for (const QueueId queue : queues)
    EXPECT_EQ(bodies(receive(queue)), (std::vector<std::string>{body}));
  EXPECT_TRUE(accounts_hold());
}

// The bound is the issue's: one message and its references, and not a third more.
TEST_F(Publishing, ABatchTo100QueuesTakesItsMessagesAndTheReferences) {
  const auto queues = make_queues(100);
  Batch batch;
  for (int i = 0; i < 10; ++i)
    batch.add(std::string(128, 'x'), 0);
  const uint64_t before = appended();
  ASSERT_EQ(publish_to(queues, batch).error, Errc::ok);
  const uint64_t references = 100 * sizeof(PublishTarget);
  EXPECT_LT(static_cast<double>(appended() - before),
            1.3 * static_cast<double>(batch.bytes().size() + references));
}

TEST_F(Publishing, WhatOneQueueDoesIsNothingToTheOthers) {
  const auto queues = make_queues(4);
  publish_to(queues, Batch().add("a", 0).add("b", 0));
  ack_all(queues[0]);
  remove(queues[1]);
  const ReplyTo purged = reply();
  shard().purge_queue(queues[2], purged);
  until([&] { return sink_.queue_errors.contains(purged.token); });
  EXPECT_TRUE(accounts_hold());
  crash_and_open();
  EXPECT_TRUE(accounts_hold());
  EXPECT_EQ(bodies(receive(queues[3])), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(receive(queues[0]).empty());
  EXPECT_TRUE(receive(queues[2]).empty());
}

TEST_F(Publishing, WhatIsNotWrittenYetCanBePurgedAndItsQueueDeleted) {
  const auto queues = make_queues(3);
  Batch batch = std::move(Batch().add("a", 0));
  const std::vector<PublishCopy> copies{
      {queues[0], {}, 1, {}}, {queues[1], {}, 1, {}}, {queues[2], {}, 1, {}}};
  shard().publish({TopicId{1}, 1, batch.bytes(), {}, copies}, reply());
  shard().purge_queue(queues[0], reply());
  shard().delete_queue(queues[1], reply());
  settle();
  EXPECT_TRUE(accounts_hold());
  EXPECT_EQ(bodies(receive(queues[2])), (std::vector<std::string>{"a"}));
  EXPECT_TRUE(receive(queues[0]).empty());
}

TEST_F(Publishing, EachCopyHasItsOwnStamp) {
  const auto queues = make_queues(2);
  const std::string body = fmt::format("see {} for more", kPlace);
  ASSERT_EQ(publish(Batch().add("plain", 0).add(body, 0),
                    {{queues[0], SubscriptionId{5}, 0b11, uuid_of(0xAB)},
                     {queues[1], SubscriptionId{6}, 0b10, uuid_of(0xCD)},
                     {queues[1], SubscriptionId{7}, 0b10, uuid_of(0xEF)}},
                    {0, 4})
                .error,
            Errc::ok);
  const auto text = [](uint8_t number) {
    return fmt::format("see {} for more", base::uuid_text(uuid_of(number)));
  };
  const auto check = [&](QueueId first, QueueId second) {
    EXPECT_EQ(bodies(receive(first, 10, 1'000)), (std::vector<std::string>{"plain", text(0xAB)}));
    EXPECT_EQ(bodies(receive(second, 10, 1'000)),
              (std::vector<std::string>{text(0xCD), text(0xEF)}));
    EXPECT_EQ(peek(first)[1].body, text(0xAB));
    advance(2'000);
  };
  check(queues[0], queues[1]);
  // Carried, together and then what is left; and after a start.
  const QueueId busy = create("busy");
  traffic(busy, 2);
  check(queues[0], queues[1]);
  traffic(busy, 3);
  crash_and_open();
  check(queues[0], queues[1]);
  // It goes along to a dead-letter queue.
  const QueueId dead = create("dead");
  redrive(queues[1], "dead");
  EXPECT_TRUE(receive(queues[1]).empty());
  settle_moves();
  EXPECT_EQ(bodies(receive(dead)), (std::vector<std::string>{text(0xCD), text(0xEF)}));
  EXPECT_TRUE(accounts_hold());
}

TEST_F(Publishing, EachQueueHasItsOwnDelay) {
  const auto queues = make_queues(2);
  set(queues[1], "DelaySeconds", "60");
  publish_to(queues, Batch().add("a", 0));
  EXPECT_EQ(receive(queues[0]).size(), 1u);
  EXPECT_EQ(counters(queues[1]).delayed, 1u);
  crash_and_open();
  EXPECT_EQ(counters(queues[1]).delayed, 1u);
  advance(61'000);
  EXPECT_EQ(receive(queues[1]).size(), 1u);
}

TEST_F(Publishing, KeepsLeasesAndCountsThroughCarriesAndAKill) {
  const auto queues = make_queues(3);
  publish_to(queues, Batch().add("a", 0).add("b", 0));
  const auto leased = receive(queues[0], 1, 500'000);
  ack(receive(queues[1], 1)[0].receipt);
  const QueueId busy = create("busy");
  traffic(busy, 2);
  traffic(busy, 3);
  crash_and_open();
  EXPECT_TRUE(accounts_hold());
  EXPECT_EQ(bodies(receive(queues[0])), (std::vector<std::string>{"b"}));
  EXPECT_EQ(bodies(receive(queues[1])), (std::vector<std::string>{"b"}));
  EXPECT_EQ(bodies(receive(queues[2])), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ack(leased[0].receipt), Errc::ok);
}

TEST_F(Publishing, ACheckpointKnowsWhoSharesWhat) {
  const auto queues = make_queues(3);
  publish_to(queues, Batch().add("a", 0).add("b", 0));
  ack_all(queues[0]);
  stop_and_open();
  EXPECT_TRUE(accounts_hold());
  ack_all(queues[1]);
  ack_all(queues[2]);
  EXPECT_TRUE(accounts_hold());
  traffic(create("busy"), 3);
}

TEST_F(Publishing, ManyQueuesTakeSeveralRecords) {
  std::vector<PublishCopy> copies;
  const auto queues = make_queues(2);
  for (uint32_t i = 0; i < 2 * kTargetsPerRecordMax + 10; ++i)
    copies.push_back({queues[i % 2], SubscriptionId{i + 1}, i % 3 == 0 ? 1u : 2u, {}});
  ASSERT_EQ(publish(Batch().add("a", 0).add("b", 0), copies).error, Errc::ok);
  EXPECT_EQ(counters(queues[0]).ready + counters(queues[1]).ready, copies.size());
  crash_and_open();
  EXPECT_EQ(counters(queues[0]).ready + counters(queues[1]).ready, copies.size());
  EXPECT_TRUE(accounts_hold());
}

TEST_F(Publishing, WhatIsWrongIsRefusedWhole) {
  const auto queues = make_queues(1);
  const QueueId fifo = create("f.fifo", fifo_queue());
  const Batch one = std::move(Batch().add("a", 0));
  const auto error = [&](const Batch& batch, const std::vector<PublishCopy>& copies,
                         const std::vector<uint32_t>& stamps = {}) {
    return publish(batch, copies, stamps).error;
  };
  EXPECT_EQ(error(one, {{queues[0], {}, 1, {}}, {QueueId{999}, {}, 1, {}}}), Errc::queue_not_found);
  EXPECT_EQ(error(one, {{queues[0], {}, 1, {}}, {fifo, {}, 1, {}}}), Errc::invalid_argument);
  EXPECT_EQ(error(one, {{queues[0], {}, 0b10, {}}}), Errc::invalid_argument);
  EXPECT_EQ(error(one, {{queues[0], {}, 0, {}}}), Errc::invalid_argument);
  EXPECT_EQ(error(one, {}), Errc::invalid_argument);
  EXPECT_EQ(error(one, {{queues[0], {}, 1, {}}}, {5}), Errc::invalid_argument);
  EXPECT_EQ(error(one, {{queues[0], {}, 1, {}}}, {0, 0}), Errc::invalid_argument);
  EXPECT_EQ(error(Batch(), {{queues[0], {}, 1, {}}}), Errc::batch_empty);
  Batch many;
  for (uint32_t i = 0; i <= kSharedMessagesMax; ++i)
    many.add("a", 0);
  EXPECT_EQ(error(many, {{queues[0], {}, 1, {}}}), Errc::batch_too_large);
  set(queues[0], "MaximumMessageSize", "1024");
  EXPECT_EQ(error(Batch().add(std::string(1'025, 'x'), 0), {{queues[0], {}, 1, {}}}),
            Errc::message_too_large);
  EXPECT_EQ(counters(queues[0]).ready, 0u);
}

// What each queue should hold, beside the broker, through all that can come between.
TEST_F(Publishing, RandomWorkEqualsAPlainModel) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    base::Prng prng(seed);
    std::vector<QueueId> queues;
    for (int i = 0; i < 6; ++i)
      queues.push_back(create(fmt::format("s{}-{}", seed, i)));
    const QueueId busy = create(fmt::format("s{}-busy", seed));
    std::map<QueueId, std::multiset<std::string>> expected;
    for (int step = 0; step < 250; ++step) {
      const size_t q = prng.below(queues.size());
      switch (prng.below(12)) {
        case 0:
        case 1:
        case 2:
        case 3: {
          Batch batch;
          const auto count = static_cast<uint32_t>(1 + prng.below(5));
          std::vector<std::string> texts;
          for (uint32_t i = 0; i < count; ++i) {
            texts.push_back(
                fmt::format("{}-{}-{} {}", seed, step, i, std::string(prng.below(3'000), 'x')));
            batch.add(texts.back(), 0);
          }
          std::vector<PublishCopy> copies;
          uint64_t wanted = 0;
          for (const QueueId queue : queues)
            if (const uint64_t messages = prng.below(uint64_t{1} << count); messages != 0) {
              copies.push_back({queue, {}, messages, {}});
              wanted |= messages;
            }
          if (wanted != ~uint64_t{0} >> (64 - count)) break;
          ASSERT_EQ(publish(batch, copies).error, Errc::ok);
          for (const PublishCopy& copy : copies)
            for (uint32_t i = 0; i < count; ++i)
              if ((copy.messages >> i & 1) != 0) expected[copy.queue].insert(texts[i]);
          break;
        }
        case 4:
        case 5:
        case 6: {
          std::vector<Receipt> receipts;
          for (const Got& got :
               receive(queues[q], static_cast<uint32_t>(1 + prng.below(8)), 5'000)) {
            ASSERT_TRUE(expected[queues[q]].contains(got.body));
            if (prng.chance(1, 3)) continue;
            receipts.push_back(got.receipt);
            expected[queues[q]].erase(expected[queues[q]].find(got.body));
          }
          if (!receipts.empty()) ack(receipts);
          break;
        }
        case 7:
          send(queues[q], fmt::format("sent {}", step));
          expected[queues[q]].insert(fmt::format("sent {}", step));
          break;
        case 8:
          traffic(busy, 1 + prng.below(2));
          break;
        case 9:
          if (prng.chance(1, 3)) {
            const ReplyTo to = reply();
            shard().purge_queue(queues[q], to);
            until([&] { return sink_.queue_errors.contains(to.token); });
            expected[queues[q]].clear();
          } else if (prng.chance(1, 3)) {
            remove(queues[q]);
            expected.erase(queues[q]);
            queues[q] = create(fmt::format("s{}-{}-{}", seed, q, step));
          }
          break;
        case 10: {
          settle();
          advance(6'000);
          const uint64_t digest = shard().state().digest(shard().now());
          if (prng.chance(1, 2))
            crash_and_open();
          else
            stop_and_open();
          EXPECT_EQ(shard().state().digest(shard().now()), digest);
          break;
        }
        default:
          advance(3'000);
      }
      if (step % 10 == 0) {
        ASSERT_TRUE(accounts_hold()) << step;
      }
    }
    advance(10'000);
    for (const QueueId queue : queues) {
      std::multiset<std::string> found;
      for (int i = 0; i < 1'000; ++i) {
        const auto got = receive(queue, 100, 1'000'000);
        if (got.empty()) break;
        for (const Got& one : got)
          found.insert(one.body);
      }
      EXPECT_EQ(found, expected[queue]);
      remove(queue);
    }
    EXPECT_TRUE(accounts_hold());
    remove(busy);
  }
}

}  // namespace
}  // namespace millrace::engine

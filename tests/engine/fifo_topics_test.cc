// FIFO topics in the engine: order, sequence numbers, deduplication, on two shards.
#include <set>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "millrace/message_id.h"
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kIdPlace = "------------------------------------";
constexpr std::string_view kNumberPlace = "####################";

class FifoTopicsTest : public EngineTest {
 protected:
  void SetUp() override {
    options_.shards = 2;
    options_.durability = Durability::none;
    open();
  }

  TopicId create_topic(std::string_view name) {
    const ReplyTo to = reply();
    shard().topics().create(name, {.attributes = {{"FifoTopic", "true"}}}, to);
    until([&] { return sink_.topics.contains(to.token); });
    EXPECT_EQ(sink_.topics[to.token].error, Errc::ok) << sink_.topics[to.token].detail;
    return sink_.topics[to.token].topics.at(0).id;
  }
  struct Message {
    std::string group;
    std::string id;
    std::string body;
  };
  // Each message to all of the queues, as it is.
  SendReply publish(TopicId topic, const std::vector<QueueId>& queues,
                    const std::vector<Message>& messages, uint16_t at = 0) {
    const ReplyTo to = begin_publish(topic, queues, messages, at);
    until([&] { return sink_.sends.contains(to.token); });
    return sink_.sends[to.token];
  }
  ReplyTo begin_publish(TopicId topic, const std::vector<QueueId>& queues,
                        const std::vector<Message>& messages, uint16_t at = 0) {
    Batch batch;
    std::vector<OrderedForm> forms;
    std::vector<std::string_view> ids;
    std::vector<uint32_t> stamps;
    for (const Message& message : messages) {
      batch.add_fifo(message.group, message.id, message.body);
      const auto place = [&](std::string_view what) {
        const size_t found = message.body.find(what);
        return found == std::string::npos ? 0u : static_cast<uint32_t>(found);
      };
      forms.push_back({static_cast<uint32_t>(forms.size()), place(kIdPlace), place(kNumberPlace)});
      ids.push_back(message.id);
      stamps.push_back(0);
    }
    std::vector<PublishCopy> copies;
    for (const QueueId queue : queues)
      copies.push_back({queue, {}, ~uint64_t{0} >> (64 - messages.size()), {}});
    const ReplyTo to = reply();
    shard(at).publish_ordered({{topic, batch.count(), batch.bytes(), stamps, copies}, forms, ids},
                              to);
    return to;
  }
  std::vector<std::string> take_all(QueueId queue) {
    std::vector<std::string> all;
    for (int i = 0; i < 1'000; ++i) {
      std::vector<Receipt> receipts;
      for (const Got& got : receive(queue, 10, 60'000)) {
        all.push_back(got.body);
        receipts.push_back(got.receipt);
      }
      if (receipts.empty()) break;
      ack(receipts);
    }
    return all;
  }
};

TEST_F(FifoTopicsTest, EveryQueueGetsTheMessagesInOrderWhereverItLives) {
  const TopicId topic = create_topic("events.fifo");
  const QueueId first = create("a.fifo", fifo_queue());
  const QueueId second = create("b.fifo", fifo_queue());
  std::vector<std::string> expected;
  uint64_t last = 0;
  for (uint16_t i = 0; i < 30; ++i) {
    const std::string body = fmt::format("m{}", i);
    const SendReply done = publish(topic, {first, second}, {{"g", body, body}}, i & 1);
    ASSERT_EQ(done.error, Errc::ok);
    ASSERT_EQ(done.shard_slots.size(), 1u);
    EXPECT_GT(sequence_number(done.shard_slots[0]), last);
    last = sequence_number(done.shard_slots[0]);
    expected.push_back(body);
  }
  EXPECT_EQ(take_all(first), expected);
  EXPECT_EQ(take_all(second), expected);
}

TEST_F(FifoTopicsTest, APublishThatWaitsForAnotherOvertakesNobody) {
  const TopicId topic = create_topic("events.fifo");
  const QueueId first = create("a.fifo", fifo_queue());
  const QueueId second = create("b.fifo", fifo_queue());
  std::vector<std::string> expected;
  std::vector<ReplyTo> asked;
  for (int i = 0; i < 300; ++i) {
    expected.push_back(fmt::format("m{}", i));
    asked.push_back(
        begin_publish(topic, {first, second}, {{"g", expected.back(), expected.back()}}));
  }
  until([&] { return sink_.sends.contains(asked.back().token); });
  for (const ReplyTo& one : asked)
    EXPECT_EQ(sink_.sends[one.token].error, Errc::ok);
  EXPECT_EQ(take_all(first), expected);
  EXPECT_EQ(take_all(second), expected);
}

TEST_F(FifoTopicsTest, ADuplicateIsAnsweredAsTheFirstAndComesNowhere) {
  const TopicId topic = create_topic("events.fifo");
  const QueueId queue = create("a.fifo", fifo_queue());
  const uint64_t first = publish(topic, {queue}, {{"g", "1", "one"}}).shard_slots[0];
  const QueueId later = create("late.fifo", fifo_queue());
  const auto repeats = [&](uint16_t at) {
    const ReplyTo to = begin_publish(topic, {queue, later}, {{"g", "1", "again"}}, at);
    until([&] { return sink_.sends.contains(to.token); });
    EXPECT_EQ(sink_.sends[to.token].error, Errc::ok);
    return sink_.sent_at[to.token].at(0) == first;
  };
  EXPECT_TRUE(repeats(0));
  EXPECT_TRUE(repeats(1));
  crash_and_open();
  EXPECT_TRUE(repeats(0));
  stop_and_open();
  EXPECT_TRUE(repeats(1));
  EXPECT_EQ(take_all(queue), (std::vector<std::string>{"one"}));
  EXPECT_TRUE(take_all(later).empty());
  // Within one call, and at the same time.
  const ReplyTo a = begin_publish(topic, {queue}, {{"g", "2", "two"}, {"g", "2", "two again"}});
  const ReplyTo b = begin_publish(topic, {queue}, {{"g", "3", "three"}, {"g", "2", "two"}});
  until([&] { return sink_.sends.contains(b.token); });
  EXPECT_EQ(sink_.sent_at[a.token].at(0), sink_.sent_at[a.token].at(1));
  EXPECT_EQ(sink_.sent_at[a.token].at(0), sink_.sent_at[b.token].at(1));
  EXPECT_EQ(take_all(queue), (std::vector<std::string>{"two", "three"}));
  // Five minutes later it is another.
  advance(301'000);
  EXPECT_FALSE(repeats(0));
  EXPECT_EQ(take_all(queue), (std::vector<std::string>{"again"}));
}

TEST_F(FifoTopicsTest, TheWindowAndTheNumbersSurviveCleaning) {
  const TopicId topic = create_topic("events.fifo");
  const QueueId queue = create("a.fifo", fifo_queue());
  const QueueId busy = create("busy");
  const uint64_t first = publish(topic, {queue}, {{"g", "1", "one"}}).shard_slots[0];
  EXPECT_EQ(take_all(queue).size(), 1u);
  for (uint16_t i = 0; i < 2; ++i) {
    storage::Log& log = shard(i).state().log();
    const uint64_t until = log.segment_of(log.head()) + 3;
    for (int n = 0; n < 3'000 && log.segment_of(log.head()) < until; ++n) {
      send(busy, std::string(100'000, 'x'), i);
      std::vector<Receipt> receipts;
      for (const Got& got : receive(busy, 10, 60'000, i))
        receipts.push_back(got.receipt);
      if (!receipts.empty()) ack(receipts, i);
    }
    ASSERT_GE(log.segment_of(log.head()), until);
  }
  crash_and_open();
  EXPECT_EQ(publish(topic, {queue}, {{"g", "1", "one"}}).shard_slots[0], first);
  const uint64_t next = publish(topic, {queue}, {{"g", "2", "two"}}).shard_slots[0];
  EXPECT_GT(next, first);
  stop_and_open();
  EXPECT_EQ(publish(topic, {queue}, {{"g", "3", "three"}}).shard_slots[0], next + 1);
  EXPECT_EQ(take_all(queue), (std::vector<std::string>{"two", "three"}));
  settle();
  EXPECT_TRUE(shard(0).state().accounts_hold());
  EXPECT_TRUE(shard(1).state().accounts_hold());
}

TEST_F(FifoTopicsTest, PutsInTheIdAndTheNumberOfEach) {
  const TopicId topic = create_topic("events.fifo");
  const QueueId queue = create("a.fifo", fifo_queue());
  const QueueId standard = create("standard");
  const std::string body = fmt::format("id {} number {}", kIdPlace, kNumberPlace);
  // To a standard queue without group and id.
  const Batch batch =
      std::move(Batch().add_fifo("g", "1", body).add(body, 0).add_fifo("g", "2", "b"));
  Batch run = batch;
  const auto at = [&](std::string_view what) { return static_cast<uint32_t>(body.find(what)); };
  const std::vector<OrderedForm> forms{
      {0, at(kIdPlace), at(kNumberPlace)}, {0, at(kIdPlace), at(kNumberPlace)}, {1, 0, 0}};
  const std::vector<PublishCopy> copies{{queue, {}, 0b101, {}}, {standard, {}, 0b010, {}}};
  const std::vector<std::string_view> ids{"1", "2"};
  for (int i = 0; i < 2; ++i) {
    const ReplyTo to = reply();
    shard().publish_ordered({{topic, run.count(), run.bytes(), {}, copies}, forms, ids}, to);
    until([&] { return sink_.sends.contains(to.token); });
    ASSERT_EQ(sink_.sends[to.token].error, Errc::ok);
    const uint64_t place = sink_.sent_at[to.token].at(0);
    const std::string expected = fmt::format(
        "id {} number {}", message_id_text({raw(topic), place}), sequence_number(place));
    if (i > 0) continue;  // a duplicate
    EXPECT_EQ(take_all(queue), (std::vector<std::string>{expected, "b"}));
    EXPECT_EQ(take_all(standard), (std::vector<std::string>{expected}));
  }
  EXPECT_TRUE(take_all(queue).empty());
  EXPECT_TRUE(take_all(standard).empty());
}

TEST_F(FifoTopicsTest, WhatIsWrongIsRefused) {
  const TopicId topic = create_topic("events.fifo");
  const QueueId queue = create("a.fifo", fifo_queue());
  EXPECT_EQ(publish(TopicId{999}, {queue}, {{"g", "1", "one"}}).error, Errc::topic_not_found);
  const ReplyTo empty = reply();
  shard().publish_ordered({{topic, 0, {}, {}, {}}, {}, {}}, empty);
  EXPECT_EQ(sink_.sends[empty.token].error, Errc::batch_empty);
  // A queue that is gone gets nothing, and the others do.
  const QueueId gone = create("gone.fifo", fifo_queue());
  remove(gone);
  EXPECT_EQ(publish(topic, {gone, queue}, {{"g", "1", "one"}}).error, Errc::ok);
  // One that can't take it fails the publish; tried again it comes nowhere twice.
  const QueueId small = create("small.fifo", fifo_queue());
  set(small, "MaximumMessageSize", "1024");
  const std::string large(2'000, 'x');
  EXPECT_EQ(publish(topic, {queue, small}, {{"g", "2", large}}).error, Errc::message_too_large);
  set(small, "MaximumMessageSize", "4096");
  EXPECT_EQ(publish(topic, {queue, small}, {{"g", "2", large}}).error, Errc::ok);
  EXPECT_EQ(take_all(queue), (std::vector<std::string>{"one", large}));
  EXPECT_EQ(take_all(small), (std::vector<std::string>{large}));
  // The topic goes.
  const ReplyTo to = reply();
  shard().topics().remove(topic, to);
  until([&] { return sink_.topics.contains(to.token); });
  EXPECT_EQ(publish(topic, {queue}, {{"g", "3", "three"}}, 1).error, Errc::topic_not_found);
  crash_and_open();
  EXPECT_EQ(publish(topic, {queue}, {{"g", "3", "three"}}).error, Errc::topic_not_found);
}

}  // namespace
}  // namespace millrace::engine

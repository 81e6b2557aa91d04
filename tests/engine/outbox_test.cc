// Outboxes: there while a subscription by http is confirmed, through restarts, and for nobody who
// does not ask for one.
#include "engine/outbox.h"

#include <fmt/format.h>

#include "engine/limits.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

class Outboxes : public SimEngineTest {
 protected:
  TopicId made(std::string_view name, const TopicSettings& settings = {}) {
    return ask([&](ReplyTo to) { topics().create(name, settings, to); }).topics.at(0).id;
  }
  RecordingSink::Topics subscribe(TopicId topic, std::string_view endpoint) {
    return ask([&](ReplyTo to) {
      topics().subscribe(
          {.topic = topic, .protocol = "http", .endpoint = endpoint, .queue = {}, .token = "t"},
          to);
    });
  }
  SubscriptionId confirmed(TopicId topic, std::string_view endpoint = "http://a/") {
    const SubscriptionId id = subscribe(topic, endpoint).subscriptions.at(0).id;
    ask([&](ReplyTo to) { topics().confirm(id, false, to); });
    return id;
  }
  Errc publish(SubscriptionId subscription, std::string_view body, uint16_t at = 0) {
    Batch batch;
    batch.add(body);
    const PublishCopy copy{outbox_id(subscription), subscription, 1, {}};
    const ReplyTo to = reply();
    shard(at).publish({TopicId{77}, 1, batch.bytes(), {}, {&copy, 1}}, to);
    until([&] { return sink_.sends.contains(to.token); });
    return sink_.sends[to.token].error;
  }
  std::vector<Got> take(SubscriptionId subscription, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).receive({.queue = outbox_id(subscription),
                       .messages_max = 10,
                       .visibility_ms = 1'000,
                       .wait_ms = 0,
                       .outbox = true},
                      to);
    until([&] { return sink_.receives.contains(to.token); });
    error_ = sink_.receives[to.token][0].error;
    return sink_.receives[to.token][0].messages;
  }

  Errc error_ = Errc::ok;
};

TEST_F(Outboxes, AreThereFromTheConfirmationToTheEnd) {
  options_.shards = 2;
  open();
  const TopicId topic = made("orders");
  const SubscriptionId id = subscribe(topic, "http://a/").subscriptions.at(0).id;
  EXPECT_EQ(publish(id, "early"), Errc::queue_not_found);
  ask([&](ReplyTo to) { topics().confirm(id, false, to); });
  EXPECT_EQ(publish(id, "first", 0), Errc::ok);
  EXPECT_EQ(publish(id, "second", 1), Errc::ok);
  // From any shard, as of any queue.
  std::set<std::string> got;
  for (int i = 0; i < 2; ++i)
    for (const Got& one : take(id, 1))
      got.insert(one.body);
  EXPECT_EQ(got, (std::set<std::string>{"first", "second"}));
  ask([&](ReplyTo to) { topics().unsubscribe(id, to); });
  take(id);
  EXPECT_EQ(error_, Errc::queue_not_found);
  EXPECT_EQ(publish(id, "late"), Errc::queue_not_found);
}

TEST_F(Outboxes, SurviveAKillWithTheirMessages) {
  open();
  const TopicId topic = made("orders");
  const SubscriptionId id = confirmed(topic);
  const SubscriptionId other = confirmed(topic, "http://b/");
  EXPECT_EQ(publish(id, "kept"), Errc::ok);
  EXPECT_EQ(publish(other, "dropped"), Errc::ok);
  ask([&](ReplyTo to) { topics().unsubscribe(other, to); });
  kill();
  open();
  const std::vector<Got> got = take(id);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].body, "kept");
  take(other);
  EXPECT_EQ(error_, Errc::queue_not_found);
  // A topic takes those of its subscriptions with it.
  ask([&](ReplyTo to) { topics().remove(topic, to); });
  take(id);
  EXPECT_EQ(error_, Errc::queue_not_found);
  kill();
  open();
  take(id);
  EXPECT_EQ(error_, Errc::queue_not_found);
}

TEST_F(Outboxes, AreNobodysQueues) {
  open();
  const SubscriptionId id = confirmed(made("orders"));
  const QueueId queue = outbox_id(id);
  EXPECT_EQ(publish(id, "secret"), Errc::ok);
  EXPECT_EQ(shard().find_queue(queue), nullptr);
  EXPECT_EQ(shard().find_queue(std::string_view()), nullptr);
  const ReplyTo list = reply();
  shard().list_queues("", "", 10, list);
  EXPECT_TRUE(sink_.queues[list.token].empty());
  const auto queue_error = [&](auto&& ask) {
    const ReplyTo to = reply();
    ask(to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    return sink_.queue_errors[to.token];
  };
  EXPECT_EQ(queue_error([&](ReplyTo to) { shard().purge_queue(queue, to); }),
            Errc::queue_not_found);
  EXPECT_EQ(queue_error([&](ReplyTo to) { shard().delete_queue(queue, to); }),
            Errc::queue_not_found);
  EXPECT_EQ(queue_error([&](ReplyTo to) { shard().set_queue(queue, {}, to); }),
            Errc::queue_not_found);
  EXPECT_EQ(queue_error([&](ReplyTo to) {
              shard().queue_stats({&queue, 1}, to);
            }),
            Errc::queue_not_found);
  const ReplyTo sent = reply();
  shard().send(Batch().add("mine").to(queue), sent);
  EXPECT_EQ(sink_.sends[sent.token].error, Errc::queue_not_found);
  const ReplyTo received = reply();
  shard().receive({.queue = queue, .wait_ms = 0}, received);
  EXPECT_EQ(sink_.receives[received.token].at(0).error, Errc::queue_not_found);
  EXPECT_EQ(shard().subscribe({.queue = queue}, 1, reply()).error(), Errc::queue_not_found);
  const ReplyTo moved = reply();
  shard().start_move({.source = queue}, moved);
  until([&] { return sink_.move_errors.contains(moved.token); });
  EXPECT_EQ(sink_.move_errors[moved.token], Errc::queue_not_found);
  const ReplyTo peeked = reply();
  shard().peek({.queue = queue}, peeked);
  EXPECT_TRUE(sink_.peeks[peeked.token].empty());
  EXPECT_EQ(take(id).size(), 1u);
}

TEST_F(Outboxes, AreListedAndTheirChangesCounted) {
  open();
  const TopicId topic = made("orders");
  const auto listed = [&] {
    std::vector<SubscriptionInfo> found;
    topics().list_outboxes(&found);
    return found.size();
  };
  const SubscriptionId id = subscribe(topic, "http://a/").subscriptions.at(0).id;
  EXPECT_EQ(listed(), 0u);
  const uint64_t before = topics().outbox_changes();
  ask([&](ReplyTo to) { topics().confirm(id, false, to); });
  EXPECT_EQ(listed(), 1u);
  EXPECT_GT(topics().outbox_changes(), before);
  ask([&](ReplyTo to) { topics().remove(topic, to); });
  EXPECT_EQ(listed(), 0u);
}

TEST_F(Outboxes, AFifoTopicHasNone) {
  open();
  const TopicId topic = made("orders.fifo", {.attributes = {{"FifoTopic", "true"}}});
  const auto answer = subscribe(topic, "http://a/");
  EXPECT_EQ(answer.error, Errc::invalid_argument);
  EXPECT_EQ(answer.detail,
            "Invalid parameter: Endpoint Reason: a FIFO topic delivers to queues only");
}

}  // namespace
}  // namespace millrace::engine

// Outboxes emptied into endpoints, on a broker with simulated disks and in its time.
#include "net/delivery/courier.h"

#include "base/uuid.h"
#include "millrace/properties.h"
#include "net/topics/envelope.h"
#include "tests/engine/sim_engine_harness.h"
#include "tests/net/delivery/tiny_server.h"
#include "tests/support/patience.h"

namespace millrace::net::delivery {
namespace {

using engine::Batch;

class CourierTest : public engine::SimEngineTest {
 protected:
  void TearDown() override {
    couriers_.clear();
    poster_.reset();
    SimEngineTest::TearDown();
  }
  void start(uint16_t shards = 1) {
    options_.shards = shards;
    open();
    poster_ = std::make_unique<Poster>(reach_of("127.0.0.0/8"), "");
    make_couriers();
  }
  void make_couriers() {
    couriers_.clear();
    for (uint16_t i = 0; i < options_.shards; ++i)
      couriers_.push_back(std::make_unique<Courier>(
          CourierParts{.port = shard(i),
                       .shards = options_.shards,
                       .poster = *poster_,
                       .wake = [] {},
                       .may_deliver = [](const QueueInfo&, std::string_view) { return true; },
                       .figures = &figures_}));
  }
  SubscriptionInfo subscribe(const std::string& url, std::vector<NamedText> attributes = {}) {
    if (topic_ == TopicId{})
      topic_ = ask([&](ReplyTo to) { topics().create("orders", {}, to); }).topics.at(0).id;
    const auto made = ask([&](ReplyTo to) {
      topics().subscribe({.topic = topic_,
                          .protocol = "http",
                          .endpoint = url,
                          .queue = {},
                          .settings = {.attributes = std::move(attributes)},
                          .token = "t"},
                         to);
    });
    EXPECT_EQ(made.error, Errc::ok) << made.detail;
    const SubscriptionInfo one = made.subscriptions.at(0);
    ask([&](ReplyTo to) { topics().confirm(one.id, false, to); });
    return one;
  }
  void publish(const SubscriptionInfo& subscription, std::string_view text, uint16_t at = 0) {
    const topics::Envelope envelope =
        topics::make_envelope({.message_id = "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                               .topic_arn = "arn:aws:sns:us-east-1:000000000000:orders",
                               .message = text,
                               .timestamp = "2025-01-02T03:04:05.678Z",
                               .base_url = "http://127.0.0.1:9324"},
                              nullptr);
    Batch batch;
    batch.add(envelope.text);
    const PublishCopy copy{outbox_id(subscription.id), subscription.id, 1, subscription.uuid};
    const auto stamp = static_cast<uint32_t>(envelope.uuid_at);
    const ReplyTo to = reply();
    shard(at).publish({topic_, 1, batch.bytes(), {&stamp, 1}, {&copy, 1}}, to);
    until([&] { return sink_.sends.contains(to.token); });
    EXPECT_EQ(sink_.sends[to.token].error, Errc::ok);
  }
  // A millisecond of the broker's and of ours, until it is done.
  template <class Done>
  void drive(Done&& done) {
    Patience patience;
    while (!done() && patience.nap()) {
      turns(1);
      for (const auto& courier : couriers_)
        courier->turn();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(done());
  }
  size_t under_way() const {
    size_t sum = 0;
    for (const auto& courier : couriers_)
      sum += courier->under_way();
    return sum;
  }
  uint64_t left(const SubscriptionInfo& subscription) {
    uint64_t sum = 0;
    for (uint16_t i = 0; i < options_.shards; ++i) {
      const ReplyTo to = reply();
      shard(i).receive({.queue = outbox_id(subscription.id), .wait_ms = 0, .outbox = true}, to);
      until([&] { return sink_.receives.contains(to.token); });
      sum += sink_.receives[to.token][0].messages.size();
    }
    return sum;
  }

  topics::PublishFigures figures_;
  std::unique_ptr<Poster> poster_;
  std::vector<std::unique_ptr<Courier>> couriers_;
  TopicId topic_{};
};

TEST_F(CourierTest, DeliversFromAllShards) {
  start(2);
  TinyServer server(kTaken);
  const SubscriptionInfo one = subscribe(server.url());
  for (int i = 0; i < 20; ++i)
    publish(one, fmt::format("message {}", i), static_cast<uint16_t>(i % 2));
  drive([&] { return figures_.posted == 20 && under_way() == 0; });
  std::set<std::string> bodies;
  for (const std::string& request : server.requests()) {
    const std::string body = request.substr(request.find("\r\n\r\n") + 4);
    EXPECT_NE(body.find("SubscriptionArn=arn:aws:sns:us-east-1:000000000000:orders:" +
                        base::uuid_text(one.uuid)),
              std::string::npos);
    bodies.insert(body);
  }
  EXPECT_EQ(bodies.size(), 20u);
  EXPECT_EQ(left(one), 0u);
}

TEST_F(CourierTest, TriesAgainAsThePolicySaysAndThenGivesUp) {
  start();
  TinyServer server(kFails);
  const QueueId dead = create("dead");
  const SubscriptionInfo one = subscribe(
      server.url(),
      {{"DeliveryPolicy",
        R"({"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":2}})"},
       {"RedrivePolicy", R"({"deadLetterTargetArn":"dead"})"}});
  publish(one, "never");
  drive([&] { return figures_.post_retried == 1 && under_way() == 0; });
  // Nothing is tried before its time has come.
  for (int i = 0; i < 50; ++i) {
    turns(10);
    couriers_[0]->turn();
  }
  EXPECT_EQ(server.requests().size(), 1u);
  drive([&] { return figures_.post_redriven == 1 && under_way() == 0; });
  EXPECT_EQ(server.requests().size(), 3u);
  EXPECT_EQ(figures_.post_retried, 2u);
  const auto bodies = all_of(dead);
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_TRUE(server.requests()[0].ends_with(*bodies.begin()));
  EXPECT_EQ(left(one), 0u);
}

TEST_F(CourierTest, CountsTriesAcrossAKill) {
  start();
  TinyServer server(kFails);
  const SubscriptionInfo one = subscribe(
      server.url(),
      {{"DeliveryPolicy",
        R"({"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":3}})"}});
  publish(one, "never");
  drive([&] { return figures_.post_retried == 2 && under_way() == 0; });
  couriers_.clear();
  kill();
  open();
  make_couriers();
  drive([&] { return figures_.post_dropped == 1 && under_way() == 0; });
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST_F(CourierTest, KeepsTheLeaseOfWhatIsUnderWay) {
  start();
  TinyServer server(kTaken, true);
  const SubscriptionInfo one = subscribe(server.url());
  publish(one, "slow");
  until([&] {
    couriers_[0]->turn();
    return couriers_[0]->under_way() == 1;
  });
  // Four times as long as a lease lasts.
  for (int i = 0; i < 12; ++i) {
    environment_.advance(9'900);
    turns(2);
    couriers_[0]->turn();
    turns(2);
    EXPECT_EQ(left(one), 0u) << i;
  }
  server.release();
  drive([&] { return figures_.posted == 1 && under_way() == 0; });
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(CourierTest, ASubscriptionThatEndsTakesItsMessagesWithIt) {
  start();
  TinyServer server(kFails);
  const SubscriptionInfo one = subscribe(server.url());
  publish(one, "never");
  drive([&] { return figures_.post_retried == 1 && under_way() == 0; });
  ask([&](ReplyTo to) { topics().unsubscribe(one.id, to); });
  for (int i = 0; i < 100; ++i) {
    environment_.advance(1'000);
    turns(1);
    couriers_[0]->turn();
  }
  EXPECT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(couriers_[0]->under_way(), 0u);
}

TEST_F(CourierTest, EndsWhatNobodyConfirmsForTwoDays) {
  start();
  TinyServer server(kTaken);
  const SubscriptionInfo confirmed = subscribe(server.url("/a"));
  const auto made = ask([&](ReplyTo to) {
    topics().subscribe({.topic = topic_,
                        .protocol = "http",
                        .endpoint = server.url("/b"),
                        .queue = {},
                        .token = "t"},
                       to);
  });
  const SubscriptionId pending = made.subscriptions.at(0).id;
  const auto pass = [&](int64_t ms) {
    environment_.advance(ms);
    turns(2);
    for (int i = 0; i < 20; ++i) {
      couriers_[0]->turn();
      turns(1);
    }
  };
  pass(47 * 3'600'000);
  EXPECT_NE(topics().find(pending), nullptr);
  pass(2 * 3'600'000);
  EXPECT_EQ(topics().find(pending), nullptr);
  EXPECT_NE(topics().find(confirmed.id), nullptr);
}

}  // namespace
}  // namespace millrace::net::delivery

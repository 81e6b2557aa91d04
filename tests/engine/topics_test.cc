// Topics and subscriptions in the catalog: what is taken, what is refused and in which words, and
// that all of it is there again after a restart, a crash and cleaning.
#include "engine/topics.h"

#include <fmt/format.h>

#include "engine/limits.h"
#include "engine/topic_attributes.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

class TopicsTest : public SimEngineTest {
 protected:
  TopicsTest() { options_.durability = Durability::none; }

  RecordingSink::Topics create_topic(std::string_view name, const TopicSettings& settings = {}) {
    return ask([&](ReplyTo to) { topics().create(name, settings, to); });
  }
  TopicId made(std::string_view name, const TopicSettings& settings = {}) {
    const auto answer = create_topic(name, settings);
    EXPECT_EQ(answer.error, Errc::ok) << answer.detail;
    return answer.topics.empty() ? TopicId{} : answer.topics[0].id;
  }
  RecordingSink::Topics subscribe(TopicId topic, std::string_view queue,
                                  const TopicSettings& settings = {}) {
    const std::string endpoint = fmt::format("arn:aws:sqs:us-east-1:000000000000:{}", queue);
    return ask([&](ReplyTo to) {
      topics().subscribe({.topic = topic,
                          .protocol = "sqs",
                          .endpoint = endpoint,
                          .queue = queue,
                          .settings = settings},
                         to);
    });
  }
  static TopicSettings with(std::string name, std::string value) {
    return {.attributes = {{std::move(name), std::move(value)}}};
  }
  // All there is, as one text a line.
  std::string known(uint16_t at = 0) {
    std::string text;
    std::vector<TopicInfo> found;
    topics(at).list("", UINT32_MAX, &found);
    for (const TopicInfo& topic : found) {
      text += fmt::format("{} {} {} {}+{}", raw(topic.id), topic.name, raw(topic.home),
                          topic.confirmed, topic.pending);
      for (const NamedText& entry : topic_attribute_texts(topic.attributes))
        text += fmt::format(" {}={}", entry.name, entry.value);
      for (const NamedText& tag : topic.attributes.tags)
        text += fmt::format(" #{}={}", tag.name, tag.value);
      text += '\n';
    }
    std::vector<SubscriptionInfo> subscribed;
    topics(at).list(TopicId{}, SubscriptionId{}, UINT32_MAX, &subscribed);
    for (const SubscriptionInfo& subscription : subscribed) {
      text +=
          fmt::format("{} of {} {} {} {} {} {} {}", raw(subscription.id), raw(subscription.topic),
                      subscription.protocol, subscription.endpoint, subscription.queue,
                      subscription.token, subscription.pending, fmt::join(subscription.uuid, ""));
      for (const NamedText& entry : subscription_attribute_texts(subscription.attributes))
        text += fmt::format(" {}={}", entry.name, entry.value);
      text += '\n';
    }
    return text;
  }
};

TEST_F(TopicsTest, AreCreatedOnceAndFoundOnEveryShard) {
  options_.shards = 2;
  open();
  const TopicId topic =
      made("orders", {.attributes = {{"DisplayName", "Orders"}}, .tags = {{"env", "prod"}}});
  EXPECT_EQ(made("orders"), topic);
  EXPECT_EQ(made("orders", with("DisplayName", "Orders")), topic);
  EXPECT_EQ(made("orders", {.tags = {{"env", "prod"}}}), topic);
  const auto other = create_topic("orders", with("DisplayName", "Others"));
  EXPECT_EQ(other.error, Errc::topic_exists);
  EXPECT_EQ(other.detail, "Attributes Reason: Topic already exists with different attributes");
  const auto tagged = create_topic("orders", {.tags = {{"env", "test"}}});
  EXPECT_EQ(tagged.error, Errc::topic_exists);
  EXPECT_EQ(tagged.detail, "Tags Reason: Topic already exists with different tags");
  for (const uint16_t at : {uint16_t{0}, uint16_t{1}}) {
    ASSERT_NE(topics(at).find("orders"), nullptr);
    EXPECT_EQ(topics(at).find(topic)->attributes.tags.size(), 1u);
  }
  EXPECT_EQ(known(0), known(1));
}

TEST_F(TopicsTest, NamesAndAttributesHaveBounds) {
  open();
  for (const std::string_view name : {"", "a b", "a.b", "x.fifo", "../x", "\xC3\xA4"}) {
    const auto answer = create_topic(name);
    EXPECT_EQ(answer.error, Errc::invalid_argument) << name;
    EXPECT_EQ(answer.detail, "Topic Name") << name;
  }
  EXPECT_EQ(create_topic(std::string(257, 'a')).detail, "Topic Name");
  made(std::string(256, 'a'));
  EXPECT_EQ(create_topic("x", with("FifoTopic", "true")).detail, "Topic Name");
  EXPECT_EQ(create_topic("x", with("Nonsense", "1")).detail, "AttributeName");
  EXPECT_EQ(create_topic("x", with("FifoTopic", "yes")).detail,
            "FifoTopic: Invalid value [yes]. Must be true or false.");
  EXPECT_EQ(create_topic("x", with("MaximumMessageSize", "1023")).detail,
            "MaximumMessageSize: Invalid value [1023]. It may be 1024 to 1048576");
  EXPECT_EQ(create_topic("x", with("SignatureVersion", "3")).detail,
            "SignatureVersion: Invalid value [3]");
  EXPECT_EQ(create_topic("x", with("DisplayName", std::string(101, 'd'))).error,
            Errc::invalid_argument);
  EXPECT_EQ(create_topic("x", with("ContentBasedDeduplication", "true")).detail,
            "ContentBasedDeduplication: it is for FIFO topics");
  const TopicId fifo = made("x.fifo", with("FifoTopic", "true"));
  const auto set = ask([&](ReplyTo to) { topics().set(fifo, with("FifoTopic", "true"), to); });
  EXPECT_EQ(set.detail, "AttributeName");
}

TEST_F(TopicsTest, EndpointsAreSubscribedOnce) {
  open();
  const TopicId topic = made("orders");
  const auto first = subscribe(topic, "jobs", with("RawMessageDelivery", "true"));
  ASSERT_EQ(first.error, Errc::ok) << first.detail;
  ASSERT_EQ(first.subscriptions.size(), 1u);
  const SubscriptionInfo made = first.subscriptions[0];
  EXPECT_EQ(made.uuid[6] >> 4, 4);
  EXPECT_EQ(subscribe(topic, "jobs").subscriptions.at(0).id, made.id);
  const auto other = subscribe(topic, "jobs", with("RawMessageDelivery", "false"));
  EXPECT_EQ(other.error, Errc::subscription_exists);
  EXPECT_EQ(other.detail,
            "Attributes Reason: Subscription already exists with different attributes");
  EXPECT_EQ(topics().find(made.uuid), topics().find(made.id));
  EXPECT_EQ(topics().find(topic)->confirmed, 1u);
  EXPECT_EQ(subscribe(TopicId{99}, "jobs").error, Errc::topic_not_found);
  const auto gone = ask([&](ReplyTo to) { topics().unsubscribe(made.id, to); });
  EXPECT_EQ(gone.error, Errc::ok);
  EXPECT_EQ(topics().find(made.uuid), nullptr);
  EXPECT_EQ(topics().find(topic)->confirmed, 0u);
  EXPECT_NE(subscribe(topic, "jobs").subscriptions.at(0).id, made.id);
}

TEST_F(TopicsTest, WhatDoesNotSuitAQueueIsRefused) {
  open();
  const TopicId standard = made("standard");
  const TopicId fifo = made("ordered.fifo", with("FifoTopic", "true"));
  EXPECT_EQ(subscribe(standard, "jobs.fifo").detail,
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard "
            "SNS topics");
  EXPECT_EQ(subscribe(fifo, "jobs").error, Errc::ok);
  const auto dead = [](std::string_view queue) {
    return with(
        "RedrivePolicy",
        fmt::format(R"({{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:{}"}})", queue));
  };
  EXPECT_EQ(subscribe(fifo, "jobs.fifo", dead("failed")).detail,
            "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.");
  EXPECT_EQ(subscribe(fifo, "jobs.fifo", dead("failed.fifo")).error, Errc::ok);
  EXPECT_EQ(subscribe(standard, "jobs", with("RedrivePolicy", R"({"deadLetterTargetArn":"arn:x"})"))
                .detail,
            "RedrivePolicy: deadLetterTargetArn is an invalid arn");
}

TEST_F(TopicsTest, FiltersAreReadWhenTheyAreSet) {
  open();
  const TopicId topic = made("orders");
  EXPECT_EQ(subscribe(topic, "jobs", with("FilterPolicy", R"({"a":[]})")).detail,
            "FilterPolicy: Empty arrays are not allowed");
  const auto nested = R"({"a":{"b":["c"]}})";
  EXPECT_EQ(subscribe(topic, "jobs", with("FilterPolicy", nested)).error, Errc::invalid_argument);
  const auto made =
      subscribe(topic, "jobs",
                {.attributes = {{"FilterPolicy", nested}, {"FilterPolicyScope", "MessageBody"}}});
  ASSERT_EQ(made.error, Errc::ok) << made.detail;
  const SubscriptionId id = made.subscriptions.at(0).id;
  const auto set = [&](const TopicSettings& settings) {
    return ask([&](ReplyTo to) { topics().set(id, settings, to); });
  };
  EXPECT_EQ(set(with("FilterPolicyScope", "MessageAttributes")).detail,
            "Filter policy scope MessageAttributes does not support nested filter policy");
  EXPECT_EQ(set(with("FilterPolicy", "")).error, Errc::ok);
  EXPECT_EQ(topics().find(id)->attributes.filter_policy, "");
  EXPECT_EQ(set(with("FilterPolicyScope", "MessageAttributes")).error, Errc::ok);
}

TEST_F(TopicsTest, PendingOnesAreConfirmed) {
  open();
  const TopicId topic = made("orders");
  const auto made = ask([&](ReplyTo to) {
    topics().subscribe({.topic = topic,
                        .protocol = "https",
                        .endpoint = "https://example.org/hook",
                        .queue = {},
                        .token = "secret"},
                       to);
  });
  ASSERT_EQ(made.error, Errc::ok) << made.detail;
  EXPECT_TRUE(made.subscriptions.at(0).pending);
  EXPECT_EQ(topics().find(topic)->pending, 1u);
  const auto confirmed =
      ask([&](ReplyTo to) { topics().confirm(made.subscriptions[0].id, true, to); });
  EXPECT_FALSE(confirmed.subscriptions.at(0).pending);
  EXPECT_TRUE(confirmed.subscriptions[0].authenticated_unsubscribe);
  EXPECT_EQ(topics().find(topic)->pending, 0u);
  EXPECT_EQ(topics().find(topic)->confirmed, 1u);
}

TEST_F(TopicsTest, ATopicTakesItsSubscriptionsWithIt) {
  open();
  const TopicId topic = made("orders");
  const TopicId other = made("others");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(subscribe(topic, fmt::format("q{}", i)).error, Errc::ok);
    EXPECT_EQ(subscribe(other, fmt::format("q{}", i)).error, Errc::ok);
  }
  EXPECT_EQ(ask([&](ReplyTo to) { topics().remove(topic, to); }).error, Errc::ok);
  EXPECT_EQ(ask([&](ReplyTo to) { topics().remove(topic, to); }).error, Errc::topic_not_found);
  std::vector<SubscriptionInfo> left;
  topics().list(TopicId{}, SubscriptionId{}, 100, &left);
  ASSERT_EQ(left.size(), 5u);
  for (const SubscriptionInfo& subscription : left)
    EXPECT_EQ(subscription.topic, other);
  const std::string before = known();
  kill();
  open();
  EXPECT_EQ(known(), before);
}

// All at once, as the disk here is quick and its turns are not.
TEST_F(TopicsTest, NoMoreThanABrokerMayHave) {
  options_.segment_bytes = 64u << 20;
  open();
  const auto all = [&](uint32_t count, auto&& ask_one) {
    const uint64_t first = token_ + 1;
    for (uint32_t i = 0; i < count; ++i) {
      ask_one(i, reply());
      if (i % 500 == 499) turns(4);
    }
    until([&] { return sink_.topics.contains(token_); });
    turns(100);
    uint32_t good = 0;
    for (uint64_t token = first; token <= token_; ++token)
      good += sink_.topics[token].error == Errc::ok;
    const auto last = sink_.topics[token_];
    sink_.topics.clear();
    return std::pair{good, fmt::format("{} {}", errc_name(last.error), last.detail)};
  };
  const auto topics_made = all(kTopicsMax + 1, [&](uint32_t i, ReplyTo to) {
    topics().create(fmt::format("topic-{}", i), {}, to);
  });
  EXPECT_EQ(topics_made,
            (std::pair{kTopicsMax, std::string("over_limit there may be 10000 topics")}));
  const TopicId topic = topics().find("topic-0")->id;
  const auto outside = all(kOutboxesMax + 1, [&](uint32_t i, ReplyTo to) {
    topics().subscribe({.topic = topic,
                        .protocol = "https",
                        .endpoint = fmt::format("https://example.com/{}", i),
                        .queue = {},
                        .token = "t"},
                       to);
  });
  EXPECT_EQ(outside, (std::pair{kOutboxesMax, std::string("over_limit there may be 10000 "
                                                          "subscriptions by http and https")}));
  const auto queues = all(kSubscriptionsMax - kOutboxesMax + 1, [&](uint32_t i, ReplyTo to) {
    const std::string queue = fmt::format("q{}", i);
    topics().subscribe({.topic = topic, .protocol = "sqs", .endpoint = queue, .queue = queue}, to);
  });
  EXPECT_EQ(queues, (std::pair{kSubscriptionsMax - kOutboxesMax,
                               std::string("over_limit there may be 100000 subscriptions")}));
}

TEST_F(TopicsTest, NoMoreThanATopicMayHave) {
  open();
  const TopicId fifo = made("ordered.fifo", with("FifoTopic", "true"));
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(subscribe(fifo, fmt::format("q{}.fifo", i)).error, Errc::ok);
  EXPECT_EQ(subscribe(fifo, "one-more.fifo").error, Errc::over_limit);
  const TopicId topic = made("orders");
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(subscribe(topic, fmt::format("q{}", i), with("FilterPolicy", R"({"a":["b"]})")).error,
              Errc::ok);
  EXPECT_EQ(subscribe(topic, "more", with("FilterPolicy", R"({"a":["b"]})")).error,
            Errc::over_limit);
  EXPECT_EQ(subscribe(topic, "more").error, Errc::ok);
}

// Changes without end: the catalog's segments are cleaned many times, and its topics are written
// again behind subscriptions that stand before them.
TEST_F(TopicsTest, AreThereAfterCleaningCrashesAndRestarts) {
  open();
  std::vector<TopicId> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(made(fmt::format("t{}", i), {.tags = {{"n", std::to_string(i)}}}));
    for (int k = 0; k < 6; ++k)
      ASSERT_EQ(subscribe(all.back(), fmt::format("q{}", k),
                          with("FilterPolicy", fmt::format(R"({{"k":["{}"]}})", k)))
                    .error,
                Errc::ok);
  }
  const std::string document = R"({"pad":")" + std::string(8'000, 'p') + R"("})";
  for (int round = 0; round < 300; ++round) {
    const TopicId topic = all[static_cast<size_t>(round) % all.size()];
    const auto changed = ask([&](ReplyTo to) {
      topics().set(topic,
                   {.attributes = {{"DeliveryPolicy", document},
                                   {"DisplayName", fmt::format("round {}", round)}}},
                   to);
    });
    ASSERT_EQ(changed.error, Errc::ok) << changed.detail;
    if (round % 20 != 7) continue;
    const std::string before = known();
    if (round % 40 == 7) {
      image_.crash(prng_);
      environment_.forget_disks();
      broker_.reset();
    } else {
      kill();
    }
    open();
    ASSERT_EQ(known(), before) << round;
  }
  const TopicId next = made("last");
  for (const TopicId topic : all)
    EXPECT_LT(raw(topic), raw(next));
}

}  // namespace
}  // namespace millrace::engine

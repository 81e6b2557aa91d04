// Definitions of queues: what a file says, and what is done so that it is so.
#include "tools/common/definitions.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/queue_attributes.h"
#include "engine/topic_attributes.h"
#include "tools/common/definition_run.h"

namespace millrace::tools {
namespace {

using Kind = DefinitionOutcome::Kind;

Definitions parse_all(const std::string& text) {
  Definitions read;
  std::string why;
  EXPECT_TRUE(parse_definitions(text, "f.toml", read, &why)) << why;
  return read;
}
std::vector<QueueDefinition> parse(const std::string& text) {
  return parse_all(text).queues;
}

// A broker's queues in memory, which refuses what a broker would.
class FakeAdmin final : public QueueAdmin, public TopicAdmin {
 public:
  bool list(std::map<std::string, QueueAttributes>& to, std::string*) override {
    to = queues;
    return true;
  }
  bool create(const std::string& name, const QueueSettings& settings, std::string* why) override {
    calls.push_back("create " + name);
    return put(name, {}, settings, true, why);
  }
  bool set(const std::string& name, const QueueSettings& settings, std::string* why) override {
    calls.push_back("set " + name);
    return put(name, queues.at(name), settings, false, why);
  }

  bool list_topics(std::map<std::string, KnownTopic>& to, std::string*) override {
    to = topics;
    return true;
  }
  bool create_topic(const std::string& name, const TopicSettings& settings,
                    std::string* why) override {
    calls.push_back("create topic " + name);
    return engine::apply_topic_settings(settings, true, &topics[name].attributes, why).has_value();
  }
  bool set_topic(const std::string& name, const TopicSettings& settings,
                 std::string* why) override {
    calls.push_back("set topic " + name);
    return engine::apply_topic_settings(settings, false, &topics.at(name).attributes, why)
        .has_value();
  }
  bool subscribe(const std::string& topic, const SubscriptionDefinition& subscription,
                 std::string* why) override {
    calls.push_back("subscribe " + subscription.queue + " to " + topic);
    return put(topic, subscription, why);
  }
  bool set_subscription(const std::string& topic, const SubscriptionDefinition& subscription,
                        std::string* why) override {
    calls.push_back("set " + subscription.queue + " of " + topic);
    return put(topic, subscription, why);
  }

  std::map<std::string, QueueAttributes> queues;
  std::map<std::string, KnownTopic> topics;
  std::vector<std::string> calls;
  size_t calls_max = 1000;

 private:
  bool put(const std::string& topic, const SubscriptionDefinition& subscription, std::string* why) {
    if (calls.size() > calls_max) {
      *why = "the disk is full";
      return false;
    }
    return engine::apply_subscription_settings({.attributes = subscription.attributes},
                                               &topics.at(topic).subscriptions[subscription.queue],
                                               why)
        .has_value();
  }
  bool put(const std::string& name, QueueAttributes attributes, const QueueSettings& settings,
           bool creates, std::string* why) {
    if (calls.size() > calls_max) {
      *why = "the disk is full";
      return false;
    }
    if (!engine::apply_settings(settings, creates, &attributes, why)) return false;
    const std::string& target = attributes.dead_letter_queue;
    if (!target.empty() && target != name && !queues.contains(target)) {
      *why = "there is no such queue";
      return false;
    }
    queues[name] = attributes;
    return true;
  }
};

class DefinitionRun : public testing::Test {
 protected:
  RunEnd run(const std::string& text, bool dry_run = false) {
    const auto definitions = parse_all(text);
    outcomes_.clear();
    why_.clear();
    admin_.calls.clear();
    return run_definitions(definitions, admin_, admin_, dry_run, outcomes_, &why_);
  }

  FakeAdmin admin_;
  std::vector<DefinitionOutcome> outcomes_;
  std::string why_;
};

constexpr const char* kTopics = R"(
[[topic]]
name = "orders"
attributes = { DisplayName = "Orders" }
tags = { team = "web" }
[[topic.subscription]]
queue = "jobs"
raw = true
filter = '{"event_type": ["order.created"]}'
dead_letter_queue = "lost"
[[topic.subscription]]
queue = "audit"
attributes = { FilterPolicyScope = "MessageBody", FilterPolicy = '{"a": {"b": [1]}}' }
[[topic]]
name = "events.fifo"
[[queue]]
name = "jobs"
)";

TEST_F(DefinitionRun, MakesTopicsAndTheirSubscriptionsBehindTheQueues) {
  ASSERT_EQ(run(kTopics), RunEnd::done) << why_;
  EXPECT_EQ(admin_.calls, (std::vector<std::string>{
                              "create jobs", "create topic orders", "subscribe jobs to orders",
                              "subscribe audit to orders", "create topic events.fifo"}));
  const KnownTopic& orders = admin_.topics.at("orders");
  EXPECT_TRUE(orders.subscriptions.at("jobs").raw);
  EXPECT_EQ(orders.subscriptions.at("jobs").dead_letter_queue, "lost");
  EXPECT_EQ(orders.subscriptions.at("audit").filter_scope, FilterScope::body);
  EXPECT_TRUE(admin_.topics.at("events.fifo").attributes.fifo);
  EXPECT_EQ(summary_of(outcomes_), "1 queue and 2 topics: 3 created, 0 changed, 0 as before");
  ASSERT_EQ(run(kTopics), RunEnd::done) << why_;
  EXPECT_TRUE(admin_.calls.empty());
  EXPECT_EQ(summary_of(outcomes_), "1 queue and 2 topics: 0 created, 0 changed, 3 as before");
}

TEST_F(DefinitionRun, SaysWhatChangesOfATopic) {
  ASSERT_EQ(run(kTopics), RunEnd::done) << why_;
  ASSERT_EQ(run("[[topic]]\nname = \"orders\"\nattributes = { DisplayName = \"\" }\n"
                "tags = { team = \"app\" }\n[[topic.subscription]]\nqueue = \"jobs\"\n"
                "raw = false\n[[topic.subscription]]\nqueue = \"new\"\n"),
            RunEnd::done)
      << why_;
  EXPECT_EQ(admin_.calls, (std::vector<std::string>{"set topic orders", "set jobs of orders",
                                                    "subscribe new to orders"}));
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_EQ(outcomes_[0].changes,
            (std::vector<std::string>{"DisplayName Orders -> none", "tag team web -> app",
                                      "subscription of jobs: RawMessageDelivery true -> false",
                                      "subscription of new made"}));
  EXPECT_FALSE(admin_.topics.at("orders").subscriptions.at("audit").filter_policy.empty());
}

TEST_F(DefinitionRun, ARefusalOfATopicSaysWhereItIs) {
  admin_.calls_max = 2;
  ASSERT_EQ(run(kTopics), RunEnd::refused);
  EXPECT_EQ(why_, "f.toml:2: topic 'orders': subscription of 'jobs': the disk is full");
  admin_.calls_max = 1000;
  ASSERT_EQ(run(kTopics), RunEnd::done) << why_;
  EXPECT_EQ(summary_of(outcomes_), "1 queue and 2 topics: 1 created, 1 changed, 1 as before");
}

TEST(Definitions, TopicsAreWrittenAsTheyAreRead) {
  const Definitions read = parse_all(kTopics);
  std::string text;
  for (const TopicDefinition& topic : read.topics)
    text += topic_definition_text(topic);
  const Definitions again = parse_all(text);
  ASSERT_EQ(again.topics.size(), 2u);
  EXPECT_EQ(again.topics[0].settings.attributes, read.topics[0].settings.attributes);
  EXPECT_EQ(again.topics[0].settings.tags, read.topics[0].settings.tags);
  ASSERT_EQ(again.topics[0].subscriptions.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    SubscriptionAttributes first, second;
    std::string why;
    EXPECT_TRUE(engine::apply_subscription_settings(
        {.attributes = read.topics[0].subscriptions[i].attributes}, &first, &why));
    EXPECT_TRUE(engine::apply_subscription_settings(
        {.attributes = again.topics[0].subscriptions[i].attributes}, &second, &why));
    EXPECT_EQ(first, second);
  }
}

TEST(Definitions, AFaultOfATopicHasItsLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"[[topic]]\n", "f.toml:1: a topic must have a name, a text"},
      {"[[topic]]\nname = \"a b\"\n",
       "f.toml:1: 'a b' can't be the name of a topic: 1 to 256 of A-Z a-z 0-9 _ -, and of a FIFO "
       "topic .fifo at the end"},
      {"[[topic]]\nname = \"t\"\nqueue = 1\n",
       "f.toml:3: unknown key \"queue\": there may be name, fifo, attributes, tags, subscription"},
      {"[[topic]]\nname = \"t\"\nfifo = true\n",
       "f.toml:3: fifo is true, but the name 't' does not end in .fifo"},
      {"[[topic]]\nname = \"t\"\nattributes = { DelaySeconds = 1 }\n",
       "f.toml:3: unknown attribute \"DelaySeconds\""},
      {"[[topic]]\nname = \"t\"\n[[topic.subscription]]\nraw = true\n",
       "f.toml:3: a subscription must have a queue, a text"},
      {"[[topic]]\nname = \"t\"\n[[topic.subscription]]\nqueue = \"q\"\nraw = 1\n",
       "f.toml:5: raw must be true or false"},
      {"[[topic]]\nname = \"t\"\n[[topic.subscription]]\nqueue = \"q\"\n"
       "[[topic.subscription]]\nqueue = \"q\"\n",
       "f.toml:5: queue 'q' is subscribed to 't' twice"},
      {"[[topic]]\nname = \"t\"\n[[topic]]\nname = \"t\"\n", "f.toml:4: topic 't' is here twice"},
      {"topic = 1\n", "f.toml:1: topic must be tables, [[topic]]"},
      {"[[topics]]\n", "f.toml:1: unknown \"topics\": there may be [[queue]] and [[topic]]"},
  };
  for (const auto& [text, expected] : cases) {
    Definitions to;
    std::string why;
    EXPECT_FALSE(parse_definitions(text, "f.toml", to, &why));
    EXPECT_EQ(why, expected);
  }
  Definitions to;
  std::string why;
  EXPECT_FALSE(
      parse_definitions("[[topic]]\nname = \"t\"\n[[topic.subscription]]\n"
                        "queue = \"q\"\nfilter = '{\"a\": 1}'\n",
                        "f.toml", to, &why));
  EXPECT_TRUE(why.starts_with("f.toml:3: subscription of 'q': ")) << why;
}

constexpr const char* kRing = R"(
[[queue]]
name = "a"
dead_letter_queue = "b"
max_receives = 3
[[queue]]
name = "b"
dead_letter_queue = "a"
max_receives = 4
attributes = { VisibilityTimeout = 5 }
)";

TEST_F(DefinitionRun, MakesQueuesThatNameEachOther) {
  ASSERT_EQ(run(kRing), RunEnd::done) << why_;
  EXPECT_EQ(admin_.calls, (std::vector<std::string>{"create a", "create b", "set a", "set b"}));
  EXPECT_EQ(admin_.queues["b"].dead_letter_queue, "a");
  EXPECT_EQ(admin_.queues["b"].visibility_timeout_ms, 5'000u);
  EXPECT_EQ(summary_of(outcomes_), "2 queues: 2 created, 0 changed, 0 as before");
}

TEST_F(DefinitionRun, TheSameFileAgainChangesNothing) {
  ASSERT_EQ(run(kRing), RunEnd::done);
  ASSERT_EQ(run(kRing), RunEnd::done);
  EXPECT_TRUE(admin_.calls.empty());
  EXPECT_EQ(summary_of(outcomes_), "2 queues: 0 created, 0 changed, 2 as before");
}

TEST_F(DefinitionRun, ADryRunDoesNothing) {
  ASSERT_EQ(run(kRing, true), RunEnd::done);
  EXPECT_TRUE(admin_.calls.empty());
  EXPECT_EQ(summary_of(outcomes_), "2 queues: 2 created, 0 changed, 0 as before");
}

TEST_F(DefinitionRun, SaysWhatChangesAndSetsNothingElse) {
  ASSERT_EQ(run(kRing), RunEnd::done);
  admin_.queues["b"].retention_ms = 60'000;
  ASSERT_EQ(run("[[queue]]\nname = \"b\"\nattributes = { VisibilityTimeout = 6 }\n"
                "tags = { t = \"x\" }\n"),
            RunEnd::done);
  EXPECT_EQ(admin_.calls, std::vector<std::string>{"set b"});
  EXPECT_EQ(outcomes_.front().kind, Kind::changed);
  EXPECT_EQ(outcomes_.front().changes,
            (std::vector<std::string>{"VisibilityTimeout 5 -> 6", "tag t -> x"}));
  EXPECT_EQ(admin_.queues["b"].retention_ms, 60'000u);
  EXPECT_EQ(admin_.queues["b"].dead_letter_queue, "a");
}

TEST_F(DefinitionRun, ARedrivePolicyCanBeTakenAway) {
  ASSERT_EQ(run(kRing), RunEnd::done);
  ASSERT_EQ(run("[[queue]]\nname = \"a\"\nattributes = { RedrivePolicy = \"\" }\n"), RunEnd::done);
  EXPECT_EQ(admin_.queues["a"].dead_letter_queue, "");
}

TEST_F(DefinitionRun, GoesOnWhereARefusalStoppedIt) {
  admin_.calls_max = 2;
  ASSERT_EQ(run(kRing), RunEnd::refused);
  EXPECT_EQ(why_, "f.toml:2: queue 'a': the disk is full");
  admin_.calls_max = 1000;
  ASSERT_EQ(run(kRing), RunEnd::done);
  EXPECT_EQ(summary_of(outcomes_), "2 queues: 0 created, 2 changed, 0 as before");
  EXPECT_EQ(admin_.queues["a"].dead_letter_queue, "b");
}

TEST_F(DefinitionRun, AConflictComesBeforeAnythingIsDone) {
  ASSERT_EQ(run("[[queue]]\nname = \"x.fifo\"\n"), RunEnd::done);
  EXPECT_EQ(run("[[queue]]\nname = \"new\"\n[[queue]]\nname = \"x.fifo\"\n"
                "attributes = { Partitions = 2 }\n"),
            RunEnd::conflict);
  EXPECT_TRUE(admin_.calls.empty());
  EXPECT_TRUE(why_.starts_with("f.toml:3: queue 'x.fifo': Partitions is ")) << why_;
}

TEST(DefinitionText, IsReadAsWhatItWasMadeOf) {
  QueueAttributes made;
  std::string detail;
  ASSERT_TRUE(engine::apply_settings(
      {.attributes = {{"FifoQueue", "true"},
                      {"DelaySeconds", "0.25"},
                      {"RedrivePolicy",
                       R"({"deadLetterTargetArn":"failed.fifo","maxReceiveCount":7})"},
                      {"Policy", "{\"Statement\": \"quotes \\\" and \\\\\\n\"}"},
                      {"KmsMasterKeyId", "12345678901234567890123"}},
       .tags = {{"cost center", "007"}, {"a.b", "true"}},
       .untagged = {}},
      true, &made, &detail))
      << detail;
  const auto read = parse(definition_text("x.fifo", engine::attribute_texts(made), made.tags) +
                          "\n" + definition_text("plain", engine::attribute_texts({}), {}));
  ASSERT_EQ(read.size(), 2u);
  QueueAttributes again;
  ASSERT_TRUE(engine::apply_settings(read[0].settings, true, &again, &detail)) << detail;
  EXPECT_TRUE(again == made);
  QueueAttributes plain;
  ASSERT_TRUE(engine::apply_settings(read[1].settings, true, &plain, &detail)) << detail;
  EXPECT_TRUE(plain == QueueAttributes{});
}

}  // namespace
}  // namespace millrace::tools

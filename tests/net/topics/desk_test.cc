// PublishingDesk: PUBLISH frames up to what queues get of them, on a broker with simulated disks.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/uuid.h"
#include "net/aws/allow_all.h"
#include "net/topics/publishing_desk.h"
#include "storage/real_disk.h"
#include "tests/engine/sim_engine_harness.h"
#include "tests/support/patience.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::topics {
namespace {

class Listener final : public PublishListener {
 public:
  void on_published(uint64_t, const PublishOutcome& outcome) override {
    ++answers;
    error = outcome.error;
    detail = outcome.detail;
    results.assign(outcome.results.begin(), outcome.results.end());
  }
  int answers = 0;
  Errc error = Errc::ok;
  std::string detail;
  std::vector<PublishEntryResult> results;
};

class TopicSink final : public ReplySink {
 public:
  void on_topics(uint64_t, const TopicReply& reply) override {
    EXPECT_EQ(reply.error, Errc::ok) << reply.detail;
    ++answers;
    if (!reply.topics.empty()) topic = reply.topics[0].id;
    if (!reply.subscriptions.empty()) uuid = reply.subscriptions[0].uuid;
  }
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
  int answers = 0;
  TopicId topic{};
  Uuid uuid{};
};

class DeskTest : public engine::SimEngineTest {
 protected:
  void SetUp() override {
    options_.segment_bytes = 4u << 20;
    open();
    std::string why;
    auto disk = storage::RealDisk::open_directory(keys_ / "data", {});
    signer_ = Signer::open(std::move(*disk), &why);
    ASSERT_NE(signer_, nullptr) << why;
    desk_ = std::make_unique<PublishingDesk>(
        DeskParts{.port = shard(),
                  .signer = *signer_,
                  .wake = [] {},
                  .authorizer = std::make_unique<AllowAll>("000000000000", "us-east-1"),
                  .figures = &figures_,
                  .seed = 7,
                  .account = "000000000000",
                  .region = "us-east-1",
                  .base_url = "http://here:9324"});
    make("orders");
  }
  void TearDown() override {
    desk_.reset();
    SimEngineTest::TearDown();
  }

  void make(std::string_view name, const TopicSettings& settings = {}) {
    sink_of_topics_.answers = 0;
    shard().topics().create(name, settings, {&sink_of_topics_, 0});
    until([&] { return sink_of_topics_.answers == 1; });
  }
  // The subscription's UUID.
  std::string subscribe(std::string_view topic, std::string_view queue, bool raw) {
    SubscribeRequest request;
    std::string kept;
    EXPECT_EQ(desk_->read_endpoint("sqs", queue, &request, &kept), "");
    request.topic = shard().topics().find(topic)->id;
    request.settings.attributes = {{"RawMessageDelivery", raw ? "true" : "false"}};
    sink_of_topics_.answers = 0;
    shard().topics().subscribe(request, {&sink_of_topics_, 0});
    until([&] { return sink_of_topics_.answers == 1; });
    return base::uuid_text(sink_of_topics_.uuid);
  }
  void publish(std::string_view topic, const std::vector<PublishEntry>& entries) {
    listener_.answers = 0;
    desk_->publish(topic, entries, listener_, 1);
    // A signature comes from another thread.
    for (Patience patience; listener_.answers == 0 && patience.nap();) {
      desk_->turn();
      turns(1);
    }
    ASSERT_EQ(listener_.answers, 1);
  }
  std::vector<std::string> faults() const {
    std::vector<std::string> found;
    for (const PublishEntryResult& result : listener_.results) {
      EXPECT_EQ(result.error, result.text.empty() ? Errc::ok : Errc::invalid_argument);
      EXPECT_EQ(result.id == Uuid{}, result.error != Errc::ok);
      found.push_back(result.text);
    }
    return found;
  }

  PublishFigures figures_;
  TemporaryDirectory keys_;
  std::unique_ptr<Signer> signer_;
  std::unique_ptr<PublishingDesk> desk_;
  TopicSink sink_of_topics_;
  Listener listener_;
};

std::string attribute(std::string_view name, std::string_view type, std::string_view value) {
  std::string properties;
  append_property(properties, PropertyTag::attribute, name, type, as_bytes(value));
  return properties;
}

TEST_F(DeskTest, RawQueuesGetTheMessageAndOthersAnEnvelope) {
  const QueueId raw = create("raw");
  const QueueId wrapped = create("wrapped");
  subscribe("orders", "raw", true);
  const std::string uuid = subscribe("orders", "wrapped", false);
  const std::string properties = attribute("kind", "String", "big");
  publish("orders",
          {{.message = "hello", .subject = "a subject", .properties = as_bytes(properties)}});
  ASSERT_EQ(listener_.error, Errc::ok) << listener_.detail;
  const auto got = try_receive(raw, 0);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].body, "hello");
  EXPECT_EQ(got[0].properties, properties);
  const auto other = try_receive(wrapped, 0);
  ASSERT_EQ(other.size(), 1u);
  const auto envelope = nlohmann::json::parse(other[0].body);
  EXPECT_EQ(envelope["Message"], "hello");
  EXPECT_EQ(envelope["Subject"], "a subject");
  EXPECT_EQ(envelope["TopicArn"], "arn:aws:sns:us-east-1:000000000000:orders");
  EXPECT_EQ(envelope["MessageId"], base::uuid_text(listener_.results[0].id));
  EXPECT_EQ(envelope["MessageAttributes"]["kind"]["Value"], "big");
  EXPECT_EQ(envelope["UnsubscribeURL"],
            "http://here:9324/?Action=Unsubscribe&SubscriptionArn="
            "arn:aws:sns:us-east-1:000000000000:orders:" +
                uuid);
}

TEST_F(DeskTest, AMessageWithAFaultLeavesTheOthersAlone) {
  const QueueId queue = create("jobs");
  subscribe("orders", "jobs", true);
  const std::string twice = attribute("a", "String", "1") + attribute("a", "String", "2");
  const std::string no_number = attribute("n", "Number", "many");
  std::string of_fifo, of_ours, two_groups;
  append_property(of_fifo, PropertyTag::deduplication_id, as_bytes("id"));
  append_property(of_ours, PropertyTag::sender_id, as_bytes("somebody"));
  append_property(two_groups, PropertyTag::group, as_bytes("one"));
  append_property(two_groups, PropertyTag::group, as_bytes("two"));
  const std::string long_text(kPublishedBytesMaxDefault + 1, 'x');
  publish("orders", {{.message = "first"},
                     {.message = ""},
                     {.message = "x", .subject = "two\nlines"},
                     {.message = long_text},
                     {.message = "x", .properties = as_bytes(twice)},
                     {.message = "x", .properties = as_bytes(no_number)},
                     {.message = "x", .properties = as_bytes(of_fifo)},
                     {.message = "x", .properties = as_bytes(of_ours)},
                     {.message = "x", .properties = as_bytes(two_groups)},
                     {.message = "no json", .structured = true},
                     {.message = R"({"default":"a","sqs":"last"})", .structured = true}});
  ASSERT_EQ(listener_.error, Errc::ok) << listener_.detail;
  EXPECT_EQ(
      faults(),
      (std::vector<std::string>{
          "", "Empty message",
          "the subject must be 1 to 100 characters, none of them a line break or a control "
          "character",
          "the message and its attributes have 262145 bytes; the topic takes 262144",
          "The message attribute 'a' is given twice.",
          "Could not cast message attribute 'n' value to number.",
          "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter "
          "that is not valid for this topic type",
          "property 4 is none of what is published", "property 1 is there twice",
          "Message Structure - JSON message body failed to parse", ""}));
  EXPECT_EQ(all_of(queue), (std::set<std::string>{"first", "last"}));
}

TEST_F(DeskTest, NothingIsPublishedOfABatchThatIsTooLarge) {
  const QueueId queue = create("jobs");
  subscribe("orders", "jobs", true);
  const std::string part(200'000, 'x');
  const std::vector<PublishEntry> six(6, {.message = part});
  publish("orders", six);
  EXPECT_EQ(listener_.error, Errc::batch_too_large);
  EXPECT_EQ(listener_.detail, "the messages have 1200000 bytes together; allowed are 1048576");
  EXPECT_TRUE(all_of(queue).empty());
}

// Many small attributes are four times as long in an envelope, and together more than one send.
TEST_F(DeskTest, EnvelopesThatAreMoreThanOneSendTogetherAllCome) {
  const QueueId queue = create("jobs");
  subscribe("orders", "jobs", false);
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  std::string properties;
  for (int i = 0; i < 1'820; ++i)
    properties += attribute(std::string{kLetters[i / 64], kLetters[i % 64]}, "String", "x");
  const std::vector<PublishEntry> entries(64, {.message = "m", .properties = as_bytes(properties)});
  publish("orders", entries);
  ASSERT_EQ(listener_.error, Errc::ok) << listener_.detail;
  uint64_t bytes = 0;
  size_t count = 0;
  for (size_t round = 0; round < entries.size(); ++round)
    for (const auto& one : try_receive(queue, 60'000)) {
      ++count;
      bytes += one.body.size();
    }
  EXPECT_EQ(count, 64u);
  EXPECT_GT(bytes, kBatchBytesMax);
}

TEST_F(DeskTest, OneThatIsAllFaultsIsAnsweredAtOnce) {
  listener_.answers = 0;
  const PublishEntry empty[] = {{.message = ""}};
  desk_->publish("orders", empty, listener_, 1);
  EXPECT_EQ(listener_.answers, 1);
  EXPECT_EQ(faults(), std::vector<std::string>{"Empty message"});
}

TEST_F(DeskTest, WhoIsGoneIsNotAnswered) {
  const QueueId queue = create("jobs");
  subscribe("orders", "jobs", false);
  const PublishEntry entries[] = {{.message = "hello"}};
  desk_->publish("orders", entries, listener_, 1);
  desk_->forget(listener_);
  std::set<std::string> there;
  for (Patience patience; there.empty() && patience.nap();) {
    desk_->turn();
    there = all_of(queue);
  }
  EXPECT_EQ(there.size(), 1u);
  EXPECT_EQ(listener_.answers, 0);
}

TEST_F(DeskTest, EndpointsAreQueuesByNameOrArn) {
  SubscribeRequest request;
  std::string kept;
  EXPECT_EQ(desk_->read_endpoint("sqs", "jobs", &request, &kept), "");
  EXPECT_EQ(request.endpoint, "arn:aws:sqs:us-east-1:000000000000:jobs");
  EXPECT_EQ(request.queue, "jobs");
  EXPECT_EQ(desk_->read_endpoint("sqs", "arn:aws:sqs:eu-west-1:000000000000:jobs", &request, &kept),
            "");
  EXPECT_EQ(request.queue, "jobs");
  for (const std::string_view bad : {"", "arn:aws:sqs:us-east-1:111111111111:jobs", "a:b"})
    EXPECT_NE(desk_->read_endpoint("sqs", bad, &request, &kept), "") << bad;
  EXPECT_NE(desk_->read_endpoint("email", "a@b", &request, &kept), "");
  EXPECT_NE(desk_->read_endpoint("", "jobs", &request, &kept), "");
}

TEST_F(DeskTest, APolicyThatIsNotUnderstoodIsRefused) {
  EXPECT_EQ(desk_->settings_fault({.attributes = {{"Policy", ""}, {"DisplayName", "x"}}}), "");
  EXPECT_TRUE(desk_->settings_fault({.attributes = {{"Policy", R"({"Statement":7})"}}})
                  .starts_with("Policy: "));
}

}  // namespace
}  // namespace millrace::net::topics

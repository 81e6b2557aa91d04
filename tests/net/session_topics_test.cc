// What a session says about topics, subscriptions and publishes, of a fake shard and a fake desk.
#include <gtest/gtest.h>

#include "tests/net/peer.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

constexpr size_t kFirstItem = sizeof(wire::CountBody);

class SessionTopics : public testing::Test {
 protected:
  void SetUp() override { peer_.greet(); }
  Answer ask(const ByteString& request) {
    peer_.say(request);
    return peer_.hear_one();
  }
  // Of one message in the answer of a PUBLISH.
  static wire::PublishResult result(const Answer& answer, size_t index) {
    return answer.as<wire::PublishResult>(sizeof(wire::ResultsAnswer) +
                                          index * sizeof(wire::PublishResult));
  }
  Peer peer_;
  uint64_t correlation_ = 1;
};

TEST_F(SessionTopics, ATopicIsShownWithAttributesTagsAndCounts) {
  const Answer answer = ask(frame(Opcode::topic_show, 2, padded("orders")));
  ASSERT_TRUE(answer.is(Opcode::topic_show));
  EXPECT_EQ(answer.as<wire::CountBody>().count, 1u);
  const auto item = answer.as<wire::TopicItem>(kFirstItem);
  EXPECT_EQ(item.topic_id, 7u);
  EXPECT_EQ(item.tags, 1u);
  EXPECT_EQ(item.published, 7u);
  EXPECT_EQ(item.delivered, 2u);
  EXPECT_EQ(item.filtered, 3u);
  EXPECT_EQ(item.failed, 4u);
  const std::string_view texts =
      answer.text_at(kFirstItem + sizeof item).substr(0, item.text_bytes);
  EXPECT_TRUE(texts.starts_with("ordersarn:orders"));
  EXPECT_TRUE(texts.ends_with("envprod"));
}

TEST_F(SessionTopics, ListsAreByPrefix) {
  const auto listed = [&](std::string_view prefix, std::string_view after) {
    const Answer answer =
        ask(frame(Opcode::topic_list, ++correlation_,
                  bytes_of(wire::ListBody{10, static_cast<uint16_t>(prefix.size()),
                                          static_cast<uint16_t>(after.size())}) +
                      padded(std::string(prefix) + std::string(after))));
    EXPECT_TRUE(answer.is(Opcode::topic_list));
    return answer.as<wire::CountBody>().count;
  };
  EXPECT_EQ(listed("", ""), 1u);
  EXPECT_EQ(listed("ord", ""), 1u);
  EXPECT_EQ(listed("orders", ""), 1u);
  EXPECT_EQ(listed("ordersx", ""), 0u);
  EXPECT_EQ(listed("a", ""), 0u);
  EXPECT_EQ(listed("", "orders"), 0u);
  EXPECT_EQ(listed("o", "orders"), 0u);
}

TEST_F(SessionTopics, WhatIsMadeIsAnsweredWithWhatItIs) {
  const Answer made = ask(topic_frame(Opcode::topic_create, 2, "news", {}));
  ASSERT_TRUE(made.is(Opcode::topic_create));
  EXPECT_EQ(made.as<wire::TopicItem>(kFirstItem).name_bytes, 4u);
  const Answer subscribed = ask(topic_subscribe(3, "orders", "sqs", "jobs"));
  ASSERT_TRUE(subscribed.is(Opcode::topic_subscribe));
  const auto item = subscribed.as<wire::TopicSubscriptionItem>(kFirstItem);
  EXPECT_EQ(item.subscription_id, 8u);
  EXPECT_EQ(item.attributes, 0u);
  EXPECT_TRUE(subscribed.text_at(kFirstItem + sizeof item)
                  .starts_with("orderssqsarn:aws:sqs:us-east-1:000000000000:jobsjobs"));
  const Answer listed =
      ask(frame(Opcode::subscription_list, 4,
                bytes_of(wire::TopicSubscriptionListBody{10, 0, 6, 1, 0}) + padded("orders")));
  ASSERT_TRUE(listed.is(Opcode::subscription_list));
  EXPECT_EQ(listed.as<wire::TopicSubscriptionItem>(kFirstItem).attributes, 1u);
  const Answer none = ask(frame(Opcode::subscription_list, 5,
                                bytes_of(wire::TopicSubscriptionListBody{10, 8, 0, 1, 0})));
  EXPECT_EQ(none.as<wire::CountBody>().count, 0u);
}

TEST_F(SessionTopics, ChangesAreAnsweredEmpty) {
  const ByteString requests[] = {
      topic_frame(Opcode::topic_set, 2, "orders", {.attributes = {{"DisplayName", "o"}}}),
      frame(Opcode::subscription_set, 3,
            ByteString(16) + settings_bytes({}, {.attributes = {{"RawMessageDelivery", "true"}}})),
      frame(Opcode::topic_unsubscribe, 4, ByteString(16)),
      frame(Opcode::topic_delete, 5, padded("orders")),
  };
  for (const ByteString& request : requests) {
    const Answer answer = ask(request);
    EXPECT_NE(answer.header.opcode, static_cast<uint8_t>(Opcode::error));
    EXPECT_TRUE(answer.body.empty());
  }
  EXPECT_TRUE(ask(frame(Opcode::topic_show, 6, padded("orders"))).is_error(Errc::topic_not_found));
}

TEST_F(SessionTopics, ARefusalIsInPlainWords) {
  const Answer answer =
      ask(topic_frame(Opcode::topic_create, 2, "t", {.attributes = {{"DelaySeconds", "1"}}}));
  EXPECT_EQ(answer.error_text(), "'DelaySeconds' is no attribute of a topic");
  const Answer policy =
      ask(topic_frame(Opcode::topic_set, 3, "orders", {.attributes = {{"Policy", "{}"}}}));
  EXPECT_EQ(policy.error_text(), "Policy: this desk takes none");
  const Answer size = ask(
      topic_frame(Opcode::topic_set, 4, "orders", {.attributes = {{"MaximumMessageSize", "1"}}}));
  EXPECT_EQ(size.error_text(), "MaximumMessageSize: Invalid value [1]. It may be 1024 to 1048576");
}

TEST_F(SessionTopics, EachMessageOfAPublishHasItsResult) {
  const Answer answer = ask(publish(2, "orders", {{"one", "first"}, {"!two"}, {"three"}}));
  ASSERT_TRUE(answer.is(Opcode::publish));
  EXPECT_EQ(answer.as<wire::ResultsAnswer>().count, 3u);
  EXPECT_EQ(answer.as<wire::ResultsAnswer>().failed, 1u);
  EXPECT_EQ(result(answer, 0).message_id[0], 1);
  EXPECT_EQ(result(answer, 1).code, static_cast<uint16_t>(Errc::invalid_argument));
  EXPECT_EQ(result(answer, 2).message_id[0], 2);
  EXPECT_EQ(answer.text_at(sizeof(wire::ResultsAnswer) + 3 * sizeof(wire::PublishResult))
                .substr(0, result(answer, 1).text_bytes),
            "it begins with '!'");
  EXPECT_EQ(peer_.desk.published, (std::vector<std::string>{"orders/first/one", "orders//three"}));
}

TEST_F(SessionTopics, APublishThatFailsAsAWholeIsAnError) {
  peer_.desk.error = Errc::disk_full;
  EXPECT_TRUE(ask(publish(2, "orders", {{"one"}})).is_error(Errc::disk_full));
  peer_.desk.error = Errc::shard_fenced;
  EXPECT_TRUE(ask(publish(3, "orders", {{"one"}})).is_error(Errc::shard_fenced));
  EXPECT_EQ(peer_.fences, 1);
}

TEST_F(SessionTopics, APublishUnderWayIsForgottenWithItsConnection) {
  peer_.desk.held = true;
  peer_.say(publish(2, "orders", {{"one"}}));
  EXPECT_TRUE(peer_.hear().empty());
  EXPECT_EQ(peer_.session.under_way(), 1u);
  peer_.session.abandon();
  EXPECT_EQ(peer_.desk.forgotten, 1u);
  peer_.desk.release();
  EXPECT_TRUE(peer_.hear().empty());
}

TEST_F(SessionTopics, APublishUnderWayIsAnsweredWhenThePeerSendsNoMore) {
  peer_.desk.held = true;
  peer_.say(publish(2, "orders", {{"one"}}));
  peer_.session.end_of_input();
  EXPECT_FALSE(peer_.session.finished());
  peer_.desk.release();
  EXPECT_TRUE(peer_.hear_one().is(Opcode::publish));
  EXPECT_TRUE(peer_.session.finished());
}

}  // namespace
}  // namespace millrace::net::test

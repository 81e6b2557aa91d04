// How a request of SNS is told from others, read and refused, whatever its action is.
#include "tests/net/sns/sns_harness.h"

namespace millrace::net::sns {
namespace {

using ProtocolTest = SnsTest;

TEST_F(ProtocolTest, WhatIsForOthersIsHandedOn) {
  const auto handed_on = [&](const std::string& body, std::vector<HttpField> fields) {
    const int before = others_.handled;
    FakeExchange exchange;
    give(*front_, body, exchange, std::move(fields));
    until([&] { return exchange.answered || others_.handled > before; });
    return others_.handled > before;
  };
  const auto signed_for = [](const char* credential) {
    return std::vector<HttpField>{{"Authorization", credential}};
  };
  const char* const sqs = "AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/sqs/aws4_request";
  const char* const sns = "AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/sns/aws4_request";
  // The signature says it, whatever the rest is.
  EXPECT_TRUE(handed_on("Action=ListTopics&Version=2010-03-31", signed_for(sqs)));
  EXPECT_FALSE(handed_on("Action=ListQueues&Version=2012-11-05", signed_for(sns)));
  // Then the version, then the action.
  EXPECT_FALSE(handed_on("Action=ListTopics&Version=2010-03-31", {}));
  EXPECT_TRUE(handed_on("Action=ListTopics&Version=2012-11-05", {}));
  EXPECT_FALSE(handed_on("Action=ListTopics", {}));
  EXPECT_TRUE(handed_on("Action=ListQueues", {}));
  EXPECT_TRUE(handed_on("Action=AddPermission", {}));
  EXPECT_TRUE(handed_on("MessageBody=x%26Action=ListTopics&Action=SendMessage", {}));
  EXPECT_TRUE(
      handed_on("{\"a\":\"&Version=2010-03-31&\"}", {{"X-Amz-Target", "AmazonSQS.SendMessage"}}));
  FakeExchange exchange;
  front_->cancel(exchange);
  front_->stop_waiting(exchange);
  EXPECT_EQ(others_.canceled, 1);
  EXPECT_EQ(others_.stopped, 1);
}

TEST_F(ProtocolTest, ActionsThatThereAreNotAreRefused) {
  for (const char* action : {"", "Nothing", "CreatePlatformApplication", "SetSMSAttributes"})
    EXPECT_EQ(refused(action, {}), std::string("InvalidAction: The action ") + action +
                                       " is not valid for this endpoint.");
}

struct BadForm {
  const char* body;
  const char* code;
};

TEST_F(ProtocolTest, WhatIsNoFormIsRefused) {
  constexpr BadForm kRows[] = {
      {"Action=ListTopics&Action=ListTopics", "MalformedInput"},
      {"Action=ListTopics&NextToken=%zz", "MalformedInput"},
      {"Action=ListTopics&NextToken=%ff", "MalformedInput"},
      {"Action=CreateTopic&Name=a&Name=b", "MalformedInput"},
      {"Action=CreateTopic&Name=a&Attributes.entry.0.key=x", "MalformedInput"},
      {"Action=CreateTopic&Name=a&Attributes.entry.999999999.key=x", "MalformedInput"},
      {"Action=CreateTopic&Name=a&Tags.member.x.Key=x", "MalformedInput"},
      {"Action=CreateTopic&Name=a&Tags.member.1.Key=x&Tags.member.1.Key=y", "MalformedInput"},
  };
  for (const BadForm& row : kRows) {
    FakeExchange exchange;
    give(*front_, row.body, exchange, signed_fields());
    until([&] { return exchange.answered; });
    EXPECT_EQ(see(exchange).code, row.code) << row.body;
  }
  EXPECT_EQ(shard().topics().find("a"), nullptr);
}

// Numbers from 1, with gaps, in any order; what has another word before its number is ignored.
TEST_F(ProtocolTest, ListsAreReadByTheirNumbers) {
  const std::string arn = make("orders", {{"Tags.member.7.Value", "b"},
                                          {"Tags.member.2.Key", "x"},
                                          {"Tags.member.7.Key", "y"},
                                          {"Tags.member.2.Value", "a"},
                                          {"Tags.entry.1.Key", "never"},
                                          {"Tags.1.Key", "never"},
                                          {"Attributes.member.1.key", "DisplayName"},
                                          {"Nothing.member.1", "never"}});
  EXPECT_EQ(well("ListTagsForResource", {{"ResourceArn", arn}}).values("Key"),
            (std::vector<std::string>{"x", "y"}));
  // As botocore says an empty list.
  well("TagResource", {{"ResourceArn", arn}, {"Tags", ""}});
}

TEST_F(ProtocolTest, AnswersToClientsThatAreGoneAreNotSent) {
  FakeExchange exchange;
  ask("CreateTopic", {{"Name", "orders"}}, exchange);
  ASSERT_FALSE(exchange.answered);
  EXPECT_EQ(front_->under_way(), 1u);
  front_->cancel(exchange);
  EXPECT_EQ(front_->under_way(), 0u);
  turns(10);
  EXPECT_FALSE(exchange.answered);
  EXPECT_NE(shard().topics().find("orders"), nullptr);
}

TEST_F(ProtocolTest, RequestsAreCountedByActionAndStatus) {
  make("orders");
  (void)refused("GetTopicAttributes", {{"TopicArn", std::string(kOrders) + "x"}}, 404);
  (void)refused("Nothing", {});
  std::map<std::string, uint64_t> counts;
  shared_->requests().visit([&](std::string_view action, uint16_t status, uint64_t count) {
    counts[std::string(action) + " " + std::to_string(status)] += count;
  });
  EXPECT_EQ(counts["CreateTopic 200"], 1u);
  EXPECT_EQ(counts["GetTopicAttributes 404"], 1u);
  EXPECT_EQ(counts["unknown 400"], 1u);
}

}  // namespace
}  // namespace millrace::net::sns

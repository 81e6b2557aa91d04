// Publish and PublishBatch, and what queues get of it.
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "millrace/properties.h"
#include "tests/net/sns/sns_harness.h"

namespace millrace::net::sns {
namespace {

using Json = nlohmann::ordered_json;

class PublishTest : public SnsTest {
 protected:
  void SetUp() override {
    SnsTest::SetUp();
    arn_ = make("orders");
  }
  Form message(const std::string& text, const Form& more = {}) const {
    Form form{{"TopicArn", arn_}, {"Message", text}};
    form.insert(form.end(), more.begin(), more.end());
    return form;
  }
  static Form text_attribute(const std::string& name, const std::string& value, int number = 1) {
    const std::string at = fmt::format("MessageAttributes.entry.{}.", number);
    return {
        {at + "Name", name}, {at + "Value.DataType", "String"}, {at + "Value.StringValue", value}};
  }
  std::multiset<std::string> bodies(QueueId queue) {
    std::multiset<std::string> found;
    for (const auto& one : try_receive(queue, 0))
      found.insert(one.body);
    return found;
  }
  std::string arn_;
};

TEST_F(PublishTest, ARawSubscriptionGetsWhatWasPublished) {
  const QueueId queue = create("jobs");
  subscribe_queue(arn_, "jobs", attribute("RawMessageDelivery", "true"));
  Form more = text_attribute("color", "blue");
  more.push_back({"MessageGroupId", "group-1"});
  more.push_back({"Subject", "lost"});
  const SnsAnswer answer = well("Publish", message("hello", more));
  EXPECT_EQ(answer.value("MessageId").size(), 36u);
  EXPECT_FALSE(answer.find("SequenceNumber"));
  const auto got = try_receive(queue, 0);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].body, "hello");
  PropertyReader reader(as_bytes(got[0].properties));
  std::map<PropertyTag, std::string> has;
  while (const auto property = reader.next())
    has[property->tag] = std::string(property->name) + "/" + std::string(property->type) + "/" +
                         std::string(as_text(property->value));
  EXPECT_EQ(has,
            (std::map<PropertyTag, std::string>{{PropertyTag::group, "//group-1"},
                                                {PropertyTag::attribute, "color/String/blue"}}));
}

TEST_F(PublishTest, OthersGetAnEnvelopeOfTheirOwn) {
  const QueueId queue = create("jobs");
  const QueueId other = create("others");
  const std::string subscription = subscribe_queue(arn_, "jobs");
  const std::string second = subscribe_queue(arn_, "others");
  Form more = text_attribute("color", "blue");
  more.push_back({"Subject", "a subject"});
  const std::string id = well("Publish", message("hello \"you\"", more)).value("MessageId");
  const auto got = try_receive(queue, 0);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_TRUE(got[0].properties.empty());
  const Json envelope = Json::parse(got[0].body);
  EXPECT_EQ(envelope["Type"], "Notification");
  EXPECT_EQ(envelope["MessageId"], id);
  EXPECT_EQ(envelope["TopicArn"], arn_);
  EXPECT_EQ(envelope["Subject"], "a subject");
  EXPECT_EQ(envelope["Message"], "hello \"you\"");
  EXPECT_EQ(envelope["SignatureVersion"], "1");
  EXPECT_EQ(envelope["Signature"].get<std::string>().size(), 344u);
  EXPECT_EQ(envelope["MessageAttributes"]["color"], Json({{"Type", "String"}, {"Value", "blue"}}));
  EXPECT_EQ(envelope["UnsubscribeURL"],
            "http://127.0.0.1:9324/?Action=Unsubscribe&SubscriptionArn=" + subscription);
  const auto others = try_receive(other, 0);
  ASSERT_EQ(others.size(), 1u);
  EXPECT_EQ(Json::parse(others[0].body)["UnsubscribeURL"],
            "http://127.0.0.1:9324/?Action=Unsubscribe&SubscriptionArn=" + second);

  // The certificate is where the envelope says.
  const std::string url = envelope["SigningCertURL"];
  ASSERT_EQ(url.substr(0, 21), "http://127.0.0.1:9324");
  const std::string path = url.substr(21);
  for (const std::string& asked : {path, std::string("/SimpleNotificationService-0.pem")}) {
    FakeExchange exchange;
    front_->handle({.method = "GET", .target = asked, .fields = {}, .body = {}, .peer = {}},
                   exchange);
    EXPECT_EQ(exchange.status, asked == path ? 200 : 404);
    EXPECT_EQ(exchange.body.starts_with("-----BEGIN CERTIFICATE-----"), asked == path);
  }
  EXPECT_EQ(others_.handled, 0);
}

TEST_F(PublishTest, FiltersSayWhoGetsIt) {
  const QueueId red = create("red");
  const QueueId all = create("all");
  const QueueId big = create("big");
  Form raw_red = attribute("RawMessageDelivery", "true");
  raw_red.push_back({"Attributes.entry.2.key", "FilterPolicy"});
  raw_red.push_back({"Attributes.entry.2.value", R"({"color":["red"]})"});
  Form raw_big = attribute("RawMessageDelivery", "true");
  raw_big.push_back({"Attributes.entry.2.key", "FilterPolicy"});
  raw_big.push_back({"Attributes.entry.2.value", R"({"size":[{"numeric":[">",5]}]})"});
  raw_big.push_back({"Attributes.entry.3.key", "FilterPolicyScope"});
  raw_big.push_back({"Attributes.entry.3.value", "MessageBody"});
  const std::string filtered = subscribe_queue(arn_, "red", raw_red);
  subscribe_queue(arn_, "big", raw_big);
  subscribe_queue(arn_, "all", attribute("RawMessageDelivery", "true"));
  well("Publish", message("1", text_attribute("color", "red")));
  well("Publish", message("2", text_attribute("color", "blue")));
  well("Publish", message(R"({"size":6})"));
  EXPECT_EQ(bodies(red), (std::multiset<std::string>{"1"}));
  EXPECT_EQ(bodies(big), (std::multiset<std::string>{R"({"size":6})"}));
  EXPECT_EQ(bodies(all).size(), 3u);
  // A change is in force for the next message.
  well("SetSubscriptionAttributes", {{"SubscriptionArn", filtered},
                                     {"AttributeName", "FilterPolicy"},
                                     {"AttributeValue", R"({"color":["blue"]})"}});
  well("Publish", message("3", text_attribute("color", "blue")));
  well("Unsubscribe", {{"SubscriptionArn", filtered}});
  well("Publish", message("4", text_attribute("color", "blue")));
  EXPECT_EQ(bodies(red), (std::multiset<std::string>{"1", "3"}));
  EXPECT_EQ(shared_->publishes().published.load(), 5u);
}

TEST_F(PublishTest, QueuesGetTheTextForTheirProtocol) {
  const QueueId queue = create("jobs");
  subscribe_queue(arn_, "jobs", attribute("RawMessageDelivery", "true"));
  well("Publish", message(R"({"default":"d","sqs":"for queues","email":"e"})",
                          {{"MessageStructure", "json"}}));
  well("Publish", message(R"({"default":"d"})", {{"MessageStructure", "json"}}));
  EXPECT_EQ(bodies(queue), (std::multiset<std::string>{"d", "for queues"}));
}

TEST_F(PublishTest, WhatAQueueCannotTakeGoesToTheDeadLettersOrNowhere) {
  create("small", [] {
    QueueAttributes attributes;
    attributes.message_bytes_max = 1'024;
    return attributes;
  }());
  const QueueId dead = create("dead");
  const std::string redrive = R"({"deadLetterTargetArn":")" + queue_arn("dead") + R"("})";
  Form with_dead = attribute("RawMessageDelivery", "true");
  with_dead.push_back({"Attributes.entry.2.key", "RedrivePolicy"});
  with_dead.push_back({"Attributes.entry.2.value", redrive});
  subscribe_queue(arn_, "small", with_dead);
  subscribe_queue(arn_, "never-made", attribute("RawMessageDelivery", "true"));
  const std::string large(1'025, 'x');
  well("Publish", message(large));
  Form eleven;
  for (int i = 1; i <= 11; ++i) {
    const Form one = text_attribute("a" + std::to_string(i), "v", i);
    eleven.insert(eleven.end(), one.begin(), one.end());
  }
  well("Publish", message("small", eleven));
  EXPECT_EQ(bodies(dead), (std::multiset<std::string>{large}))
      << "eleven attributes no queue takes";
  EXPECT_EQ(shared_->publishes().redriven.load(), 1u);
  EXPECT_EQ(shared_->publishes().dropped.load(), 3u);
}

TEST_F(PublishTest, SaysWhatIsWrongWithAMessage) {
  EXPECT_EQ(refused("Publish", {{"TopicArn", arn_}}),
            "ValidationError: 1 validation error detected: Value null at 'message' failed to "
            "satisfy constraint: Member must not be null");
  EXPECT_EQ(refused("Publish", message("")), kInvalid + "Empty message");
  EXPECT_EQ(refused("Publish", message(std::string(262'145, 'x'))), kInvalid + "Message too long");
  EXPECT_EQ(refused("Publish", message("x", {{"Subject", "a\nb"}})), kInvalid + "Subject");
  EXPECT_EQ(refused("Publish", message("x", {{"MessageStructure", "json"}})),
            kInvalid + "Message Structure - JSON message body failed to parse");
  EXPECT_EQ(refused("Publish", message("x", {{"MessageDeduplicationId", "d"}})).substr(0, 60),
            (kInvalid + "MessageDeduplicationId Reason").substr(0, 60));
  EXPECT_EQ(refused("Publish", message("x", {{"MessageAttributes.entry.1.Name", "a"}})),
            "ValidationError: 1 validation error detected: Value null at "
            "'messageAttributes.a.member.dataType' failed to satisfy constraint: Member must not "
            "be null");
  EXPECT_EQ(
      refused("Publish", message("x", {{"MessageAttributes.entry.1.Name", "a"},
                                       {"MessageAttributes.entry.1.Value.DataType", "String"}})),
      "ParameterValueInvalid: The message attribute 'a' must contain non-empty message "
      "attribute value for message attribute type 'String'.");
  EXPECT_EQ(refused("Publish", message("x", {{"PhoneNumber", "+1"}})),
            kInvalid + "PhoneNumber Reason: this server sends no SMS");
  EXPECT_EQ(refused("Publish", {{"Message", "x"}}),
            kInvalid + "TopicArn or TargetArn Reason: no value for required parameter");
  EXPECT_EQ(refused("Publish", {{"TopicArn", arn_ + "-gone"}, {"Message", "x"}}, 404),
            "NotFound: Topic does not exist");
  EXPECT_EQ(well("Publish", {{"TargetArn", arn_}, {"Message", "x"}}).value("MessageId").size(),
            36u);
  const std::string fifo = make_fifo("orders.fifo");
  EXPECT_EQ(refused("Publish", {{"TopicArn", fifo}, {"Message", "x"}}),
            kInvalid + "The MessageGroupId parameter is required for FIFO topics");
  EXPECT_EQ(refused("Publish", {{"TopicArn", fifo}, {"Message", "x"}, {"MessageGroupId", "g"}}),
            kInvalid +
                "The topic should either have ContentBasedDeduplication enabled or "
                "MessageDeduplicationId provided explicitly");
}

class PublishBatchTest : public PublishTest {
 protected:
  Form batch(std::initializer_list<std::pair<std::string, std::string>> entries) const {
    Form form{{"TopicArn", arn_}};
    int number = 0;
    for (const auto& [id, text] : entries) {
      const std::string at = fmt::format("PublishBatchRequestEntries.member.{}.", ++number);
      form.push_back({at + "Id", id});
      form.push_back({at + "Message", text});
    }
    return form;
  }
};

TEST_F(PublishBatchTest, GoesOnWithoutWhatIsWrong) {
  const QueueId queue = create("jobs");
  subscribe_queue(arn_, "jobs", attribute("RawMessageDelivery", "true"));
  const SnsAnswer answer = well("PublishBatch", batch({{"a", "1"}, {"b", ""}, {"c", "3"}}));
  EXPECT_EQ(bodies(queue), (std::multiset<std::string>{"1", "3"}));
  const auto ids = answer.values("MessageId");
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_NE(answer.text.find(
                "<Failed><member><Code>InvalidParameter</Code><Message>Invalid parameter: Empty "
                "message</Message><SenderFault>true</SenderFault><Id>b</Id></member></Failed>"
                "<Successful><member><MessageId>" +
                ids[0] + "</MessageId><Id>a</Id></member><member><MessageId>" + ids[1] +
                "</MessageId><Id>c</Id></member></Successful>"),
            std::string::npos)
      << answer.text;
  const SnsAnswer none = well("PublishBatch", batch({{"a", ""}}));
  EXPECT_NE(none.text.find("<Successful></Successful>"), std::string::npos);
  EXPECT_NE(well("PublishBatch", batch({{"a", "4"}})).text.find("<Failed></Failed>"),
            std::string::npos);
}

TEST_F(PublishBatchTest, IsRefusedAsAWhole) {
  EXPECT_EQ(refused("PublishBatch", {{"TopicArn", arn_}}),
            "EmptyBatchRequest: The batch request doesn't contain any entries.");
  Form eleven{{"TopicArn", arn_}};
  for (int i = 1; i <= 11; ++i) {
    const std::string at = fmt::format("PublishBatchRequestEntries.member.{}.", i);
    eleven.push_back({at + "Id", std::to_string(i)});
    eleven.push_back({at + "Message", "x"});
  }
  EXPECT_EQ(refused("PublishBatch", eleven),
            "TooManyEntriesInBatchRequest: The batch request contains more entries than "
            "permissible.");
  eleven.resize(eleven.size() - 2);
  EXPECT_EQ(well("PublishBatch", eleven).values("MessageId").size(), 10u);
  EXPECT_EQ(refused("PublishBatch", batch({{"a", "x"}, {"a", "y"}})),
            "BatchEntryIdsNotDistinct: Two or more batch entries in the request have the same Id.");
  EXPECT_EQ(refused("PublishBatch", batch({{std::string(81, 'a'), "x"}})),
            "InvalidBatchEntryId: The Id of a batch entry in the batch request is too long: " +
                std::string(81, 'a'));
  EXPECT_EQ(refused("PublishBatch", batch({{"a b", "x"}})),
            "InvalidBatchEntryId: The Id of a batch entry in the batch request contains an "
            "impermissible character: a b");
  EXPECT_EQ(refused("PublishBatch",
                    batch({{"a", std::string(131'072, 'x')}, {"b", std::string(131'073, 'x')}})),
            "BatchRequestTooLong: The length of all the messages put together is more than the "
            "limit.");
  Form bad = batch({{"a", "x"}, {"b", "y"}});
  bad.push_back({"PublishBatchRequestEntries.member.2.MessageAttributes.entry.1.Name", "a^"});
  EXPECT_EQ(refused("PublishBatch", bad).substr(0, 22), "ParameterValueInvalid:");
}

}  // namespace
}  // namespace millrace::net::sns

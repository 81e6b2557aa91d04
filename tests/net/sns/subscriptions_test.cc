// Subscribe, ConfirmSubscription, Unsubscribe, the lists, and the attributes of subscriptions.
#include <set>

#include "base/uuid.h"
#include "tests/net/sns/sns_harness.h"

namespace millrace::net::sns {
namespace {

class SubscriptionsTest : public SnsTest {
 protected:
  void SetUp() override {
    SnsTest::SetUp();
    arn_ = make("orders");
  }
  SnsAnswer subscribe(const std::string& protocol, const std::string& endpoint, Form more = {}) {
    more.insert(more.begin(), {{"TopicArn", arn_}, {"Protocol", protocol}, {"Endpoint", endpoint}});
    return call("Subscribe", more);
  }
  std::map<std::string, std::string> attributes_of(const std::string& subscription) {
    return well("GetSubscriptionAttributes", {{"SubscriptionArn", subscription}}).attributes();
  }
  SnsAnswer set(const std::string& subscription, std::string_view name, std::string_view value) {
    return call("SetSubscriptionAttributes", {{"SubscriptionArn", subscription},
                                              {"AttributeName", std::string(name)},
                                              {"AttributeValue", std::string(value)}});
  }
  // One that waits to be confirmed, as one over HTTP does.
  std::string subscribe_pending(std::string_view protocol, std::string_view token) {
    const ReplyTo to = reply();
    shard().topics().subscribe({.topic = shard().topics().find("orders")->id,
                                .protocol = protocol,
                                .endpoint = "https://example.com/in",
                                .queue = {},
                                .token = token},
                               to);
    std::vector<SubscriptionInfo> all;
    until([&] {
      all.clear();
      shard().topics().list(TopicId{}, SubscriptionId{}, 10, &all);
      return !all.empty() && all.back().token == token;
    });
    return arn_ + ":" + base::uuid_text(all.back().uuid);
  }
  std::string arn_;
};

TEST_F(SubscriptionsTest, OfQueuesAreThereAtOnceAndOnce) {
  const std::string first = subscribe_queue(arn_, "jobs");
  EXPECT_EQ(first.substr(0, arn_.size() + 1), arn_ + ":");
  EXPECT_EQ(first.size(), arn_.size() + 37);
  EXPECT_EQ(subscribe_queue(arn_, "jobs"), first);
  EXPECT_NE(subscribe_queue(arn_, "others"), first);
  EXPECT_EQ(subscribe("sqs", queue_arn("jobs"), attribute("RawMessageDelivery", "true")).error(),
            kInvalid + "Attributes Reason: Subscription already exists with different attributes");
  EXPECT_EQ(attributes_of(first), (std::map<std::string, std::string>{
                                      {"SubscriptionArn", first},
                                      {"TopicArn", arn_},
                                      {"Owner", "000000000000"},
                                      {"SubscriptionPrincipal", "arn:aws:iam::000000000000:root"},
                                      {"Protocol", "sqs"},
                                      {"Endpoint", queue_arn("jobs")},
                                      {"RawMessageDelivery", "false"},
                                      {"PendingConfirmation", "false"},
                                      {"ConfirmationWasAuthenticated", "true"}}));
}

TEST_F(SubscriptionsTest, AreRefusedForWhatTheyName) {
  EXPECT_EQ(subscribe("sqs", "http://127.0.0.1:9324/000000000000/jobs").error(),
            kInvalid + "SQS endpoint ARN");
  EXPECT_EQ(subscribe("sqs", "arn:aws:sqs:us-east-1:111111111111:jobs").error(),
            kInvalid + "SQS endpoint ARN");
  EXPECT_EQ(subscribe("sqs", "").error(), kInvalid + "SQS endpoint ARN");
  EXPECT_EQ(subscribe("sqs", queue_arn("jobs.fifo")).error(),
            kInvalid +
                "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed "
                "to standard SNS topics");
  const std::string fifo = make_fifo("orders.fifo");
  subscribe_queue(fifo, "jobs.fifo");
  subscribe_queue(fifo, "jobs");
  for (const char* protocol :
       {"email", "email-json", "sms", "application", "lambda", "firehose", "carrier-pigeon"})
    EXPECT_EQ(subscribe(protocol, "x").error(),
              kInvalid + "Amazon SNS does not support this protocol string: " + protocol);
  EXPECT_EQ(subscribe("https", "https://example.com").error(),
            kInvalid + "Protocol Reason: this server does not deliver over https; sqs it does");
  EXPECT_EQ(refused("Subscribe", {{"TopicArn", arn_}, {"Endpoint", queue_arn("jobs")}}),
            "ValidationError: 1 validation error detected: Value null at 'protocol' failed to "
            "satisfy constraint: Member must not be null");
  EXPECT_EQ(refused("Subscribe",
                    {{"TopicArn", "arn:aws:sns:us-east-1:000000000000:gone"},
                     {"Protocol", "sqs"},
                     {"Endpoint", queue_arn("jobs")}},
                    404),
            "NotFound: Topic does not exist");
}

TEST_F(SubscriptionsTest, ToWhatNothingReachesAreTakenIfTheServerSaysSo) {
  settings_.accept_undeliverable = true;
  make_front();
  const SnsAnswer answer = subscribe("email", "somebody@example.com");
  EXPECT_EQ(answer.status, 200) << answer.error();
  EXPECT_EQ(attributes_of(answer.value("SubscriptionArn")).at("Protocol"), "email");
  EXPECT_EQ(subscribe("carrier-pigeon", "x").status, 400);
  EXPECT_EQ(subscribe("http", "http://example.com").status, 400);
}

struct BadAttribute {
  const char* name;
  const char* value;
  const char* subscribing;  // behind kInvalid
  const char* setting;
};

TEST_F(SubscriptionsTest, SayWhatIsWrongWithAnAttribute) {
  const std::string known = subscribe_queue(arn_, "known");
  constexpr BadAttribute kRows[] = {
      {"RawMessageDelivery", "maybe",
       "Attributes Reason: RawMessageDelivery: Invalid value [maybe]. Must be true or false.",
       "RawMessageDelivery: Invalid value [maybe]. Must be true or false."},
      {"FilterPolicyScope", "Body",
       "FilterPolicyScope: Invalid value [Body]. Please use either MessageBody or "
       "MessageAttributes",
       "FilterPolicyScope: Invalid value [Body]. Please use either MessageBody or "
       "MessageAttributes"},
      {"FilterPolicy", R"({"a":[]})",
       "Attributes Reason: FilterPolicy: Empty arrays are not allowed",
       "FilterPolicy: Empty arrays are not allowed"},
      {"FilterPolicy", R"({"a":{"b":["x"]}})",
       "Filter policy scope MessageAttributes does not support nested filter policy",
       "Filter policy scope MessageAttributes does not support nested filter policy"},
      {"RedrivePolicy", R"({"deadLetterTargetArn":"x:y"})",
       "Attributes Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn",
       "RedrivePolicy: deadLetterTargetArn is an invalid arn"},
      {"Colour", "red", "AttributeName", "AttributeName"},
  };
  for (const BadAttribute& row : kRows) {
    EXPECT_EQ(subscribe("sqs", queue_arn("new"), attribute(row.name, row.value)).error(),
              kInvalid + row.subscribing)
        << row.name;
    EXPECT_EQ(set(known, row.name, row.value).error(), kInvalid + row.setting) << row.name;
  }
  const SnsAnswer no_json = set(known, "FilterPolicy", "{");
  EXPECT_EQ(no_json.error().substr(0, kInvalid.size() + 36),
            kInvalid + "FilterPolicy: failed to parse JSON. ");
  const std::string fifo = make_fifo("orders.fifo");
  const std::string of_fifo = subscribe_queue(fifo, "jobs.fifo");
  EXPECT_EQ(set(of_fifo, "RedrivePolicy",
                R"({"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead"})")
                .error(),
            kInvalid +
                "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a "
                "FIFO Topic.");
}

// What Terraform does: scope first, then the policy; both gone when the policy is.
TEST_F(SubscriptionsTest, AreSetOneAttributeAtATime) {
  const std::string arn = subscribe_queue(arn_, "jobs");
  const SnsAnswer answer = set(arn, "RawMessageDelivery", "true");
  EXPECT_EQ(answer.status, 200) << answer.error();
  EXPECT_FALSE(answer.find("SetSubscriptionAttributesResult"));
  EXPECT_EQ(attributes_of(arn).at("RawMessageDelivery"), "true");
  EXPECT_EQ(set(arn, "FilterPolicyScope", "MessageBody").status, 200);
  EXPECT_FALSE(attributes_of(arn).contains("FilterPolicyScope"));
  EXPECT_EQ(set(arn, "FilterPolicy", R"({"a":{"b":["x"]}})").status, 200);
  EXPECT_EQ(attributes_of(arn).at("FilterPolicyScope"), "MessageBody");
  EXPECT_EQ(attributes_of(arn).at("FilterPolicy"), R"({"a":{"b":["x"]}})");
  EXPECT_EQ(set(arn, "FilterPolicyScope", "MessageAttributes").error(),
            kInvalid +
                "Filter policy scope MessageAttributes does not support nested filter "
                "policy");
  for (const char* none : {"", "{}"}) {
    EXPECT_EQ(set(arn, "FilterPolicy", R"({"a":["x"]})").status, 200);
    EXPECT_EQ(set(arn, "FilterPolicy", none).status, 200);
    EXPECT_FALSE(attributes_of(arn).contains("FilterPolicy"));
    EXPECT_FALSE(attributes_of(arn).contains("FilterPolicyScope"));
  }
  const std::string redrive = R"({"deadLetterTargetArn":")" + queue_arn("dead") + R"("})";
  EXPECT_EQ(set(arn, "RedrivePolicy", redrive).status, 200);
  EXPECT_EQ(attributes_of(arn).at("RedrivePolicy"), redrive);
  EXPECT_EQ(set(arn, "RedrivePolicy", "").status, 200);
  EXPECT_FALSE(attributes_of(arn).contains("RedrivePolicy"));
}

TEST_F(SubscriptionsTest, EndOnceAndForAll) {
  const std::string arn = subscribe_queue(arn_, "jobs");
  EXPECT_FALSE(well("Unsubscribe", {{"SubscriptionArn", arn}}).find("UnsubscribeResult"));
  well("Unsubscribe", {{"SubscriptionArn", arn}});
  EXPECT_EQ(refused("GetSubscriptionAttributes", {{"SubscriptionArn", arn}}, 404),
            "NotFound: Subscription does not exist");
  EXPECT_EQ(set(arn, "RawMessageDelivery", "true").error(),
            "NotFound: Subscription does not exist");
  const auto end = [&](const std::string& text) {
    return refused("Unsubscribe", {{"SubscriptionArn", text}});
  };
  EXPECT_EQ(end("x"),
            kInvalid + "SubscriptionArn Reason: An ARN must have at least 6 elements, not 1");
  EXPECT_EQ(end(""), kInvalid + "SubscriptionArn Reason: no value for required parameter");
  EXPECT_EQ(end(arn_), kInvalid + "SubscriptionId");
  EXPECT_EQ(end(arn_ + ":x"), kInvalid + "SubscriptionId");
  EXPECT_EQ(end("PendingConfirmation"),
            kInvalid + "SubscriptionArn Reason: An ARN must have at least 6 elements, not 1");
}

// A subscription of one topic is not found under another's name.
TEST_F(SubscriptionsTest, AreNamedWithTheirTopic) {
  make("others");
  std::string arn = subscribe_queue(arn_, "jobs");
  arn.replace(arn.find("orders"), 6, "others");
  EXPECT_EQ(refused("GetSubscriptionAttributes", {{"SubscriptionArn", arn}}, 404),
            "NotFound: Subscription does not exist");
}

TEST_F(SubscriptionsTest, AreConfirmedByTheirToken) {
  const std::string arn = subscribe_pending("https", "token-1");
  const SnsAnswer listed = well("ListSubscriptionsByTopic", {{"TopicArn", arn_}});
  EXPECT_EQ(listed.value("SubscriptionArn"), "PendingConfirmation");
  EXPECT_EQ(attributes_of(arn).at("PendingConfirmation"), "true");
  EXPECT_EQ(refused("Unsubscribe", {{"SubscriptionArn", arn}}),
            kInvalid + "SubscriptionArn Reason: the subscription is not confirmed");
  EXPECT_EQ(refused("ConfirmSubscription", {{"TopicArn", arn_}, {"Token", "other"}}),
            kInvalid + "Token");
  EXPECT_EQ(refused("ConfirmSubscription", {{"TopicArn", arn_}, {"Token", ""}}),
            kInvalid + "Token");
  EXPECT_EQ(refused("ConfirmSubscription", {{"TopicArn", arn_}}),
            "ValidationError: 1 validation error detected: Value null at 'token' failed to satisfy "
            "constraint: Member must not be null");
  for (const std::string& topic : {std::string("x"), arn_ + "-gone"})
    EXPECT_EQ(refused("ConfirmSubscription", {{"TopicArn", topic}, {"Token", "token-1"}}),
              kInvalid + "Topic");
  EXPECT_EQ(well("ConfirmSubscription", {{"TopicArn", arn_}, {"Token", "token-1"}})
                .value("SubscriptionArn"),
            arn);
  EXPECT_EQ(well("ConfirmSubscription", {{"TopicArn", arn_}, {"Token", "token-1"}})
                .value("SubscriptionArn"),
            arn);
  EXPECT_EQ(attributes_of(arn).at("PendingConfirmation"), "false");
}

TEST_F(SubscriptionsTest, FollowTheLinksOfTheirNotifications) {
  const std::string open = subscribe_pending("https", "token-1");
  const SnsAnswer confirmed =
      follow("ConfirmSubscription", {{"TopicArn", arn_}, {"Token", "token-1"}});
  EXPECT_EQ(confirmed.value("SubscriptionArn"), open);
  EXPECT_EQ(follow("Unsubscribe", {{"SubscriptionArn", open}}).status, 200);
  EXPECT_EQ(refused("GetSubscriptionAttributes", {{"SubscriptionArn", open}}, 404),
            "NotFound: Subscription does not exist");

  const std::string owned = subscribe_pending("https", "token-2");
  well("ConfirmSubscription",
       {{"TopicArn", arn_}, {"Token", "token-2"}, {"AuthenticateOnUnsubscribe", "true"}});
  const std::string queue = subscribe_queue(arn_, "jobs");
  for (const std::string& arn : {owned, queue}) {
    const SnsAnswer refused = follow("Unsubscribe", {{"SubscriptionArn", arn}});
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(refused.code, "AuthorizationError");
    well("Unsubscribe", {{"SubscriptionArn", arn}});
  }
}

TEST_F(SubscriptionsTest, AreListedAHundredAtATime) {
  const std::string other = make("others");
  subscribe_queue(other, "jobs");
  constexpr int kCount = 130;
  for (int i = 0; i < kCount; ++i)
    subscribe_queue(arn_, "jobs-" + std::to_string(i));
  const SnsAnswer first = well("ListSubscriptionsByTopic", {{"TopicArn", arn_}});
  EXPECT_NE(first.text.find("<member><Owner>000000000000</Owner><Protocol>sqs</Protocol>"
                            "<Endpoint>arn:aws:sqs:us-east-1:000000000000:jobs-0</Endpoint>"
                            "<SubscriptionArn>" +
                            arn_ + ":"),
            std::string::npos)
      << first.text.substr(0, 500);
  EXPECT_EQ(first.values("Endpoint").size(), 100u);
  const std::string token = first.value("NextToken");
  const SnsAnswer rest =
      well("ListSubscriptionsByTopic", {{"TopicArn", arn_}, {"NextToken", token}});
  EXPECT_EQ(rest.values("Endpoint").size(), 30u);
  EXPECT_FALSE(rest.find("NextToken"));
  for (const Form& wrong : {Form{{"TopicArn", other}, {"NextToken", token}},
                            Form{{"TopicArn", arn_}, {"NextToken", "x"}}})
    EXPECT_EQ(refused("ListSubscriptionsByTopic", wrong), kInvalid + "NextToken");

  std::set<std::string> seen;
  SnsAnswer page = well("ListSubscriptions", {});
  for (int pages = 0; pages < 3; ++pages) {
    for (const std::string& arn : page.values("SubscriptionArn"))
      EXPECT_TRUE(seen.insert(arn).second);
    const std::string next = page.value("NextToken");
    if (next.empty()) break;
    page = well("ListSubscriptions", {{"NextToken", next}});
  }
  EXPECT_EQ(seen.size(), size_t{kCount} + 1);
  EXPECT_EQ(refused("ListSubscriptionsByTopic", {{"TopicArn", arn_ + "-gone"}}, 404),
            "NotFound: Topic does not exist");
}

}  // namespace
}  // namespace millrace::net::sns

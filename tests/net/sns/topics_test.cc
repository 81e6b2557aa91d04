// CreateTopic, DeleteTopic, ListTopics, GetTopicAttributes, SetTopicAttributes.
#include <set>

#include "tests/net/sns/sns_harness.h"

namespace millrace::net::sns {
namespace {

using TopicsTest = SnsTest;

TEST_F(TopicsTest, AreMadeOnceAndKeepWhatTheyWereMadeWith) {
  const SnsAnswer made = well("CreateTopic", {{"Name", "orders"}});
  EXPECT_EQ(made.text,
            "<?xml version=\"1.0\"?>\n<CreateTopicResponse "
            "xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><CreateTopicResult>"
            "<TopicArn>arn:aws:sns:us-east-1:000000000000:orders</TopicArn></CreateTopicResult>");
  EXPECT_EQ(make("orders"), kOrders);
  EXPECT_EQ(make("named", attribute("DisplayName", "n")),
            "arn:aws:sns:us-east-1:000000000000:named");
  EXPECT_EQ(make("named", attribute("DisplayName", "n")),
            "arn:aws:sns:us-east-1:000000000000:named");
  Form other = attribute("DisplayName", "other");
  other.insert(other.begin(), {"Name", "named"});
  EXPECT_EQ(refused("CreateTopic", other),
            "InvalidParameter: Invalid parameter: Attributes Reason: Topic already exists with "
            "different attributes");
  make("tagged", {{"Tags.member.1.Key", "env"}, {"Tags.member.1.Value", "prod"}});
  EXPECT_EQ(
      refused("CreateTopic",
              {{"Name", "tagged"}, {"Tags.member.1.Key", "env"}, {"Tags.member.1.Value", "test"}}),
      "InvalidParameter: Invalid parameter: Tags Reason: Topic already exists with different "
      "tags");
  make("plain", attribute("FifoTopic", "false"));
  make("documented", attribute("DataProtectionPolicy", "{}"));
  EXPECT_FALSE(well("GetTopicAttributes", {{"TopicArn", std::string(kOrders)}})
                   .attributes()
                   .contains("FifoTopic"));
}

TEST_F(TopicsTest, AreRefusedByName) {
  const std::string kBad = "InvalidParameter: Invalid parameter: Topic Name";
  EXPECT_EQ(refused("CreateTopic", {}),
            "ValidationError: 1 validation error detected: Value null at 'name' failed to satisfy "
            "constraint: Member must not be null");
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a.fifo"),
                                  std::string(257, 'a'), std::string("../x")})
    EXPECT_EQ(refused("CreateTopic", {{"Name", name}}), kBad) << name;
  make(std::string(256, 'a'));
  Form fifo = attribute("FifoTopic", "true");
  fifo.insert(fifo.begin(), {"Name", "a"});
  EXPECT_EQ(refused("CreateTopic", fifo), kBad);
  EXPECT_EQ(make_fifo("a.fifo"), "arn:aws:sns:us-east-1:000000000000:a.fifo");
}

TEST_F(TopicsTest, TellWhatTheyAre) {
  const std::string arn = make("orders");
  const auto has = well("GetTopicAttributes", {{"TopicArn", arn}}).attributes();
  EXPECT_EQ(
      has,
      (std::map<std::string, std::string>{
          {"TopicArn", arn},
          {"Owner", "000000000000"},
          {"DisplayName", ""},
          {"SubscriptionsConfirmed", "0"},
          {"SubscriptionsPending", "0"},
          {"SubscriptionsDeleted", "0"},
          {"EffectiveDeliveryPolicy",
           R"({"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,)"
           R"("numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,)"
           R"("backoffFunction":"linear"},"disableSubscriptionOverrides":false,)"
           R"("defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}})"},
          {"Policy",
           R"({"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":)"
           R"("__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},"Action":[)"
           R"("SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission",)"
           R"("SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe",)"
           R"("SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":")" +
               arn + R"(","Condition":{"StringEquals":{"AWS:SourceOwner":"000000000000"}}}]})"}}));
  const std::string fifo = make_fifo("orders.fifo");
  const auto of_fifo = well("GetTopicAttributes", {{"TopicArn", fifo}}).attributes();
  EXPECT_EQ(of_fifo.at("FifoTopic"), "true");
  EXPECT_EQ(of_fifo.at("ContentBasedDeduplication"), "false");
  subscribe_queue(arn, "jobs");
  EXPECT_EQ(
      well("GetTopicAttributes", {{"TopicArn", arn}}).attributes().at("SubscriptionsConfirmed"),
      "1");
}

TEST_F(TopicsTest, AreSetOneAttributeAtATime) {
  const std::string arn = make("orders");
  const auto set = [&](std::string_view name, std::string_view value) {
    return call("SetTopicAttributes", {{"TopicArn", arn},
                                       {"AttributeName", std::string(name)},
                                       {"AttributeValue", std::string(value)}});
  };
  const std::pair<const char*, const char*> kGood[] = {
      {"DisplayName", "Orders & more <b>"},
      {"SignatureVersion", "2"},
      {"TracingConfig", "Active"},
      {"MaximumMessageSize", "1024"},
      {"KmsMasterKeyId", "alias/aws/sns"},
      {"SQSSuccessFeedbackSampleRate", "100"},
      {"HTTPFailureFeedbackRoleArn", "arn:aws:iam::000000000000:role/r"},
      {"DeliveryPolicy", R"({"http":{"defaultHealthyRetryPolicy":{"numRetries":7}}})"},
  };
  for (const auto& [name, value] : kGood) {
    const SnsAnswer answer = set(name, value);
    EXPECT_EQ(answer.status, 200) << name << ": " << answer.error();
    EXPECT_FALSE(answer.find("SetTopicAttributesResult"));
    EXPECT_EQ(well("GetTopicAttributes", {{"TopicArn", arn}}).attributes().at(name), value);
  }
  EXPECT_NE(well("GetTopicAttributes", {{"TopicArn", arn}})
                .attributes()
                .at("EffectiveDeliveryPolicy")
                .find(R"("numRetries":7)"),
            std::string::npos);
  const std::string kBad = "InvalidParameter: Invalid parameter: ";
  EXPECT_EQ(set("Colour", "red").error(), kBad + "AttributeName");
  EXPECT_EQ(set("FifoTopic", "true").error(), kBad + "AttributeName");
  EXPECT_EQ(set("DisplayName", std::string(101, 'a')).error().substr(0, 48),
            (kBad + "DisplayName: Invalid value").substr(0, 48));
  EXPECT_EQ(set("SignatureVersion", "3").error(), kBad + "SignatureVersion: Invalid value [3]");
  EXPECT_EQ(set("MaximumMessageSize", "1023").error(),
            kBad + "MaximumMessageSize: Invalid value [1023]. It may be 1024 to 1048576");
  EXPECT_EQ(set("Policy", R"({"Statement":[{"Effect":"Allow","NotPrincipal":"*","Action":"*",)"
                          R"("Resource":"*"}]})")
                .error(),
            kBad + "Policy Error: the element NotPrincipal is not known");
  EXPECT_EQ(refused("SetTopicAttributes", {{"TopicArn", arn}}),
            "ValidationError: 1 validation error detected: Value null at 'attributeName' failed to "
            "satisfy constraint: Member must not be null");
  Form made = attribute("SignatureVersion", "3");
  made.insert(made.begin(), {"Name", "other"});
  EXPECT_EQ(refused("CreateTopic", made),
            kBad + "Attributes Reason: SignatureVersion: Invalid value [3]");
}

TEST_F(TopicsTest, AreGoneOnceAndForAll) {
  const std::string arn = make("orders");
  subscribe_queue(arn, "jobs");
  const SnsAnswer gone = well("DeleteTopic", {{"TopicArn", arn}});
  EXPECT_FALSE(gone.find("DeleteTopicResult"));
  well("DeleteTopic", {{"TopicArn", arn}});
  EXPECT_EQ(refused("GetTopicAttributes", {{"TopicArn", arn}}, 404),
            "NotFound: Topic does not exist");
  EXPECT_TRUE(well("ListSubscriptions", {}).values("SubscriptionArn").empty());
}

TEST_F(TopicsTest, AreNamedByArnsOfThisAccountAndRegion) {
  make("orders");
  const std::string kBad = "InvalidParameter: Invalid parameter: TopicArn";
  const auto get = [&](const char* arn) { return call("GetTopicAttributes", {{"TopicArn", arn}}); };
  EXPECT_EQ(get("orders").error(), kBad + " Reason: An ARN must have at least 6 elements, not 1");
  EXPECT_EQ(get("arn:aws:sns:us-east-1:000000000000").error(),
            kBad + " Reason: An ARN must have at least 6 elements, not 5");
  EXPECT_EQ(get("").error(), kBad + " Reason: no value for required parameter");
  EXPECT_EQ(get("arn:aws:sns:eu-west-1:000000000000:orders").error(), kBad);
  EXPECT_EQ(get("arn:aws:sqs:us-east-1:000000000000:orders").error(), kBad);
  EXPECT_EQ(get("arn:aws:sns:us-east-1:000000000000:orders:x").error(), kBad);
  EXPECT_EQ(get("arn:aws:sns:us-east-1:111111111111:orders").error(),
            "NotFound: Topic does not exist");
  EXPECT_EQ(refused("GetTopicAttributes", {}),
            "ValidationError: 1 validation error detected: Value null at 'topicArn' failed to "
            "satisfy constraint: Member must not be null");
}

TEST_F(TopicsTest, AreListedAHundredAtATime) {
  EXPECT_TRUE(well("ListTopics", {}).find("Topics"));
  constexpr int kCount = 205;
  for (int i = 0; i < kCount; ++i)
    make("topic-" + std::to_string(i));
  std::multiset<std::string> seen;
  std::string token;
  std::vector<size_t> pages;
  for (int page = 0; page < 4; ++page) {
    const SnsAnswer answer =
        well("ListTopics", token.empty() ? Form{} : Form{{"NextToken", token}});
    const auto arns = answer.values("TopicArn");
    seen.insert(arns.begin(), arns.end());
    pages.push_back(arns.size());
    token = answer.value("NextToken");
    if (token.empty()) break;
  }
  EXPECT_EQ(pages, (std::vector<size_t>{100, 100, 5}));
  EXPECT_EQ(seen.size(), size_t{kCount});
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), size_t{kCount});
  for (const char* bad : {"x", "!!!", "dG9waWNzOg==", "c3Vic2NyaXB0aW9uczox"})
    EXPECT_EQ(refused("ListTopics", {{"NextToken", bad}}),
              "InvalidParameter: Invalid parameter: NextToken")
        << bad;
}

}  // namespace
}  // namespace millrace::net::sns

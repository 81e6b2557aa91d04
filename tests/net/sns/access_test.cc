// Who may do what with topics, and what the audit log is told of it.
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "net/aws/key_authorizer.h"
#include "tests/net/sns/sns_harness.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::sns {
namespace {

using Json = nlohmann::ordered_json;

// A known key is enough; what it may do is checked.
constexpr const char* kFile = R"(
mode = "relaxed"
[[user]]
name = "publisher"
  [[user.rule]]
  allow = ["Get*", "Subscribe", "Unsubscribe", "GetSubscriptionAttributes"]
  topics = ["orders"]
[[user]]
name = "nobody"
[[key]]
id = "ROOT"
secret = "a-secret-long-enough"
[[key]]
id = "PUBLISHER"
secret = "a-secret-long-enough"
user = "publisher"
[[key]]
id = "NOBODY"
secret = "a-secret-long-enough"
user = "nobody"
)";

class TopicAccess : public SnsTest {
 protected:
  void SetUp() override {
    std::string why;
    log_ = AuditLog::open(path_, &why);
    settings_.audit = log_.get();
    std::string text = kFile;
    auto credentials = Credentials::parse(text, "file", settings_.account, &why);
    ASSERT_NE(credentials, nullptr) << why;
    store_ = std::make_shared<CredentialStore>("file", settings_.account);
    store_->put(std::move(credentials));
    SnsTest::SetUp();
  }
  std::unique_ptr<Authorizer> authorizer() override {
    return std::make_unique<KeyAuthorizer>(
        store_, settings_.account, settings_.region, +[] { return int64_t{1'767'225'600}; });
  }
  SnsAnswer as(const char* key, std::string_view action, const Form& form) {
    const std::string field = fmt::format(
        "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/sns/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature={:064}",
        key, 0);
    FakeExchange exchange;
    give(*front_, form_text(action, form), exchange,
         {{"Authorization", field}, {"X-Amz-Date", "20260101T000000Z"}});
    until([&] { return exchange.answered; });
    return see(exchange);
  }
  // "event action topic result"
  std::vector<std::string> told() {
    log_->stop();
    std::vector<std::string> told;
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) {
      const Json json = Json::parse(line);
      const auto text = [&](const char* name) { return json.value(name, std::string("-")); };
      told.push_back(text("event") + " " + text("action") + " " + text("topic") + " " +
                     text("result"));
    }
    return told;
  }
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "audit.log";
  std::unique_ptr<AuditLog> log_;
  std::shared_ptr<CredentialStore> store_;
};

TEST_F(TopicAccess, IsAskedOfUsersRules) {
  EXPECT_EQ(as("ROOT", "CreateTopic", {{"Name", "orders"}}).status, 200);
  EXPECT_EQ(as("ROOT", "CreateTopic", {{"Name", "others"}}).status, 200);
  const std::string orders(kOrders);
  const std::string others = "arn:aws:sns:us-east-1:000000000000:others";
  EXPECT_EQ(as("PUBLISHER", "GetTopicAttributes", {{"TopicArn", orders}}).status, 200);
  const SnsAnswer other = as("PUBLISHER", "GetTopicAttributes", {{"TopicArn", others}});
  EXPECT_EQ(other.status, 403);
  EXPECT_EQ(other.error(),
            "AuthorizationError: User: arn:aws:iam::000000000000:user/publisher is not authorized "
            "to perform: sns:gettopicattributes on resource: "
            "arn:aws:sns:us-east-1:000000000000:others because no identity-based policy allows the "
            "sns:gettopicattributes action");
  EXPECT_EQ(as("PUBLISHER", "DeleteTopic", {{"TopicArn", orders}}).status, 403);
  EXPECT_EQ(as("PUBLISHER", "CreateTopic", {{"Name", "mine"}}).status, 403);
  EXPECT_EQ(as("PUBLISHER", "ListTopics", {}).status, 403);
  // Nobody learns whether there is one.
  EXPECT_EQ(as("NOBODY", "GetTopicAttributes", {{"TopicArn", orders + "-gone"}}).status, 403);
  const SnsAnswer subscribed =
      as("PUBLISHER", "Subscribe",
         {{"TopicArn", orders}, {"Protocol", "sqs"}, {"Endpoint", queue_arn("jobs")}});
  const Form subscription{{"SubscriptionArn", subscribed.value("SubscriptionArn")}};
  EXPECT_EQ(as("PUBLISHER", "GetSubscriptionAttributes", subscription).status, 200);
  EXPECT_EQ(as("NOBODY", "GetSubscriptionAttributes", subscription).status, 403);
  EXPECT_EQ(as("NOBODY", "Unsubscribe", subscription).status, 403);
  EXPECT_EQ(as("PUBLISHER", "Unsubscribe", subscription).status, 200);
}

TEST_F(TopicAccess, IsAskedOfTheTopicsPolicyOnceItHasOne) {
  const std::string orders(kOrders);
  as("ROOT", "CreateTopic", {{"Name", "orders"}});
  const auto get = [&](const char* key) {
    return as(key, "GetTopicAttributes", {{"TopicArn", orders}}).status;
  };
  const auto set = [&](const std::string& policy) {
    return as("ROOT", "SetTopicAttributes",
              {{"TopicArn", orders}, {"AttributeName", "Policy"}, {"AttributeValue", policy}})
        .status;
  };
  // The default one, which is shown and could be set as it is, lets in nobody more.
  const std::string shown =
      as("ROOT", "GetTopicAttributes", {{"TopicArn", orders}}).attributes().at("Policy");
  EXPECT_EQ(get("NOBODY"), 403);
  EXPECT_EQ(set(shown), 200);
  EXPECT_EQ(get("NOBODY"), 403);
  const auto statement = [&](const char* effect, const char* who) {
    return fmt::format(R"({{"Statement":[{{"Effect":"{}","Principal":{{"AWS":)"
                       R"("arn:aws:iam::000000000000:user/{}"}},"Action":"SNS:GetTopicAttributes",)"
                       R"("Resource":"*"}}]}})",
                       effect, who);
  };
  EXPECT_EQ(set(statement("Allow", "nobody")), 200);
  EXPECT_EQ(get("NOBODY"), 200);
  EXPECT_EQ(set(statement("Deny", "publisher")), 200);
  EXPECT_EQ(get("NOBODY"), 403);
  EXPECT_EQ(get("PUBLISHER"), 403);
  // The owner is not locked out.
  EXPECT_EQ(set(R"({"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]})"),
            200);
  EXPECT_EQ(get("ROOT"), 403);
  EXPECT_EQ(set(""), 200);
  EXPECT_EQ(get("ROOT"), 200);
}

TEST_F(TopicAccess, NeedsASignatureButForLinks) {
  FakeExchange exchange;
  give(*front_, "Action=ListTopics&Version=2010-03-31", exchange);
  ASSERT_TRUE(exchange.answered);
  EXPECT_EQ(see(exchange).status, 403);
  EXPECT_EQ(see(exchange).code, "MissingAuthenticationToken");
  EXPECT_EQ(as("UNKNOWN", "ListTopics", {}).code, "InvalidClientTokenId");
  as("ROOT", "CreateTopic", {{"Name", "orders"}});
  EXPECT_EQ(
      follow("ConfirmSubscription", {{"TopicArn", std::string(kOrders)}, {"Token", "x"}}).error(),
      "InvalidParameter: Invalid parameter: Token");
}

TEST_F(TopicAccess, NeedsTheQueuesPolicyToDeliver) {
  as("ROOT", "CreateTopic", {{"Name", "orders"}});
  const auto policy = [](const char* effect, const char* topic) {
    return fmt::format(R"({{"Statement":[{{"Effect":"{}","Principal":{{"Service":)"
                       R"("sns.amazonaws.com"}},"Action":"sqs:SendMessage","Resource":"*",)"
                       R"("Condition":{{"ArnEquals":{{"aws:SourceArn":)"
                       R"("arn:aws:sns:us-east-1:000000000000:{}"}}}}}}]}})",
                       effect, topic);
  };
  std::map<std::string, QueueId> queues;
  for (const auto& [name, text] :
       std::map<std::string, std::string>{{"without", ""},
                                          {"allowed", policy("Allow", "orders")},
                                          {"of-another", policy("Allow", "others")},
                                          {"denied", policy("Deny", "orders")}}) {
    QueueAttributes attributes;
    attributes.policy = text;
    queues[name] = create(name, attributes);
    Form form = attribute("RawMessageDelivery", "true");
    form.insert(
        form.begin(),
        {{"TopicArn", std::string(kOrders)}, {"Protocol", "sqs"}, {"Endpoint", queue_arn(name)}});
    as("ROOT", "Subscribe", form);
  }
  as("ROOT", "Publish", {{"TopicArn", std::string(kOrders)}, {"Message", "hello"}});
  EXPECT_EQ(as("PUBLISHER", "Publish", {{"TopicArn", std::string(kOrders)}, {"Message", "x"}}).code,
            "AuthorizationError");
  for (const auto& [name, queue] : queues)
    EXPECT_EQ(try_receive(queue, 0).size(), name == "allowed" ? 1u : 0u) << name;
}

TEST_F(TopicAccess, IsToldToTheAuditLog) {
  const std::string orders(kOrders);
  as("ROOT", "CreateTopic", {{"Name", "orders"}});
  as("ROOT", "SetTopicAttributes",
     {{"TopicArn", orders}, {"AttributeName", "DisplayName"}, {"AttributeValue", "x"}});
  as("ROOT", "SetTopicAttributes",
     {{"TopicArn", orders}, {"AttributeName", "Policy"}, {"AttributeValue", ""}});
  const std::string subscription =
      as("ROOT", "Subscribe",
         {{"TopicArn", orders}, {"Protocol", "sqs"}, {"Endpoint", queue_arn("jobs")}})
          .value("SubscriptionArn");
  as("ROOT", "SetSubscriptionAttributes",
     {{"SubscriptionArn", subscription},
      {"AttributeName", "RawMessageDelivery"},
      {"AttributeValue", "maybe"}});
  as("ROOT", "GetTopicAttributes", {{"TopicArn", orders}});
  as("NOBODY", "DeleteTopic", {{"TopicArn", orders}});
  as("UNKNOWN", "DeleteTopic", {{"TopicArn", orders}});
  as("ROOT", "Unsubscribe", {{"SubscriptionArn", subscription}});
  as("ROOT", "DeleteTopic", {{"TopicArn", orders}});
  EXPECT_EQ(told(), (std::vector<std::string>{
                        "topic.created CreateTopic orders ok",
                        "topic.changed SetTopicAttributes orders ok",
                        "policy.changed SetTopicAttributes orders ok",
                        "subscription.created Subscribe orders ok",
                        "subscription.changed SetSubscriptionAttributes orders InvalidParameter",
                        "access.denied DeleteTopic orders AuthorizationError",
                        "signature.refused - - InvalidClientTokenId",
                        "subscription.deleted Unsubscribe orders ok",
                        "topic.deleted DeleteTopic orders ok",
                    }));
}

}  // namespace
}  // namespace millrace::net::sns

// AddPermission and RemovePermission, and the topic's policy, of which they are statements.
#include <nlohmann/json.hpp>

#include "tests/net/sns/sns_harness.h"

namespace millrace::net::sns {
namespace {

using Json = nlohmann::ordered_json;

class TopicPermissions : public SnsTest {
 protected:
  void SetUp() override {
    start(2);
    arn_ = make("orders");
  }
  Json policy() {
    return Json::parse(well("GetTopicAttributes", {{"TopicArn", arn_}}).attributes().at("Policy"));
  }
  Form grant(const std::string& label) const {
    return {{"TopicArn", arn_},
            {"Label", label},
            {"AWSAccountId.member.1", "111122223333"},
            {"ActionName.member.1", "Publish"}};
  }
  std::string arn_;
};

TEST_F(TopicPermissions, AreStatementsBesideThoseOfTheDefaultPolicy) {
  EXPECT_FALSE(well("AddPermission", grant("partner")).find("AddPermissionResult"));
  Json has = policy();
  ASSERT_EQ(has["Statement"].size(), 2u);
  EXPECT_EQ(has["Statement"][0]["Sid"], "__default_statement_ID");
  EXPECT_EQ(has["Statement"][1].dump(),
            R"({"Sid":"partner","Effect":"Allow","Principal":{"AWS":)"
            R"("arn:aws:iam::111122223333:root"},"Action":"SNS:Publish","Resource":")" +
                arn_ + R"("})");
  EXPECT_EQ(refused("AddPermission", grant("partner")), kInvalid + "Statement already exists");
  well("RemovePermission", {{"TopicArn", arn_}, {"Label", "partner"}});
  EXPECT_EQ(policy()["Statement"].size(), 1u);
  EXPECT_EQ(refused("RemovePermission", {{"TopicArn", arn_}, {"Label", "partner"}}),
            kInvalid + "Label");
  EXPECT_EQ(refused("AddPermission", grant("a b")), kInvalid + "Label");
  Form account = grant("x");
  account[2].second = "1234";
  EXPECT_EQ(refused("AddPermission", account), kInvalid + "AWSAccountId");
  Form action = grant("x");
  action[3].second = "SendMessage";
  EXPECT_EQ(refused("AddPermission", action),
            kInvalid + "Policy statement action out of service scope!");
}

// Each reads the policy before any is set: none may undo another's.
TEST_F(TopicPermissions, GivenAtOnceAreAllThere) {
  constexpr int kCount = 15;
  const auto other = front_of(1);
  std::vector<FakeExchange> exchanges(kCount);
  for (int i = 0; i < kCount; ++i)
    give(i % 2 == 1 ? *other : *front_,
         form_text("AddPermission", grant("label-" + std::to_string(i))),
         exchanges[static_cast<size_t>(i)], signed_fields());
  for (const FakeExchange& exchange : exchanges) {
    until([&] { return exchange.answered; });
    EXPECT_EQ(exchange.status, 200) << exchange.body;
  }
  EXPECT_EQ(policy()["Statement"].size(), size_t{kCount} + 1);
}

}  // namespace
}  // namespace millrace::net::sns

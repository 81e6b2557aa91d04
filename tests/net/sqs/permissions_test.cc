// AddPermission and RemovePermission, and the queue's policy, of which they are statements.
#include "tests/net/sqs/sqs_harness.h"

namespace millrace::net::sqs {
namespace {

using PermissionsTest = SqsTest;
MR_BOTH_PROTOCOLS(PermissionsTest);

class PermissionsAtOnce : public SqsTest {
 protected:
  void SetUp() override { start(2); }
};
MR_BOTH_PROTOCOLS(PermissionsAtOnce);

// Each reads the policy before any is set: none may undo another's.
TEST_P(PermissionsAtOnce, AreAllThere) {
  constexpr int kCount = 20;
  const std::string url = make("jobs");
  SqsFront other(shard(1), std::make_unique<AllowAll>(settings_.account, settings_.region), shared_,
                 settings_, 8);
  std::vector<FakeExchange> exchanges(kCount);
  for (int i = 0; i < kCount; ++i) {
    SqsFront& front = i % 2 == 1 ? other : *front_;
    ask_of(front, "AddPermission",
           {{"QueueUrl", url},
            {"Label", "label-" + std::to_string(i)},
            {"AWSAccountIds", {"111122223333"}},
            {"Actions", {"SendMessage"}}},
           exchanges[static_cast<size_t>(i)]);
  }
  for (const FakeExchange& exchange : exchanges) {
    wait_for(exchange);
    EXPECT_EQ(exchange.status, 200) << exchange.body;
  }
  EXPECT_EQ(Json::parse(attribute(url, "Policy"))["Statement"].size(), size_t{kCount});

  FakeExchange removed, emptied, added;
  ask("RemovePermission", {{"QueueUrl", url}, {"Label", "label-7"}}, removed);
  ask("RemovePermission", {{"QueueUrl", url}, {"Label", "label-7"}}, emptied);
  ask_of(other, "AddPermission",
         {{"QueueUrl", url},
          {"Label", "one-more"},
          {"AWSAccountIds", {"111122223333"}},
          {"Actions", {"SendMessage"}}},
         added);
  for (const FakeExchange* exchange : {&removed, &emptied, &added})
    wait_for(*exchange);
  EXPECT_EQ(removed.status, 200);
  EXPECT_EQ(emptied.status, 400) << "it was gone by then";
  EXPECT_NE(attribute(url, "Policy").find("label-6"), std::string::npos);
}

TEST_P(PermissionsTest, PermissionsAreStatementsOfThePolicy) {
  const std::string url = make("jobs");
  EXPECT_TRUE(well("AddPermission", {{"QueueUrl", url},
                                     {"Label", "one"},
                                     {"AWSAccountIds", {"111122223333"}},
                                     {"Actions", {"SendMessage"}}})
                  .is_null());
  EXPECT_EQ(
      attribute(url, "Policy"),
      R"({"Version":"2008-10-17","Id":"arn:aws:sqs:us-east-1:000000000000:jobs/SQSDefaultPolicy",)"
      R"("Statement":[{"Sid":"one","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},)"
      R"("Action":"SQS:SendMessage","Resource":"arn:aws:sqs:us-east-1:000000000000:jobs"}]})");
  well("AddPermission", {{"QueueUrl", url},
                         {"Label", "two"},
                         {"AWSAccountIds", {"111122223333", "444455556666"}},
                         {"Actions", {"*", "PurgeQueue"}}});
  const Json policy = Json::parse(attribute(url, "Policy"));
  EXPECT_EQ(policy["Statement"][1]["Action"], Json({"SQS:*", "SQS:PurgeQueue"}));
  EXPECT_EQ(policy["Statement"][1]["Principal"]["AWS"],
            Json({"arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"}));
  EXPECT_TRUE(well("RemovePermission", {{"QueueUrl", url}, {"Label", "one"}}).is_null());
  EXPECT_EQ(Json::parse(attribute(url, "Policy"))["Statement"].size(), 1u);
  EXPECT_EQ(refused("RemovePermission", {{"QueueUrl", url}, {"Label", "one"}}),
            "InvalidParameterValue: Value one for parameter Label is invalid. Reason: can't find "
            "label.");
  well("RemovePermission", {{"QueueUrl", url}, {"Label", "two"}});
  EXPECT_EQ(well("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"Policy"}}}),
            Json::object());
}

TEST_P(PermissionsTest, TwentyStatementsAreTheMost) {
  const std::string url = make("jobs");
  const auto add = [&](int i) {
    return Json{{"QueueUrl", url},
                {"Label", "l" + std::to_string(i)},
                {"AWSAccountIds", {"111122223333"}},
                {"Actions", {"SendMessage"}}};
  };
  for (int i = 0; i < 20; ++i)
    well("AddPermission", add(i));
  EXPECT_EQ(
      refused("AddPermission", add(3)),
      "InvalidParameterValue: Value l3 for parameter Label is invalid. Reason: Already exists.");
  EXPECT_EQ(refused("AddPermission", add(20), 403),
            "OverLimit: 21 Statements were found, maximum allowed is 20.");
}

TEST_P(PermissionsTest, PolicyIsKeptAsItWasGiven) {
  const std::string url = make("jobs");
  const std::string text = R"({ "Version":"2012-10-17",
 "Statement": {"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"} })";
  const auto set = [&](std::string_view policy) {
    return Json{{"QueueUrl", url}, {"Attributes", {{"Policy", policy}}}};
  };
  well("SetQueueAttributes", set(text));
  EXPECT_EQ(attribute(url, "Policy"), text);
  EXPECT_EQ(refused("SetQueueAttributes", set("{")),
            "InvalidAttributeValue: Invalid value for the parameter Policy.");
  std::string many = R"({"Statement":[{})";
  for (int i = 0; i < 20; ++i)
    many += ",{}";
  EXPECT_EQ(refused("SetQueueAttributes", set(many + "]}"), 403),
            "OverLimit: 21 statements were found in the submitted policy, max allowed is 20");
  // Its one statement becomes a list when another joins it.
  well("AddPermission", {{"QueueUrl", url},
                         {"Label", "one"},
                         {"AWSAccountIds", {"111122223333"}},
                         {"Actions", {"SendMessage"}}});
  EXPECT_EQ(Json::parse(attribute(url, "Policy"))["Statement"].size(), 2u);
  well("SetQueueAttributes", set(""));
  EXPECT_EQ(attribute(url, "Policy"), "");
}

}  // namespace
}  // namespace millrace::net::sqs

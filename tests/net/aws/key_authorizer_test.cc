// The authorizer of a server with credentials: who gets in, and who may do what.
#include "net/aws/key_authorizer.h"

#include <gtest/gtest.h>

#include "base/log_line.h"
#include "net/aws/verdict.h"
#include "tests/net/aws/signed_request.h"

namespace millrace::net {
namespace {

using test::Signing;
using test::TestRequest;

constexpr const char* kPeople = R"(
[[user]]
name = "orders"
  [[user.rule]]
  allow = ["SendMessage", "GetQueueUrl", "CreateQueue", "ListQueues"]
  queues = ["orders*"]
  [[user.rule]]
  deny = ["PurgeQueue"]
[[user]]
name = "guest"
account = "111111111111"
  [[user.rule]]
  allow = ["sqs:*"]
[[user]]
name = "bystander"
account = "111111111111"
[[user]]
name = "nobody"

[[key]]
id = "ROOT"
secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
[[key]]
id = "ORDERS"
secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
user = "orders"
[[key]]
id = "NOBODY"
secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
user = "nobody"
[[key]]
id = "GUEST"
secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
user = "guest"
account = "111111111111"
[[key]]
id = "BYSTANDER"
secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
user = "bystander"
account = "111111111111"
[[key]]
id = "GUESTROOT"
secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
account = "111111111111"
)";

class KeyAuthorizerTest : public testing::Test {
 protected:
  KeyAuthorizerTest() { base::set_log(base::LogLevel::error, base::LogFormat::text); }
  ~KeyAuthorizerTest() override { base::set_log(base::LogLevel::info, base::LogFormat::text); }

  void use(const std::string& mode, const std::string& people = kPeople) {
    store_->put(test::credentials_of("mode = '" + mode + "'\n" + people));
    if (!authorizer_) {
      authorizer_ = std::make_unique<KeyAuthorizer>(
          store_, "000000000000", "us-east-1", +[] { return test::kSignedAt; });
    }
  }

  AwsError authenticate(TestRequest& request) {
    return authorizer_->authenticate(request.view(), "sqs", &caller_);
  }
  // Signed by `key`, and then asks for the action on the queue.
  AwsError ask(const std::string& key, std::string_view action, std::string_view queue,
               std::string_view policy = {}, bool owner_only = false) {
    TestRequest request = test::example_request();
    Signing with;
    with.key_id = key;
    test::sign(request, with);
    if (AwsError refused = authenticate(request)) return refused;
    return authorizer_->authorize(request.view(), caller_,
                                  {.service = "sqs",
                                   .action = action,
                                   .owner_only = owner_only,
                                   .region = "us-east-1",
                                   .account = "000000000000",
                                   .resource = queue,
                                   .policy = policy});
  }
  bool may(const std::string& key, std::string_view action, std::string_view queue,
           std::string_view policy = {}, bool owner_only = false) {
    return !ask(key, action, queue, policy, owner_only);
  }

  std::shared_ptr<CredentialStore> store_ = std::make_shared<CredentialStore>("", "000000000000");
  std::unique_ptr<KeyAuthorizer> authorizer_;
  Caller caller_;
};

TEST_F(KeyAuthorizerTest, OffTakesAnythingAndRelaxedAnyKnownKey) {
  TestRequest unsigned_request = test::example_request();
  TestRequest badly_signed = test::example_request();
  Signing with;
  with.key_id = "ORDERS";
  with.secret = "wrong";
  with.region = "mars-1";
  test::sign(badly_signed, with);
  TestRequest unknown = test::example_request();
  test::sign(unknown);

  use("off");
  EXPECT_FALSE(authenticate(unsigned_request));
  EXPECT_FALSE(authenticate(unknown));
  EXPECT_EQ(caller_.account, "000000000000");
  EXPECT_FALSE(authenticate(badly_signed));
  EXPECT_EQ(caller_.region, "mars-1");

  use("relaxed");
  EXPECT_EQ(authenticate(unsigned_request).kind, &errors::kAccessDenied);
  EXPECT_EQ(authenticate(unknown).kind, &errors::kUnrecognizedClient);
  EXPECT_FALSE(authenticate(badly_signed));
  EXPECT_EQ(caller_.arn, "arn:aws:iam::000000000000:user/orders");
  EXPECT_EQ(caller_.region, "us-east-1");

  use("strict");
  EXPECT_EQ(authenticate(badly_signed).kind, &errors::kInvalidSignature);
}

TEST_F(KeyAuthorizerTest, TellsWhoCalls) {
  use("strict");
  EXPECT_TRUE(may("ROOT", "SendMessage", "x"));
  EXPECT_EQ(caller_.arn, "arn:aws:iam::000000000000:root");
  EXPECT_EQ(caller_.user_id, "");
  EXPECT_TRUE(may("ORDERS", "SendMessage", "orders"));
  EXPECT_EQ(caller_.arn, "arn:aws:iam::000000000000:user/orders");
  EXPECT_EQ(caller_.user_id.size(), 21u);
  EXPECT_EQ(caller_.user_id.substr(0, 4), "AIDA");
}

TEST_F(KeyAuthorizerTest, AReloadIsSeenByTheNextRequest) {
  use("strict");
  TestRequest request = test::example_request();
  Signing with;
  with.key_id = "ROOT";
  test::sign(request, with);
  ASSERT_FALSE(authenticate(request));
  // The same key with another secret: what was derived from the old one must be forgotten.
  use("strict", "[[key]]\nid = 'ROOT'\nsecret = '0123456789abcdef'\n");
  EXPECT_EQ(authenticate(request).kind, &errors::kInvalidSignature);
  use("strict", "[[key]]\nid = 'OTHER'\nsecret = '0123456789abcdef'\n");
  EXPECT_EQ(authenticate(request).kind, &errors::kUnrecognizedClient);
}

// What can be wrong with a request's authentication, and the code and status it is refused with.
TEST_F(KeyAuthorizerTest, BadAuthenticationIsRefusedByTheTable) {
  struct Row {
    const char* what;
    void (*before)(TestRequest&, Signing&);
    void (*after)(TestRequest&);
    std::string_view code;
    int status;
  };
  const auto as_signed = [](TestRequest&, Signing&) {};
  const auto as_sent = [](TestRequest&) {};
  const Row rows[] = {
      {"no Authorization", as_signed, [](TestRequest& r) { r.remove("Authorization"); },
       "AccessDenied", 403},
      {"16 minutes old", [](TestRequest&, Signing& s) { s.time = "20250102T024805Z"; }, as_sent,
       "SignatureDoesNotMatch", 403},
      {"16 minutes ahead", [](TestRequest&, Signing& s) { s.time = "20250102T032005Z"; }, as_sent,
       "SignatureDoesNotMatch", 403},
      {"scope of another date", [](TestRequest&, Signing& s) { s.date = "20250101"; }, as_sent,
       "SignatureDoesNotMatch", 403},
      {"wrong region", [](TestRequest&, Signing& s) { s.region = "eu-west-1"; }, as_sent,
       "SignatureDoesNotMatch", 403},
      {"wrong service", [](TestRequest&, Signing& s) { s.service = "sns"; }, as_sent,
       "SignatureDoesNotMatch", 403},
      {"host unsigned", [](TestRequest&, Signing& s) { s.unsigned_fields = {"host"}; }, as_sent,
       "SignatureDoesNotMatch", 403},
      {"date unsigned", [](TestRequest&, Signing& s) { s.unsigned_fields = {"x-amz-date"}; },
       as_sent, "SignatureDoesNotMatch", 403},
      {"last nibble wrong", as_signed,
       [](TestRequest& r) {
         char& last = r.field("Authorization")->back();
         last = last == '0' ? '1' : '0';
       },
       "SignatureDoesNotMatch", 403},
      {"unknown key", [](TestRequest&, Signing& s) { s.key_id = "UNKNOWN"; }, as_sent,
       "InvalidClientTokenId", 403},
      {"body changed", as_signed, [](TestRequest& r) { r.body[3] ^= 1; }, "SignatureDoesNotMatch",
       403},
      {"unsigned payload",
       [](TestRequest& r, Signing&) { r.add("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"); }, as_sent,
       "SignatureDoesNotMatch", 403},
      {"algorithm none", as_signed,
       [](TestRequest& r) { r.field("Authorization")->replace(0, 16, "none"); },
       "SignatureDoesNotMatch", 403},
      {"two Authorizations", as_signed,
       [](TestRequest& r) { r.add("Authorization", *r.field("Authorization")); },
       "SignatureDoesNotMatch", 403},
      {"no signature", as_signed,
       [](TestRequest& r) {
         std::string& value = *r.field("Authorization");
         value.resize(value.find(", Signature="));
       },
       "IncompleteSignature", 400},
  };
  use("strict");
  for (const Row& row : rows) {
    TestRequest request = test::example_request();
    Signing with;
    with.key_id = "ROOT";
    row.before(request, with);
    test::sign(request, with);
    row.after(request);
    const AwsError refused = authenticate(request);
    ASSERT_TRUE(refused) << row.what;
    EXPECT_EQ(refused.kind->code, row.code) << row.what;
    EXPECT_EQ(refused.kind->status, row.status) << row.what;
  }
}

TEST_F(KeyAuthorizerTest, TheAccountMayAllInItsOwnAndAUserWhatPoliciesAllow) {
  use("strict");
  EXPECT_TRUE(may("ROOT", "SendMessage", "anything"));
  EXPECT_TRUE(may("ROOT", "DeleteQueue", "anything", {}, true));
  EXPECT_TRUE(may("ORDERS", "SendMessage", "orders-eu"));
  EXPECT_TRUE(may("ORDERS", "CreateQueue", "orders-eu", {}, true));
  EXPECT_FALSE(may("ORDERS", "SendMessage", "billing"));
  EXPECT_FALSE(may("ORDERS", "ReceiveMessage", "orders-eu"));
  EXPECT_FALSE(may("ORDERS", "DeleteQueue", "orders-eu", {}, true));
  EXPECT_FALSE(may("NOBODY", "SendMessage", "orders"));
  EXPECT_EQ(ask("ORDERS", "ReceiveMessage", "orders").text,
            "User: arn:aws:iam::000000000000:user/orders is not authorized to perform: "
            "sqs:receivemessage on resource: arn:aws:sqs:us-east-1:000000000000:orders because no "
            "identity-based policy allows the sqs:receivemessage action");
  // A user who may list the queues of a name has no right to list all.
  EXPECT_FALSE(may("ORDERS", "ListQueues", "", {}, true));
}

std::string policy_of(std::string_view effect, std::string_view principal,
                      std::string_view action = "sqs:*") {
  return R"({"Statement":{"Effect":")" + std::string(effect) + R"(","Principal":)" +
         std::string(principal) + R"(,"Action":")" + std::string(action) +
         R"(","Resource":"arn:aws:sqs:us-east-1:000000000000:q"}})";
}

TEST_F(KeyAuthorizerTest, TheQueuesPolicyAddsInTheAccountAndIsNeededAcrossAccounts) {
  use("strict");
  const std::string to_user =
      policy_of("Allow", R"({"AWS":"arn:aws:iam::000000000000:user/nobody"})");
  EXPECT_TRUE(may("NOBODY", "ReceiveMessage", "q", to_user));
  EXPECT_FALSE(may("ORDERS", "ReceiveMessage", "q", to_user));
  EXPECT_FALSE(may("NOBODY", "ReceiveMessage", "other", to_user));
  // To the account means: for what the account's own policies allow.
  EXPECT_FALSE(
      may("NOBODY", "ReceiveMessage", "q", policy_of("Allow", R"({"AWS":"000000000000"})")));

  const std::string to_account = policy_of("Allow", R"({"AWS":"111111111111"})");
  EXPECT_FALSE(may("GUEST", "SendMessage", "q"));
  EXPECT_EQ(ask("GUEST", "SendMessage", "q").text,
            "User: arn:aws:iam::111111111111:user/guest is not authorized to perform: "
            "sqs:sendmessage on resource: arn:aws:sqs:us-east-1:000000000000:q because no "
            "resource-based policy allows the sqs:sendmessage action");
  EXPECT_TRUE(may("GUEST", "SendMessage", "q", to_account));
  EXPECT_FALSE(may("BYSTANDER", "SendMessage", "q", to_account));
  EXPECT_TRUE(may("GUESTROOT", "SendMessage", "q", to_account));
  EXPECT_TRUE(may("GUESTROOT", "SendMessage", "q", policy_of("Allow", R"("*")")));
}

TEST_F(KeyAuthorizerTest, WhatIsOnlyForTheOwnerNoPolicyGivesAway) {
  use("strict");
  const std::string to_all = policy_of("Allow", R"("*")", "*");
  for (const char* action : {"AddPermission", "RemovePermission", "DeleteQueue",
                             "SetQueueAttributes", "ListQueueTags", "TagQueue", "UntagQueue"}) {
    EXPECT_FALSE(may("GUESTROOT", action, "q", to_all, true)) << action;
    EXPECT_FALSE(may("NOBODY", action, "q", to_all, true)) << action;
    EXPECT_TRUE(may("ROOT", action, "q", to_all, true)) << action;
  }
}

TEST_F(KeyAuthorizerTest, ADenyHoldsForTheOwnerWhoCanTakeItBack) {
  use("strict");
  const std::string closed = policy_of("Deny", R"("*")", "*");
  EXPECT_EQ(ask("ROOT", "SendMessage", "q", closed).text,
            "User: arn:aws:iam::000000000000:root is not authorized to perform: sqs:sendmessage on "
            "resource: arn:aws:sqs:us-east-1:000000000000:q with an explicit deny in a "
            "resource-based policy");
  EXPECT_FALSE(may("ROOT", "DeleteQueue", "q", closed, true));
  EXPECT_TRUE(may("ROOT", "SetQueueAttributes", "q", closed, true));
  EXPECT_TRUE(may("ROOT", "RemovePermission", "q", closed, true));
  EXPECT_FALSE(may("GUESTROOT", "SetQueueAttributes", "q", closed, true));
  // The user's own Deny wins over the queue's Allow.
  EXPECT_EQ(ask("ORDERS", "PurgeQueue", "q", policy_of("Allow", R"("*")")).text,
            "User: arn:aws:iam::000000000000:user/orders is not authorized to perform: "
            "sqs:purgequeue on resource: arn:aws:sqs:us-east-1:000000000000:q with an explicit "
            "deny in an identity-based policy");
}

TEST_F(KeyAuthorizerTest, APolicyThatIsNotUnderstoodLetsOnlyTheOwnerRepairIt) {
  use("strict");
  const char* strange = R"({"Statement":{"Effect":"Allow","NotPrincipal":"*"}})";
  EXPECT_EQ(ask("ROOT", "SendMessage", "q", strange).text,
            "User: arn:aws:iam::000000000000:root is not authorized to perform: sqs:sendmessage on "
            "resource: arn:aws:sqs:us-east-1:000000000000:q because its resource-based policy "
            "cannot be read");
  EXPECT_TRUE(may("ROOT", "SetQueueAttributes", "q", strange, true));
}

TEST_F(KeyAuthorizerTest, AChangedPolicyCountsAtOnce) {
  use("strict");
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(may("ROOT", "SendMessage", "q", policy_of("Allow", R"("*")")));
    EXPECT_FALSE(may("ROOT", "SendMessage", "q", policy_of("Deny", R"("*")")));
    EXPECT_TRUE(may("ROOT", "SendMessage", "q"));
  }
}

TEST(ResourcePoliciesOfMany, AreReadAnew) {
  ResourcePolicies policies;
  for (size_t i = 0; i < ResourcePolicies::kCountMax * 2; ++i)
    ASSERT_NE(policies.find("q" + std::to_string(i), PolicyOf::queue, policy_of("Deny", R"("*")")),
              nullptr);
}

// All there is to say, against the sentences of the header.
TEST(VerdictRules, AreAsTheySayInWords) {
  constexpr Decision kDecisions[] = {Decision::none, Decision::delegated, Decision::allowed,
                                     Decision::denied};
  for (const Decision by_user : {Decision::none, Decision::allowed, Decision::denied}) {
    for (const Decision by_queue : kDecisions) {
      for (int flags = 0; flags < 4; ++flags) {
        const bool same_account = (flags & 1) != 0;
        const bool owner_only = (flags & 2) != 0;
        const bool allowed = judge({.by_user = by_user,
                                    .by_queue = by_queue,
                                    .same_account = same_account,
                                    .owner_only = owner_only}) == Verdict::allowed;
        bool expected =
            same_account
                ? by_user == Decision::allowed || (by_queue == Decision::allowed && !owner_only)
                : by_user == Decision::allowed && !owner_only &&
                      (by_queue == Decision::allowed || by_queue == Decision::delegated);
        if (by_user == Decision::denied || by_queue == Decision::denied) expected = false;
        EXPECT_EQ(allowed, expected)
            << static_cast<int>(by_user) << static_cast<int>(by_queue) << flags;
      }
    }
  }
  // A topic: the queue's policy is needed and enough.
  const auto topic = [](Decision by_queue) {
    return judge({.by_user = Decision::allowed, .by_queue = by_queue, .is_service = true});
  };
  EXPECT_EQ(topic(Decision::allowed), Verdict::allowed);
  EXPECT_EQ(topic(Decision::none), Verdict::no_queue_policy);
  EXPECT_EQ(topic(Decision::denied), Verdict::denied_by_queue);
}

}  // namespace
}  // namespace millrace::net

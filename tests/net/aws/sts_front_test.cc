// GetCallerIdentity: who is told what, and what goes past it.
#include "net/aws/sts_front.h"

#include <gtest/gtest.h>

#include "net/aws/key_authorizer.h"
#include "tests/net/aws/signed_request.h"
#include "tests/net/fake_exchange.h"

namespace millrace::net {
namespace {

using test::Signing;
using test::TestRequest;

class Others final : public HttpFront {
 public:
  void handle(const HttpRequest&, HttpExchange&) override { ++handled; }
  void cancel(HttpExchange&) override { ++canceled; }
  void stop_waiting(HttpExchange&) override { ++stopped; }
  int handled = 0, canceled = 0, stopped = 0;
};

class StsFrontTest : public testing::Test {
 protected:
  StsFrontTest() {
    auto store = std::make_shared<CredentialStore>("", test::kAccount);
    store->put(test::credentials_of(
        "[[user]]\nname = 'worker'\n[[key]]\nid = 'WORKER'\nuser = 'worker'\nsecret = '" +
        std::string(test::kSecret) + "'\n[[key]]\nid = 'ROOT'\nsecret = '" + test::kSecret +
        "'\n"));
    front_ = std::make_unique<StsFront>(
        std::make_unique<KeyAuthorizer>(
            store, test::kAccount, "us-east-1", +[] { return test::kSignedAt; }),
        others_, 1);
  }
  void ask(const std::string& key, const std::string& service, const std::string& body) {
    TestRequest request;
    request.fields = {{"Host", "h"}, {"Content-Type", "application/x-www-form-urlencoded"}};
    request.body = body;
    Signing with;
    with.key_id = key;
    with.service = service;
    if (!key.empty()) test::sign(request, with);
    exchange_ = {};
    front_->handle(request.view(), exchange_);
  }

  Others others_;
  test::FakeExchange exchange_;
  std::unique_ptr<StsFront> front_;
};

constexpr const char* kAsk = "Action=GetCallerIdentity&Version=2011-06-15";

TEST_F(StsFrontTest, TellsAUserAndAnAccountWhoTheyAre) {
  ask("ROOT", "sts", kAsk);
  EXPECT_EQ(exchange_.status, 200);
  EXPECT_EQ(exchange_.content_type, "text/xml");
  EXPECT_EQ(exchange_.body.substr(0, exchange_.body.find("<ResponseMetadata>")),
            "<?xml version=\"1.0\"?>\n<GetCallerIdentityResponse "
            "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>"
            "<Arn>arn:aws:iam::000000000000:root</Arn><UserId>000000000000</UserId>"
            "<Account>000000000000</Account></GetCallerIdentityResult>");
  ask("WORKER", "sts", kAsk);
  EXPECT_NE(exchange_.body.find("<Arn>arn:aws:iam::000000000000:user/worker</Arn><UserId>AIDA"),
            std::string::npos);
  EXPECT_EQ(others_.handled, 0);
}

TEST_F(StsFrontTest, RefusesWhoCannotShowIt) {
  ask("NOBODY", "sts", kAsk);
  EXPECT_EQ(exchange_.status, 403);
  EXPECT_NE(exchange_.body.find("<Code>InvalidClientTokenId</Code>"), std::string::npos);
  ask("", "", kAsk);
  EXPECT_EQ(exchange_.status, 403);
  EXPECT_NE(exchange_.body.find("<Code>MissingAuthenticationToken</Code>"), std::string::npos);
  ask("ROOT", "sts", "Action=AssumeRole&Version=2011-06-15");
  EXPECT_EQ(exchange_.status, 400);
  EXPECT_NE(exchange_.body.find("<Code>InvalidAction</Code>"), std::string::npos);
}

TEST_F(StsFrontTest, HandsOnWhatIsForOthers) {
  ask("ROOT", "sqs", std::string("Action=SendMessage&MessageBody=") + kAsk);
  ask("ROOT", "sqs", kAsk);
  ask("", "", "Action=SendMessage&MessageBody=/sts/aws4");
  EXPECT_EQ(others_.handled, 3);
  EXPECT_EQ(exchange_.status, 0);
  front_->cancel(exchange_);
  front_->stop_waiting(exchange_);
  EXPECT_EQ(others_.canceled, 1);
  EXPECT_EQ(others_.stopped, 1);
}

}  // namespace
}  // namespace millrace::net

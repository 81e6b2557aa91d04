// What SQS tells the audit log: each change with what became of it, and who was refused.
#include <fstream>
#include <unistd.h>
#include <vector>

#include "net/aws/key_authorizer.h"
#include "tests/net/sqs/sqs_harness.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::sqs {
namespace {

class SqsAudit : public SqsBroker {
 protected:
  void SetUp() override {
    std::string why;
    log_ = AuditLog::open(path_, &why);
    settings_.audit = log_.get();
    SqsBroker::SetUp();
  }
  // "event action queue result", and the lines themselves.
  std::vector<std::string> told() {
    log_->stop();
    std::vector<std::string> told;
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) {
      lines_.push_back(Json::parse(line));
      const auto text = [&](const char* name) {
        return lines_.back().value(name, std::string("-"));
      };
      told.push_back(text("event") + " " + text("action") + " " + text("queue") + " " +
                     text("result"));
    }
    return told;
  }
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "audit.log";
  std::unique_ptr<AuditLog> log_;
  std::vector<Json> lines_;
};

TEST_F(SqsAudit, ChangesAreToldAndMessagesAreNot) {
  const std::string url = "http://127.0.0.1:9324/000000000000/orders";
  const auto ask = [&](Protocol protocol, const char* action, const Json& input) {
    return call(protocol, action, input).code;
  };
  EXPECT_EQ(ask(Protocol::json, "CreateQueue", {{"QueueName", "orders"}}), "");
  EXPECT_EQ(ask(Protocol::query, "CreateQueue",
                {{"QueueName", "orders"}, {"Attributes", {{"DelaySeconds", "7"}}}}),
            "QueueAlreadyExists");
  EXPECT_EQ(ask(Protocol::json, "SetQueueAttributes",
                {{"QueueUrl", url}, {"Attributes", {{"DelaySeconds", "1"}}}}),
            "");
  EXPECT_EQ(ask(Protocol::query, "SetQueueAttributes",
                {{"QueueUrl", url}, {"Attributes", {{"Policy", ""}}}}),
            "");
  EXPECT_EQ(ask(Protocol::json, "AddPermission",
                {{"QueueUrl", url},
                 {"Label", "l"},
                 {"AWSAccountIds", {"111111111111"}},
                 {"Actions", {"SendMessage"}}}),
            "");
  EXPECT_EQ(ask(Protocol::json, "RemovePermission", {{"QueueUrl", url}, {"Label", "l"}}), "");
  EXPECT_EQ(ask(Protocol::json, "TagQueue", {{"QueueUrl", url}, {"Tags", {{"a", "b"}}}}), "");
  EXPECT_EQ(ask(Protocol::json, "UntagQueue", {{"QueueUrl", url}, {"TagKeys", {"a"}}}), "");
  EXPECT_EQ(ask(Protocol::json, "SendMessage", {{"QueueUrl", url}, {"MessageBody", "private"}}),
            "");
  EXPECT_EQ(ask(Protocol::json, "ReceiveMessage", {{"QueueUrl", url}}), "");
  EXPECT_EQ(ask(Protocol::json, "ListQueues", Json::object()), "");
  EXPECT_EQ(ask(Protocol::json, "PurgeQueue", {{"QueueUrl", url}}), "");
  EXPECT_EQ(ask(Protocol::query, "PurgeQueue", {{"QueueUrl", url}}),
            "AWS.SimpleQueueService.PurgeQueueInProgress");
  EXPECT_EQ(ask(Protocol::json, "StartMessageMoveTask",
                {{"SourceArn", "arn:aws:sqs:us-east-1:000000000000:orders"}}),
            "InvalidParameterValue");
  EXPECT_EQ(ask(Protocol::json, "DeleteQueue", {{"QueueUrl", url}}), "");
  const std::vector<std::string> expected = {
      "queue.created CreateQueue orders ok",
      "queue.created CreateQueue orders QueueAlreadyExists",
      "queue.changed SetQueueAttributes orders ok",
      "policy.changed SetQueueAttributes orders ok",
      "policy.changed AddPermission orders ok",
      "policy.changed RemovePermission orders ok",
      "queue.changed TagQueue orders ok",
      "queue.changed UntagQueue orders ok",
      "queue.purged PurgeQueue orders ok",
      "queue.purged PurgeQueue orders AWS.SimpleQueueService.PurgeQueueInProgress",
      "move.started StartMessageMoveTask orders InvalidParameterValue",
      "queue.deleted DeleteQueue orders ok",
  };
  EXPECT_EQ(told(), expected);
  for (const Json& line : lines_) {
    EXPECT_EQ(line["via"], "http");
    EXPECT_EQ(line["from"], "127.0.0.1");
    EXPECT_EQ(line["who"], "arn:aws:iam::000000000000:root");
    EXPECT_EQ(line["request"].get<std::string>().size(), 36u);
    EXPECT_EQ(line.dump().find("private"), std::string::npos);
  }
}

TEST_F(SqsAudit, AChangeWhoseClientIsGoneIsToldAllTheSame) {
  FakeExchange gone;
  ask(Protocol::json, "CreateQueue", {{"QueueName", "orders"}}, gone);
  ASSERT_FALSE(gone.answered);
  front_->cancel(gone);
  EXPECT_EQ(call(Protocol::json, "GetQueueUrl", {{"QueueName", "none"}}).status, 400);
  until([&] { return shard().find_queue("orders") != nullptr && shard().idle(); });
  ASSERT_EQ(told(), (std::vector<std::string>{"queue.created CreateQueue orders ok"}));
  EXPECT_EQ(lines_[0]["reason"], "the client was gone by then");
  EXPECT_FALSE(lines_[0].contains("request"));
}

TEST_F(SqsAudit, WhoIsRefusedIsToldWithTheKeyThatWasClaimed) {
  std::string text = "[[key]]\nid = \"AKIAROOT\"\nsecret = \"0123456789abcdef\"\n";
  std::string why;
  auto store = std::make_shared<CredentialStore>("", settings_.account);
  store->put(Credentials::parse(text, "keys", settings_.account, &why));
  front_ = std::make_unique<SqsFront>(
      shard(),
      std::make_unique<KeyAuthorizer>(
          store, settings_.account, settings_.region, +[] { return int64_t{1'700'000'000}; }),
      shared_, settings_, 7);
  RawRequest raw = spell(Protocol::json, "CreateQueue", {{"QueueName", "orders"}});
  EXPECT_EQ(call_raw(raw).status, 403);
  raw.fields.emplace_back("X-Amz-Date", "20231114T221320Z");
  raw.fields.emplace_back(
      "Authorization",
      "AWS4-HMAC-SHA256 Credential=AKIANOBODY/20231114/us-east-1/sqs/aws4_request, "
      "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" +
          std::string(64, '0'));
  const Seen refused = call_raw(raw);
  EXPECT_EQ(refused.code, "InvalidClientTokenId");
  EXPECT_EQ(told(),
            (std::vector<std::string>{"signature.refused - - AccessDenied",
                                      "signature.refused - - InvalidClientTokenId"}));
  EXPECT_EQ(lines_[1]["key"], "AKIANOBODY");
  EXPECT_EQ(lines_[1]["reason"], refused.message);
  EXPECT_FALSE(lines_[1].contains("who"));
}

}  // namespace
}  // namespace millrace::net::sqs

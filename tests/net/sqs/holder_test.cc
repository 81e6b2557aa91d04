// Who receives over SQS is told to whoever peeks.
#include "tests/net/sqs/sqs_harness.h"

namespace millrace::net::sqs {
namespace {

class SqsHolder : public SqsTest {
 protected:
  void SetUp() override {
    settings_.holders = &holders_;
    start(GetParam() == Protocol::json ? 2 : 1);
  }
  // As who signs with `key`; empty: nobody.
  Json call_as(std::string_view key, std::string_view action, const Json& input) {
    RawRequest raw = spell(GetParam(), action, input);
    if (!key.empty())
      raw.fields.emplace_back("Authorization", "AWS4-HMAC-SHA256 Credential=" + std::string(key) +
                                                   "/20250102/eu-west-1/sqs/aws4_request, "
                                                   "SignedHeaders=host, Signature=00");
    return call_raw(raw).result;
  }
  // Of the messages, the oldest first on each shard.
  std::vector<std::string> held() {
    const ReplyTo to = reply();
    shard().peek({.queue = shard().find_queue("orders")->id, .messages_max = 100}, to);
    until([&] { return sink_.peeks.contains(to.token); });
    std::vector<std::string> all;
    for (const auto& one : sink_.peeks[to.token])
      all.push_back(one.state == MessageState::leased ? holders_.text(one.holder) : "");
    return all;
  }
  using Texts = std::vector<std::string>;

  Holders holders_;
};

TEST_P(SqsHolder, IsTheAddressAndTheAccessKeyOfWhoReceivedOrExtended) {
  const std::string url = make("orders");
  for (const char* body : {"a", "b", "c"})
    send(url, body);
  const Json one{{"QueueUrl", url}, {"MaxNumberOfMessages", 1}};
  const Json first = call_as("AKIDWORKER", "ReceiveMessage", one)["Messages"][0];
  call_as("", "ReceiveMessage", one);
  EXPECT_EQ(held(), (Texts{"HTTP 127.0.0.1 AKIDWORKER", "HTTP 127.0.0.1", ""}));
  call_as(
      "AKIDOTHER", "ChangeMessageVisibility",
      {{"QueueUrl", url}, {"ReceiptHandle", first["ReceiptHandle"]}, {"VisibilityTimeout", 60}});
  EXPECT_EQ(held(), (Texts{"HTTP 127.0.0.1 AKIDOTHER", "HTTP 127.0.0.1", ""}));
}

TEST_P(SqsHolder, IsTheSameOfAllShardsThatFillAReceive) {
  const std::string url = make("orders");
  send(url, "here");
  const ReplyTo to = reply();
  const engine::Batch there = std::move(engine::Batch().add("there"));
  shard(static_cast<uint16_t>(options_.shards - 1)).send(there.to(shard().find_queue("orders")->id), to);
  until([&] { return sink_.sends.contains(to.token); });
  const Json got =
      call_as("AKIDWORKER", "ReceiveMessage", {{"QueueUrl", url}, {"MaxNumberOfMessages", 10}});
  EXPECT_EQ(got["Messages"].size(), 2u);
  EXPECT_EQ(held(), Texts(2, "HTTP 127.0.0.1 AKIDWORKER"));
}

MR_BOTH_PROTOCOLS(SqsHolder);

}  // namespace
}  // namespace millrace::net::sqs

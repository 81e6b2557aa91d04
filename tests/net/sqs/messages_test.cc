// Sending, receiving, deleting: what goes well, in both protocols.
#include "tests/net/sqs/sqs_harness.h"

namespace millrace::net::sqs {
namespace {

constexpr const char* kHelloMd5 = "5d41402abc4b2a76b9719d911017c592";

TEST_P(SqsTest, MessageIsSentReceivedAndDeleted) {
  const std::string url = make("jobs");
  EXPECT_EQ(url, "http://127.0.0.1:9324/000000000000/jobs");
  const Json sent = send(url, "hello");
  EXPECT_EQ(sent["MD5OfMessageBody"], kHelloMd5);
  EXPECT_EQ(sent.size(), 2u) << sent;

  const Json messages = receive(url);
  ASSERT_EQ(messages.size(), 1u);
  const Json& message = messages[0];
  EXPECT_EQ(message["MessageId"], sent["MessageId"]);
  EXPECT_EQ(message["Body"], "hello");
  EXPECT_EQ(message["MD5OfBody"], kHelloMd5);
  EXPECT_EQ(message.size(), 4u) << message;
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "1");

  EXPECT_TRUE(
      well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", message["ReceiptHandle"]}})
          .is_null());
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "0");
  // Twice is as well as once.
  EXPECT_TRUE(
      well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", message["ReceiptHandle"]}})
          .is_null());
  EXPECT_TRUE(receive(url).empty());
}

TEST_P(SqsTest, UrlIsFoundByName) {
  const std::string url = make("jobs");
  EXPECT_EQ(well("GetQueueUrl", {{"QueueName", "jobs"}}), Json({{"QueueUrl", url}}));
  EXPECT_EQ(refused("GetQueueUrl", {{"QueueName", "job"}}), missing_queue());
}

}  // namespace

MR_BOTH_PROTOCOLS(SqsTest);

}  // namespace millrace::net::sqs

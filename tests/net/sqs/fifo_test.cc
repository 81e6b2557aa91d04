// FIFO queues as SQS's clients see them; what the engine does is tested there.
#include "tests/net/sqs/sqs_harness.h"

namespace millrace::net::sqs {
namespace {

class FifoTest : public SqsTest {
 protected:
  Json send_to(const std::string& url, std::string_view group, std::string_view body,
               std::string_view id = {}) {
    Json input{{"QueueUrl", url}, {"MessageBody", body}, {"MessageGroupId", group}};
    if (!id.empty()) input["MessageDeduplicationId"] = id;
    return well("SendMessage", input);
  }
  static std::vector<std::string> bodies(const Json& messages) {
    std::vector<std::string> found;
    for (const Json& message : messages)
      found.push_back(message["Body"]);
    return found;
  }
  using Bodies = std::vector<std::string>;
};

TEST_P(FifoTest, DuplicateIsAnsweredAsItsOriginal) {
  const std::string url = make_fifo("f.fifo", {{"ContentBasedDeduplication", "true"}});
  const Json first = send_to(url, "g", "hello");
  EXPECT_EQ(first["SequenceNumber"].get<std::string>().size(), 20u);
  EXPECT_EQ(send_to(url, "g", "hello"), first);
  EXPECT_EQ(send_to(url, "h", "hello"), first);
  const Json got = receive(url, {{"AttributeNames", {"All"}}}).at(0);
  EXPECT_EQ(got["Attributes"]["MessageDeduplicationId"],
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_EQ(got["Attributes"]["SequenceNumber"], first["SequenceNumber"]);
  EXPECT_EQ(got["Attributes"]["MessageGroupId"], "g");
  well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", got["ReceiptHandle"]}});
  EXPECT_EQ(send_to(url, "g", "hello"), first);
  // An explicit id wins over the hash; the digest is of the body that came.
  const Json other = send_to(url, "g", "hello", "1");
  EXPECT_NE(other["MessageId"], first["MessageId"]);
  EXPECT_LT(first["SequenceNumber"].get<std::string>(), other["SequenceNumber"].get<std::string>());
  const Json repeated = send_to(url, "g", "world", "1");
  EXPECT_EQ(repeated["MessageId"], other["MessageId"]);
  EXPECT_EQ(repeated["MD5OfMessageBody"], "7d793037a0760186574b0282f2f435e7");
  pass(300'001);
  turns(3);
  EXPECT_NE(send_to(url, "g", "hello")["MessageId"], first["MessageId"]);
}

TEST_P(FifoTest, GroupIsBlockedWhileOneOfItIsInFlight) {
  const std::string url = make_fifo("f.fifo");
  int id = 0;
  for (const char* group : {"a", "a", "b", "a"}) {
    send_to(url, group, group + std::to_string(id), std::to_string(id));
    ++id;
  }
  const Json first = receive(url, {{"MaxNumberOfMessages", 1}});
  EXPECT_EQ(bodies(first), Bodies{"a0"});
  EXPECT_EQ(bodies(receive(url)), Bodies{"b2"});
  EXPECT_TRUE(receive(url).empty());
  // Counted as visible all the same.
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessages"), "2");
  well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", first[0]["ReceiptHandle"]}});
  EXPECT_EQ(bodies(receive(url)), (Bodies{"a1", "a3"}));
}

TEST_P(FifoTest, AttemptIsRepeated) {
  const std::string url = make_fifo("f.fifo");
  send_to(url, "g", "x", "1");
  const Json first = receive(url, {{"ReceiveRequestAttemptId", "try"}});
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(receive(url, {{"ReceiveRequestAttemptId", "try"}}), first);
  EXPECT_TRUE(receive(url, {{"ReceiveRequestAttemptId", "other"}}).empty());
  // A standard queue takes no notice of it.
  const std::string jobs = make("jobs");
  send(jobs, "x");
  EXPECT_EQ(receive(jobs, {{"ReceiveRequestAttemptId", "try"}}).size(), 1u);
  EXPECT_TRUE(receive(jobs, {{"ReceiveRequestAttemptId", "try"}}).empty());
}

TEST_P(FifoTest, DelayOfAMessageIsTheQueues) {
  const std::string url = make_fifo("f.fifo", {{"DelaySeconds", "5"}});
  well("SendMessage", {{"QueueUrl", url},
                       {"MessageBody", "x"},
                       {"MessageGroupId", "g"},
                       {"MessageDeduplicationId", "d"},
                       {"DelaySeconds", 0}});
  EXPECT_TRUE(receive(url).empty());
  pass(5'001);
  EXPECT_EQ(receive(url).size(), 1u);
}

TEST_P(FifoTest, HighThroughputQueueIsMade) {
  const std::string url = make_fifo("f.fifo", {{"DeduplicationScope", "messageGroup"},
                                               {"FifoThroughputLimit", "perMessageGroupId"}});
  const Json first = send_to(url, "a", "x", "1");
  EXPECT_NE(send_to(url, "b", "x", "1")["MessageId"], first["MessageId"]);
  EXPECT_EQ(send_to(url, "a", "y", "1")["MessageId"], first["MessageId"]);
}

TEST_P(FifoTest, ScopeAndLimitCanBeSetLaterAndTheScopeHoldsForWhatIsSentThen) {
  const std::string url = make_fifo("f.fifo");
  const Json first = send_to(url, "a", "x", "1");
  EXPECT_EQ(send_to(url, "b", "x", "1")["MessageId"], first["MessageId"]);
  well("SetQueueAttributes",
       {{"QueueUrl", url},
        {"Attributes",
         {{"DeduplicationScope", "messageGroup"}, {"FifoThroughputLimit", "perMessageGroupId"}}}});
  const Json shown =
      well("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"All"}}})["Attributes"];
  EXPECT_EQ(shown["DeduplicationScope"], "messageGroup");
  EXPECT_EQ(shown["FifoThroughputLimit"], "perMessageGroupId");
  const Json second = send_to(url, "a", "x", "2");
  EXPECT_NE(send_to(url, "b", "x", "2")["MessageId"], second["MessageId"]);
  EXPECT_EQ(send_to(url, "a", "x", "2")["MessageId"], second["MessageId"]);
  EXPECT_EQ(send_to(url, "a", "x", "1")["MessageId"], first["MessageId"]);
}

class SpreadFifoTest : public FifoTest {
 protected:
  void SetUp() override { start(2); }
};

TEST_P(SpreadFifoTest, AQueueCreatedForHighThroughputKeepsItsIdsToTheirGroups) {
  const std::string url = make_fifo("f.fifo", {{"DeduplicationScope", "messageGroup"},
                                               {"FifoThroughputLimit", "perMessageGroupId"}});
  EXPECT_EQ(
      refused(
          "SetQueueAttributes",
          {{"QueueUrl", url},
           {"Attributes", {{"DeduplicationScope", "queue"}, {"FifoThroughputLimit", "perQueue"}}}}),
      "InvalidAttributeValue: Invalid value for the parameter DeduplicationScope. Reason: The "
      "queue was created for high throughput: it is spread by message group, and ids are "
      "known within their groups only.");
  well("SetQueueAttributes",
       {{"QueueUrl", url}, {"Attributes", {{"FifoThroughputLimit", "perQueue"}}}});
}

MR_BOTH_PROTOCOLS(SpreadFifoTest);
MR_BOTH_PROTOCOLS(FifoTest);

}  // namespace
}  // namespace millrace::net::sqs

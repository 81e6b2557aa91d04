// The three batch actions.
#include "tests/net/sqs/refusal_table.h"

namespace millrace::net::sqs {
namespace {

using BatchTest = RefusalTest;

constexpr const char* kEntryNames[][2] = {
    {"SendMessageBatch", "SendMessageBatchRequestEntry"},
    {"DeleteMessageBatch", "DeleteMessageBatchRequestEntry"},
    {"ChangeMessageVisibilityBatch", "ChangeMessageVisibilityBatchRequestEntry"},
};

Json entry(std::string_view id, std::string_view body) {
  return {{"Id", id}, {"MessageBody", body}};
}

TEST_P(BatchTest, EntriesAreAnsweredOneByOneInTheirOrder) {
  const Json sent = well("SendMessageBatch",
                         {{"QueueUrl", jobs_},
                          {"Entries",
                           {entry("a", "one"),
                            entry("b", "bad\x01"),
                            entry("c", "three"),
                            {{"Id", "d"}},
                            {{"Id", "e"}, {"MessageBody", "x"}, {"DelaySeconds", 901}},
                            {{"Id", "f"},
                             {"MessageBody", "six"},
                             {"MessageAttributes",
                              {{"color", {{"DataType", "String"}, {"StringValue", "blue"}}}}}}}}});
  ASSERT_EQ(sent["Successful"].size(), 3u);
  EXPECT_EQ(sent["Successful"][0]["Id"], "a");
  EXPECT_EQ(sent["Successful"][0]["MD5OfMessageBody"], "f97c5d29941bfb1b2fdab0874906ab82");
  EXPECT_EQ(sent["Successful"][0].size(), 3u);
  EXPECT_EQ(sent["Successful"][1]["Id"], "c");
  EXPECT_EQ(sent["Successful"][2]["MD5OfMessageAttributes"], "da1b33cc3cbfe8b1630921e78e6b9880");
  const Json failed = {
      {{"Id", "b"},
       {"SenderFault", true},
       {"Code", "InvalidMessageContents"},
       {"Message",
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | "
        "#xE000 to #xFFFD | #x10000 to #x10FFFF"}},
      {{"Id", "d"},
       {"SenderFault", true},
       {"Code", "MissingParameter"},
       {"Message",
        "The request must contain the parameter SendMessageBatchRequestEntry.4.MessageBody."}},
      {{"Id", "e"},
       {"SenderFault", true},
       {"Code", "InvalidParameterValue"},
       {"Message",
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= "
        "900."}}};
  EXPECT_EQ(sent["Failed"], failed);

  const Json messages = receive(jobs_);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0]["Body"], "one");
  EXPECT_EQ(messages[0]["MessageId"], sent["Successful"][0]["MessageId"]);
  EXPECT_EQ(messages[2]["Body"], "six");

  const auto handle = [&](size_t i) { return messages[i]["ReceiptHandle"]; };
  const Json changed =
      well("ChangeMessageVisibilityBatch",
           {{"QueueUrl", jobs_},
            {"Entries",
             {{{"Id", "1"}, {"ReceiptHandle", handle(0)}, {"VisibilityTimeout", 60}},
              {{"Id", "2"}, {"ReceiptHandle", "garbage"}, {"VisibilityTimeout", 60}},
              {{"Id", "3"}, {"ReceiptHandle", handle(1)}},
              {{"Id", "4"}, {"ReceiptHandle", handle(1)}, {"VisibilityTimeout", 43'201}},
              {{"Id", "5"}, {"VisibilityTimeout", 1}}}}});
  EXPECT_EQ(changed["Successful"], Json::array({{{"Id", "1"}}}));
  ASSERT_EQ(changed["Failed"].size(), 4u);
  EXPECT_EQ(changed["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
  EXPECT_EQ(changed["Failed"][1]["Message"],
            "The request must contain the parameter "
            "ChangeMessageVisibilityBatchRequestEntry.3.VisibilityTimeout.");
  EXPECT_EQ(
      changed["Failed"][2]["Message"],
      "Value 43201 for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must "
      "be an integer between 0 and 43200.");
  EXPECT_EQ(changed["Failed"][3]["Message"],
            "The request must contain the parameter "
            "ChangeMessageVisibilityBatchRequestEntry.5.ReceiptHandle.");

  const Json deleted =
      well("DeleteMessageBatch", {{"QueueUrl", jobs_},
                                  {"Entries",
                                   {{{"Id", "1"}, {"ReceiptHandle", handle(0)}},
                                    {{"Id", "2"}},
                                    {{"Id", "3"}, {"ReceiptHandle", handle(2)}},
                                    {{"Id", "4"}, {"ReceiptHandle", handle(1)}}}}});
  EXPECT_EQ(deleted["Successful"], Json::array({{{"Id", "1"}}, {{"Id", "3"}}, {{"Id", "4"}}}));
  ASSERT_EQ(deleted["Failed"].size(), 1u);
  EXPECT_EQ(
      deleted["Failed"][0]["Message"],
      "The request must contain the parameter DeleteMessageBatchRequestEntry.2.ReceiptHandle.");
  EXPECT_TRUE(receive(jobs_).empty());
}

TEST_P(BatchTest, OneWhoseEntriesAllFailIsAnsweredWell) {
  const Json sent =
      well("SendMessageBatch", {{"QueueUrl", jobs_}, {"Entries", {{{"Id", "a"}}, {{"Id", "b"}}}}});
  EXPECT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent["Failed"].size(), 2u);
  for (const char* action : {"DeleteMessageBatch", "ChangeMessageVisibilityBatch"}) {
    const Json done = well(action, {{"QueueUrl", jobs_}, {"Entries", {{{"Id", "a"}}}}});
    EXPECT_EQ(done.size(), 1u);
    EXPECT_EQ(done["Failed"].size(), 1u);
  }
}

TEST_P(BatchTest, WholeRequestsAreRefusedInTheOrderOfTheChecks) {
  for (const auto& [action, name] : kEntryNames) {
    const auto with = [&](const Json& entries) {
      return refused(action, {{"QueueUrl", jobs_}, {"Entries", entries}});
    };
    // In a form no entries and an empty list of them are the same.
    if (is_json()) {
      EXPECT_EQ(refused(action, {{"QueueUrl", jobs_}}),
                "MissingParameter: The request must contain the parameter Entries.");
    }
    EXPECT_EQ(with(Json::array()),
              "AWS.SimpleQueueService.EmptyBatchRequest: There should be at least one " +
                  std::string(name) + " in the request.");
    Json many = Json::array();
    for (int i = 0; i < 20; ++i)
      many.push_back({{"Id", "same"}});
    EXPECT_EQ(with(many),
              "AWS.SimpleQueueService.TooManyEntriesInBatchRequest: Maximum number of entries per "
              "request are 10. You have sent 20.");
    EXPECT_EQ(
        with({{{"Id", "a"}}, {{"MessageBody", "x"}, {"ReceiptHandle", "y"}}}),
        "MissingParameter: The request must contain the parameter " + std::string(name) + ".2.Id.");
    for (const std::string& bad : {std::string("a b"), std::string("é"), std::string(81, 'a')})
      EXPECT_EQ(with({{{"Id", bad}}}),
                "AWS.SimpleQueueService.InvalidBatchEntryId: A batch entry id can only contain "
                "alphanumeric characters, hyphens and underscores. It can be at most 80 letters "
                "long.");
    EXPECT_EQ(with({{{"Id", "X"}}, {{"Id", "y"}}, {{"Id", "X"}}}),
              "AWS.SimpleQueueService.BatchEntryIdsNotDistinct: Id X repeated.");
    EXPECT_EQ(refused(action, {{"QueueUrl", "nowhere"}}), missing_queue());
  }
}

TEST_P(BatchTest, MayHaveAMebibyteInAll) {
  const std::string half(524'288, 'x');
  const std::string large = make("large");
  const auto batch = [&](const std::string& last) {
    return Json{{"QueueUrl", large}, {"Entries", {entry("1", half), entry("2", last)}}};
  };
  EXPECT_EQ(refused("SendMessageBatch", batch(half + "x")),
            "AWS.SimpleQueueService.BatchRequestTooLong: Batch requests cannot be longer than "
            "1048576 bytes. You have sent 1048577 bytes.");
  EXPECT_EQ(well("SendMessageBatch", batch(half))["Successful"].size(), 2u);
}

TEST_P(BatchTest, EntryLargerThanItsQueueTakesFailsAlone) {
  const std::string small = make("small", {{"MaximumMessageSize", "1024"}});
  const Json sent = well(
      "SendMessageBatch",
      {{"QueueUrl", small}, {"Entries", {entry("1", std::string(1'025, 'x')), entry("2", "y")}}});
  EXPECT_EQ(sent["Successful"].size(), 1u);
  EXPECT_EQ(sent["Failed"][0]["Message"],
            "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 "
            "bytes.");
}

TEST_P(BatchTest, FifoEntryWithoutItsIdsFailsTheWholeCall) {
  EXPECT_EQ(refused("SendMessageBatch", {{"QueueUrl", fifo_},
                                         {"Entries",
                                          {{{"Id", "1"},
                                            {"MessageBody", "x"},
                                            {"MessageGroupId", "g"},
                                            {"MessageDeduplicationId", "d"}},
                                           entry("2", "y")}}}),
            "InvalidParameterValue: The request must contain the parameter MessageGroupId.");
  EXPECT_EQ(
      refused("SendMessageBatch",
              {{"QueueUrl", fifo_},
               {"Entries", {{{"Id", "1"}, {"MessageBody", "x"}, {"MessageGroupId", "g"}}}}}),
      "InvalidParameterValue: The queue should either have ContentBasedDeduplication enabled or "
      "MessageDeduplicationId provided explicitly");
  EXPECT_TRUE(receive(fifo_).empty());
}

TEST_P(BatchTest, OneOfFifoMessagesIsAcceptedInOrder) {
  Json entries = Json::array();
  for (int i = 0; i < 10; ++i)
    entries.push_back({{"Id", std::to_string(i)},
                       {"MessageBody", std::to_string(i)},
                       {"MessageGroupId", "g"},
                       {"MessageDeduplicationId", i == 9 ? "d0" : "d" + std::to_string(i)}});
  const Json sent = well("SendMessageBatch", {{"QueueUrl", fifo_}, {"Entries", entries}});
  ASSERT_EQ(sent["Successful"].size(), 10u);
  // The last one repeats the first.
  EXPECT_EQ(sent["Successful"][9]["MessageId"], sent["Successful"][0]["MessageId"]);
  EXPECT_EQ(sent["Successful"][9]["SequenceNumber"], sent["Successful"][0]["SequenceNumber"]);
  const Json messages = receive(fifo_, {{"AttributeNames", {"SequenceNumber"}}});
  ASSERT_EQ(messages.size(), 9u);
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i]["Body"], std::to_string(i));
    EXPECT_EQ(messages[i]["Attributes"]["SequenceNumber"], sent["Successful"][i]["SequenceNumber"]);
  }
}

MR_BOTH_PROTOCOLS(BatchTest);

}  // namespace

}  // namespace millrace::net::sqs

// Dead letters and move tasks.
#include "net/aws/base64.h"
#include "tests/net/sqs/refusal_table.h"

namespace millrace::net::sqs {
namespace {

using RedriveRefusalTest = RefusalTest;

class MoveTest : public SqsTest {
 protected:
  void SetUp() override {
    SqsTest::SetUp();
    dead_ = make("dead");
    jobs_ = make("jobs", {{"RedrivePolicy", policy(arn("dead"), 1)}});
  }
  static std::string policy(std::string_view target, int receives) {
    return Json{{"deadLetterTargetArn", target}, {"maxReceiveCount", receives}}.dump();
  }
  // Received once and given back `count` messages, which are then in `dead`.
  void fill_dead(int count) {
    for (int i = 0; i < count; ++i)
      send(jobs_, std::to_string(i));
    for (int i = 0; i < 2; ++i)
      receive(jobs_, {{"VisibilityTimeout", 0}});
    turns(5);
    ASSERT_EQ(attribute(dead_, "ApproximateNumberOfMessages"), std::to_string(count));
  }
  Json tasks(int max = 10) {
    return well("ListMessageMoveTasks", {{"SourceArn", arn("dead")}, {"MaxResults", max}})
        .value("Results", Json::array());
  }
  void until_moved() {
    until([&] { return tasks(1).at(0)["Status"] != "RUNNING"; });
  }

  std::string dead_;
  std::string jobs_;
};

TEST_P(MoveTest, MessageReceivedTooOftenIsADeadLetter) {
  const Json sent =
      well("SendMessage",
           {{"QueueUrl", jobs_},
            {"MessageBody", "x"},
            {"MessageAttributes", {{"color", {{"DataType", "String"}, {"StringValue", "blue"}}}}}});
  receive(jobs_, {{"VisibilityTimeout", 0}});
  EXPECT_TRUE(receive(jobs_).empty());
  turns(5);
  const Json messages =
      receive(dead_, {{"AttributeNames", {"All"}}, {"MessageAttributeNames", {"All"}}});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0]["MessageId"], sent["MessageId"]);
  EXPECT_EQ(messages[0]["Body"], "x");
  EXPECT_EQ(messages[0]["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
  EXPECT_EQ(messages[0]["Attributes"]["ApproximateReceiveCount"], "2");
  EXPECT_EQ(messages[0]["Attributes"]["DeadLetterQueueSourceArn"], arn("jobs"));
}

TEST_P(MoveTest, FifoDeadLetterHasItsMessageIdAsDeduplicationId) {
  const std::string dead = make_fifo("dead.fifo");
  const std::string url = make_fifo("jobs.fifo", {{"RedrivePolicy", policy(arn("dead.fifo"), 1)}});
  const Json sent = well("SendMessage", {{"QueueUrl", url},
                                         {"MessageBody", "x"},
                                         {"MessageGroupId", "g"},
                                         {"MessageDeduplicationId", "d"}});
  receive(url, {{"VisibilityTimeout", 0}});
  EXPECT_TRUE(receive(url).empty());
  turns(5);
  const Json message = receive(dead, {{"AttributeNames", {"All"}}}).at(0);
  EXPECT_EQ(message["MessageId"], sent["MessageId"]);
  EXPECT_EQ(message["Attributes"]["MessageDeduplicationId"], sent["MessageId"]);
  EXPECT_EQ(message["Attributes"]["MessageGroupId"], "g");
}

TEST_P(MoveTest, RedrivePolicyIsShownCanonical) {
  well("SetQueueAttributes",
       {{"QueueUrl", jobs_},
        {"Attributes",
         {{"RedrivePolicy",
           "{ \"maxReceiveCount\" : \"5\", \"deadLetterTargetArn\":\"" + arn("dead") + "\"}"}}}});
  EXPECT_EQ(attribute(jobs_, "RedrivePolicy"),
            "{\"deadLetterTargetArn\":\"" + arn("dead") + "\",\"maxReceiveCount\":5}");
  well("SetQueueAttributes",
       {{"QueueUrl", dead_},
        {"Attributes",
         {{"RedriveAllowPolicy",
           "{\"redrivePermission\":\"byQueue\",\"sourceQueueArns\":[\"" + arn("jobs") + "\"]}"}}}});
  EXPECT_EQ(attribute(dead_, "RedriveAllowPolicy"),
            "{\"redrivePermission\":\"byQueue\",\"sourceQueueArns\":[\"" + arn("jobs") + "\"]}");
  // A queue may name itself.
  well("SetQueueAttributes",
       {{"QueueUrl", dead_}, {"Attributes", {{"RedrivePolicy", policy(arn("dead"), 3)}}}});
  for (const char* name : {"RedrivePolicy", "RedriveAllowPolicy"}) {
    well("SetQueueAttributes", {{"QueueUrl", dead_}, {"Attributes", {{name, ""}}}});
    EXPECT_EQ(attribute(dead_, name), "");
  }
}

TEST_P(MoveTest, SourcesOfADeadLetterQueueAreListedInPages) {
  make("more", {{"RedrivePolicy", policy(arn("dead"), 1)}});
  make("other", {{"RedrivePolicy", policy(arn("jobs"), 1)}});
  const std::string more = "http://127.0.0.1:9324/000000000000/more";
  EXPECT_EQ(well("ListDeadLetterSourceQueues", {{"QueueUrl", dead_}}),
            Json({{"queueUrls", {jobs_, more}}}));
  Json page = well("ListDeadLetterSourceQueues", {{"QueueUrl", dead_}, {"MaxResults", 1}});
  EXPECT_EQ(page["queueUrls"], Json::array({jobs_}));
  page = well("ListDeadLetterSourceQueues",
              {{"QueueUrl", dead_}, {"MaxResults", 1}, {"NextToken", page["NextToken"]}});
  EXPECT_EQ(page, Json({{"queueUrls", Json::array({more})}}));
  EXPECT_TRUE(
      well("ListDeadLetterSourceQueues", {{"QueueUrl", "http://127.0.0.1:9324/000000000000/other"}})
          .empty());
  EXPECT_EQ(refused("ListDeadLetterSourceQueues", {{"QueueUrl", dead_}, {"MaxResults", 0}}),
            "InvalidParameterValue: Value for parameter MaxResults is invalid. Reason: MaxResults "
            "must be an integer between 1 and 1000.");
  EXPECT_EQ(refused("ListDeadLetterSourceQueues", {{"QueueUrl", dead_}, {"NextToken", "*"}}),
            "InvalidParameterValue: Invalid or expired next token.");
}

TEST_P(MoveTest, TaskMovesDeadLettersToWhereTheyCameFrom) {
  fill_dead(3);
  EXPECT_EQ(well("ListMessageMoveTasks", {{"SourceArn", arn("dead")}}), Json::object());
  const std::string handle =
      well("StartMessageMoveTask", {{"SourceArn", arn("dead")}})["TaskHandle"];
  EXPECT_FALSE(handle.empty());
  until_moved();
  const Json task = tasks().at(0);
  EXPECT_EQ(task["Status"], "COMPLETED");
  EXPECT_EQ(task["SourceArn"], arn("dead"));
  EXPECT_EQ(task["ApproximateNumberOfMessagesMoved"], 3);
  EXPECT_EQ(task["ApproximateNumberOfMessagesToMove"], 3);
  EXPECT_TRUE(task["StartedTimestamp"].is_number());
  EXPECT_EQ(task.size(), 5u) << task;
  const Json messages = receive(jobs_, {{"AttributeNames", {"All"}}});
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0]["Attributes"]["ApproximateReceiveCount"], "1");
  EXPECT_FALSE(messages[0]["Attributes"].contains("DeadLetterQueueSourceArn"));
  EXPECT_EQ(refused("CancelMessageMoveTask", {{"TaskHandle", handle}}, 404),
            "ResourceNotFoundException: Task does not exist.");
}

TEST_P(MoveTest, TaskIsCancelled) {
  fill_dead(5);
  make("target");
  const Json start{{"SourceArn", arn("dead")},
                   {"DestinationArn", arn("target")},
                   {"MaxNumberOfMessagesPerSecond", 1}};
  const std::string handle = well("StartMessageMoveTask", start)["TaskHandle"];
  const Json task = tasks().at(0);
  EXPECT_EQ(task["Status"], "RUNNING");
  EXPECT_EQ(task["TaskHandle"], handle);
  EXPECT_EQ(task["DestinationArn"], arn("target"));
  EXPECT_EQ(task["MaxNumberOfMessagesPerSecond"], 1);
  EXPECT_EQ(
      refused("StartMessageMoveTask", start),
      "InvalidParameterValue: There is already a task running. Only one active task is allowed "
      "for a source queue arn at a given time.");
  const Json cancelled = well("CancelMessageMoveTask", {{"TaskHandle", handle}});
  EXPECT_EQ(cancelled.size(), 1u);
  EXPECT_LT(cancelled["ApproximateNumberOfMessagesMoved"].get<int>(), 5);
  EXPECT_EQ(tasks().at(0)["Status"], "CANCELLED");
  EXPECT_FALSE(tasks().at(0).contains("TaskHandle"));
}

TEST_P(MoveTest, TaskFailsWhenItsDestinationGoes) {
  fill_dead(5);
  const std::string target = make("target");
  well("StartMessageMoveTask", {{"SourceArn", arn("dead")},
                                {"DestinationArn", arn("target")},
                                {"MaxNumberOfMessagesPerSecond", 1}});
  well("DeleteQueue", {{"QueueUrl", target}});
  pass(2'000);
  until_moved();
  const Json task = tasks().at(0);
  EXPECT_EQ(task["Status"], "FAILED");
  EXPECT_EQ(task["FailureReason"], "AWS.SimpleQueueService.NonExistentQueue");
  EXPECT_EQ(task["DestinationArn"], arn("target"));
}

TEST_P(MoveTest, TasksAreRefused) {
  const std::string fifo = make_fifo("f.fifo");
  const auto start = [&](const Json& input, uint16_t status = 400) {
    return refused("StartMessageMoveTask", input, status);
  };
  const std::string format = "arn:<partition>:<service>:<region>:<account-id>:<resource-id>";
  EXPECT_EQ(start(Json::object()),
            "MissingParameter: The request must contain the parameter SourceArn.");
  for (const char* bad : {"dead", "arn:aws:sqs:x", "arn:aws:sns:us-east-1:000000000000:dead"})
    EXPECT_EQ(
        start({{"SourceArn", bad}}),
        "InvalidParameterValue: You must use this format to specify the SourceArn: " + format);
  EXPECT_EQ(
      start({{"SourceArn", arn("dead")}, {"DestinationArn", "x"}}),
      "InvalidParameterValue: You must use this format to specify the DestinationArn: " + format);
  EXPECT_EQ(
      start({{"SourceArn", arn("none")}}, 404),
      "ResourceNotFoundException: The resource that you specified for the SourceArn parameter "
      "doesn't exist.");
  EXPECT_EQ(start({{"SourceArn", arn("dead")}, {"DestinationArn", arn("none")}}, 404),
            "ResourceNotFoundException: The resource that you specified for the DestinationArn "
            "parameter doesn't exist.");
  EXPECT_EQ(start({{"SourceArn", arn("jobs")}}),
            "InvalidParameterValue: Source queue must be configured as a Dead Letter Queue.");
  EXPECT_EQ(
      start({{"SourceArn", arn("dead")}, {"DestinationArn", arn("dead")}}),
      "InvalidParameterValue: Source queue arn and destination queue arn cannot be the same.");
  EXPECT_EQ(
      start({{"SourceArn", arn("dead")}, {"DestinationArn", arn("f.fifo")}}),
      "InvalidParameterValue: The source queue and destination queue must be of the same queue "
      "type.");
  for (const int bad : {0, 501, -1})
    EXPECT_EQ(start({{"SourceArn", arn("dead")}, {"MaxNumberOfMessagesPerSecond", bad}}),
              "InvalidParameterValue: Value for parameter MaxNumberOfMessagesPerSecond is invalid. "
              "Reason: You must enter a number that's between 1 and 500.");

  const auto cancel = [&](const std::string& handle, uint16_t status = 400) {
    return refused("CancelMessageMoveTask", {{"TaskHandle", handle}}, status);
  };
  EXPECT_EQ(cancel(""), "MissingParameter: The request must contain the parameter TaskHandle.");
  for (const char* bad : {"!", "aGVsbG8=", "e30=", "eyJ0YXNrSWQiOjEsInNvdXJjZUFybiI6MX0="})
    EXPECT_EQ(cancel(bad), "InvalidParameterValue: Value for parameter TaskHandle is invalid.")
        << bad;
  const auto handle = [](const std::string& task, const std::string& source) {
    std::string text;
    append_base64(text, as_bytes(Json{{"taskId", task}, {"sourceArn", source}}.dump()));
    return text;
  };
  const std::string id = "00000000-0000-8000-8000-000000000001";
  EXPECT_EQ(cancel(handle(id, "dead")),
            "InvalidParameterValue: Value for parameter TaskHandle is invalid.");
  EXPECT_EQ(
      cancel(handle(id, arn("none")), 404),
      "ResourceNotFoundException: The resource that you specified for the SourceArn parameter "
      "doesn't exist.");
  for (const std::string& task :
       {id, std::string("x"), std::string("00000000-0000-8000-8000-000000000000")})
    EXPECT_EQ(cancel(handle(task, arn("dead")), 404),
              "ResourceNotFoundException: Task does not exist.");

  EXPECT_EQ(refused("ListMessageMoveTasks", Json::object()),
            "MissingParameter: The request must contain the parameter SourceArn.");
  EXPECT_EQ(
      refused("ListMessageMoveTasks", {{"SourceArn", arn("none")}}, 404),
      "ResourceNotFoundException: The resource that you specified for the SourceArn parameter "
      "doesn't exist.");
  EXPECT_EQ(
      refused("ListMessageMoveTasks", {{"SourceArn", arn("dead")}, {"MaxResults", 11}}),
      "InvalidParameterValue: Value for parameter MaxResults is invalid. Reason: You must enter "
      "a number that's between 1 and 10.");
}

struct PolicyRow {
  const char* text;
  const char* reason;
};

TEST_P(RedriveRefusalTest, OfRedrivePolicies) {
  make("closed", {{"RedriveAllowPolicy", R"({"redrivePermission":"denyAll"})"}});
  const PolicyRow rows[] = {
      {R"({"deadLetterTargetArn":"ARN:jobs"})",
       "Redrive policy does not contain mandatory attribute: maxReceiveCount."},
      {R"({"maxReceiveCount":1})",
       "Redrive policy does not contain mandatory attribute: deadLetterTargetArn."},
      {R"({"deadLetterTargetArn":"ARN:jobs","maxReceiveCount":0})",
       "Invalid value for maxReceiveCount: 0, valid values are from 1 to 1000 both inclusive."},
      {R"({"deadLetterTargetArn":"ARN:jobs","maxReceiveCount":"1001"})",
       "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive."},
      {R"({"deadLetterTargetArn":"ARN:jobs","maxReceiveCount":1.5})",
       "Invalid value for maxReceiveCount: 1.5, valid values are from 1 to 1000 both inclusive."},
      {R"({"deadLetterTargetArn":"jobs","maxReceiveCount":1})",
       "Dead-letter target ARN should be fully qualified ARN."},
      {R"({"deadLetterTargetArn":"arn:aws:sns:us-east-1:000000000000:jobs","maxReceiveCount":1})",
       "Only SQS queues are valid resources for deadLetterTargetArn."},
      {R"({"deadLetterTargetArn":"ARN:jobs.fifo","maxReceiveCount":1})",
       "Dead-letter queue must be same type of queue as the source.."},
      {R"({"deadLetterTargetArn":"ARN:none","maxReceiveCount":1})",
       "Dead letter target does not exist."},
      {R"({"deadLetterTargetArn":"ARN:jobs","maxReceiveCount":1,"x":1})",
       "Only following attributes are supported: [maxReceiveCount, deadLetterTargetArn]."},
      {R"({"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111122223333:jobs","maxReceiveCount":1})",
       "Dead-letter target owner should be same as the source."},
      {R"({"deadLetterTargetArn":"ARN:closed","maxReceiveCount":1})",
       "The dead-letter queue's redrive allow policy doesn't allow this queue as a source."},
  };
  for (const PolicyRow& row : rows) {
    std::string text = row.text;
    if (const size_t at = text.find("ARN:"); at != std::string::npos)
      text.replace(at, 4, "arn:aws:sqs:us-east-1:000000000000:");
    const std::string error = "InvalidParameterValue: Value " + text +
                              " for parameter RedrivePolicy is invalid. Reason: " + row.reason;
    EXPECT_EQ(refused("SetQueueAttributes",
                      {{"QueueUrl", jobs_}, {"Attributes", {{"RedrivePolicy", text}}}}),
              error);
    EXPECT_EQ(
        refused("CreateQueue", {{"QueueName", "new"}, {"Attributes", {{"RedrivePolicy", text}}}}),
        error);
  }
  for (const char* text : {"[]", "{", "1", "\"x\""})
    EXPECT_EQ(
        refused("SetQueueAttributes",
                {{"QueueUrl", jobs_}, {"Attributes", {{"RedrivePolicy", text}}}}),
        "InvalidAttributeValue: Invalid value for the parameter RedrivePolicy. Reason: Redrive "
        "policy is not a valid JSON map.");
}

TEST_P(RedriveRefusalTest, OfRedriveAllowPolicies) {
  std::string eleven = R"({"redrivePermission":"byQueue","sourceQueueArns":[)";
  for (int i = 0; i < 11; ++i)
    eleven += (i == 0 ? "\"" : ",\"") + arn("q" + std::to_string(i)) + "\"";
  eleven += "]}";
  const PolicyRow rows[] = {
      {R"({"redrivePermission":"byQueue"})",
       "When you specify the byQueue permission type, you must also specify one or more "
       "sourceQueueArns values."},
      {R"({"redrivePermission":"byQueue","sourceQueueArns":[]})",
       "When you specify the byQueue permission type, you must also specify one or more "
       "sourceQueueArns values."},
      {R"({"redrivePermission":"denyAll","sourceQueueArns":["x"]})",
       "To specify one or more source queue ARNs, you must set redrivePermission to byQueue."},
      {eleven.c_str(), "The maximum number of source queue ARNs you can specify is 10."},
  };
  for (const PolicyRow& row : rows)
    EXPECT_EQ(
        refused("SetQueueAttributes",
                {{"QueueUrl", jobs_}, {"Attributes", {{"RedriveAllowPolicy", row.text}}}}),
        "InvalidParameterValue: Value " + std::string(row.text) +
            " for parameter RedriveAllowPolicy is invalid. Reason: Amazon SQS can't create the "
            "redrive allow policy. " +
            row.reason);
  for (const char* text : {"[]", "{", "{}", R"({"redrivePermission":"some"})",
                           R"({"redrivePermission":"allowAll","x":1})",
                           R"({"redrivePermission":"byQueue","sourceQueueArns":["jobs"]})"})
    EXPECT_EQ(
        refused("SetQueueAttributes",
                {{"QueueUrl", jobs_}, {"Attributes", {{"RedriveAllowPolicy", text}}}}),
        "InvalidAttributeValue: Invalid value for the parameter RedriveAllowPolicy. Reason: "
        "Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.");
}

MR_BOTH_PROTOCOLS(MoveTest);
MR_BOTH_PROTOCOLS(RedriveRefusalTest);

}  // namespace
}  // namespace millrace::net::sqs

// Queues: made, found, listed, purged, deleted; their attributes and tags.
#include "tests/net/sqs/refusal_table.h"

namespace millrace::net::sqs {
namespace {

using QueuesTest = SqsTest;
using QueueRefusalTest = RefusalTest;

Json all_attributes(Json result) {
  Json attributes = result.value("Attributes", Json::object());
  return attributes;
}

TEST_P(QueuesTest, QueueIsFoundByItsNameAndByManyUrls) {
  const std::string url = make("jobs");
  EXPECT_EQ(well("GetQueueUrl", {{"QueueName", "jobs"}}), Json({{"QueueUrl", url}}));
  EXPECT_EQ(refused("GetQueueUrl", {{"QueueName", "job"}}), missing_queue());
  EXPECT_EQ(refused("GetQueueUrl", {{"QueueName", ""}}), missing_queue());
  EXPECT_EQ(
      refused("GetQueueUrl", Json::object()),
      "InvalidParameterValue: Value for parameter QueueName is invalid. Reason: Must specify a "
      "queue name.");
  for (const char* other : {"jobs", "/000000000000/jobs", "https://elsewhere:1/000000000000/jobs",
                            "http://h/queue/jobs", "http://h/queue/us-east-1/000000000000/jobs",
                            "http://h/111122223333/jobs", "http://h/000000000000/jobs/"})
    EXPECT_TRUE(well("ReceiveMessage", {{"QueueUrl", other}}).empty()) << other;
  for (const char* none : {"http://h", "http://h/", "/", "http://h/1234/jobs", "http://jobs",
                           "jobs/x", "../jobs", "JOBS"})
    EXPECT_EQ(refused("ReceiveMessage", {{"QueueUrl", none}}), missing_queue()) << none;
}

TEST_P(QueuesTest, QueueUrlIsMadeOfTheRequestsHost) {
  RawRequest raw = spell(GetParam(), "CreateQueue", {{"QueueName", "jobs"}});
  raw.fields[0].second = "queues.example.com";
  EXPECT_EQ(call_raw(raw).result["QueueUrl"], "http://queues.example.com/000000000000/jobs");
  settings_.advertise = "https://public.example.com/q";
  make_front();
  EXPECT_EQ(make("jobs"), "https://public.example.com/q/000000000000/jobs");
}

TEST_P(QueuesTest, FreshQueueHasTheDefaults) {
  const std::string url = make("jobs");
  const Json got =
      all_attributes(well("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"All"}}}));
  const std::string now = std::to_string(shard().now().value / 1'000);
  const Json wanted{{"ApproximateNumberOfMessages", "0"},
                    {"ApproximateNumberOfMessagesDelayed", "0"},
                    {"ApproximateNumberOfMessagesNotVisible", "0"},
                    {"CreatedTimestamp", now},
                    {"LastModifiedTimestamp", now},
                    {"QueueArn", arn("jobs")},
                    {"VisibilityTimeout", "30"},
                    {"DelaySeconds", "0"},
                    {"MaximumMessageSize", "1048576"},
                    {"MessageRetentionPeriod", "345600"},
                    {"ReceiveMessageWaitTimeSeconds", "0"},
                    {"SqsManagedSseEnabled", "true"}};
  EXPECT_EQ(got, wanted);
  const std::string fifo = make_fifo("jobs.fifo");
  const Json more =
      all_attributes(well("GetQueueAttributes", {{"QueueUrl", fifo}, {"AttributeNames", {"All"}}}));
  EXPECT_EQ(more.size(), wanted.size() + 4);
  EXPECT_EQ(more["FifoQueue"], "true");
  EXPECT_EQ(more["ContentBasedDeduplication"], "false");
  EXPECT_EQ(more["DeduplicationScope"], "queue");
  EXPECT_EQ(more["FifoThroughputLimit"], "perQueue");
}

TEST_P(QueuesTest, AttributesAreThoseAskedFor) {
  const std::string url = make("jobs");
  EXPECT_EQ(well("GetQueueAttributes", {{"QueueUrl", url}}), Json::object());
  EXPECT_EQ(well("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"Policy"}}}),
            Json::object());
  EXPECT_EQ(
      all_attributes(well("GetQueueAttributes",
                          {{"QueueUrl", url}, {"AttributeNames", {"QueueArn", "DelaySeconds"}}})),
      Json({{"QueueArn", arn("jobs")}, {"DelaySeconds", "0"}}));
  for (const char* unknown : {"Nonsense", "FifoQueue", "ContentBasedDeduplication", "all"})
    EXPECT_EQ(refused("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {unknown}}}),
              "InvalidAttributeName: Unknown Attribute " + std::string(unknown) + ".");
  EXPECT_EQ(refused("GetQueueAttributes", {{"QueueUrl", "none"}}), missing_queue());
}

TEST_P(QueuesTest, RegionIsThatOfTheSignature) {
  const std::string url = make("jobs");
  RawRequest raw = spell(GetParam(), "GetQueueAttributes",
                         {{"QueueUrl", url}, {"AttributeNames", {"QueueArn"}}});
  raw.fields.emplace_back("Authorization",
                          "AWS4-HMAC-SHA256 Credential=AK/20250102/eu-west-3/sqs/aws4_request, "
                          "SignedHeaders=host, Signature=00");
  EXPECT_EQ(call_raw(raw).result["Attributes"]["QueueArn"],
            "arn:aws:sqs:eu-west-3:000000000000:jobs");
}

TEST_P(QueuesTest, AttributesAreSetTogetherOrNotAtAll) {
  const std::string url = make("jobs");
  pass(5'000);
  EXPECT_TRUE(
      well("SetQueueAttributes",
           {{"QueueUrl", url}, {"Attributes", {{"VisibilityTimeout", "7"}, {"DelaySeconds", "1"}}}})
          .is_null());
  EXPECT_EQ(attribute(url, "VisibilityTimeout"), "7");
  EXPECT_NE(attribute(url, "LastModifiedTimestamp"), attribute(url, "CreatedTimestamp"));
  EXPECT_EQ(refused("SetQueueAttributes",
                    {{"QueueUrl", url},
                     {"Attributes", {{"VisibilityTimeout", "8"}, {"DelaySeconds", "901"}}}}),
            "InvalidAttributeValue: Invalid value for the parameter DelaySeconds.");
  EXPECT_EQ(attribute(url, "VisibilityTimeout"), "7");
}

// As deep as a request may be long: nothing that is done with it may recurse once a level.
TEST_P(QueuesTest, JsonOfAnyDepthInAnAttributeIsRefused) {
  constexpr size_t kLevels = 400'000;
  const std::string deep = std::string(kLevels, '[') + std::string(kLevels, ']');
  const std::string url = make("jobs");
  const std::pair<const char*, std::string> kAttributes[] = {
      {"RedrivePolicy", R"({"deadLetterTargetArn":"x","maxReceiveCount":)" + deep + "}"},
      {"RedriveAllowPolicy", R"({"redrivePermission":)" + deep + "}"},
      {"RedriveAllowPolicy", R"({"redrivePermission":"byQueue","sourceQueueArns":)" + deep + "}"},
      {"Policy", deep},
  };
  for (const auto& [name, text] : kAttributes) {
    const std::string why =
        refused("SetQueueAttributes", {{"QueueUrl", url}, {"Attributes", {{name, text}}}});
    EXPECT_TRUE(why.starts_with("InvalidAttributeValue: ")) << name << ": " << why.substr(0, 200);
    EXPECT_EQ(attribute(url, name), "") << name;
  }
}

TEST_P(QueuesTest, EncryptionIsOneOrTheOther) {
  const std::string url = make("jobs");
  const auto set = [&](const Json& attributes) {
    well("SetQueueAttributes", {{"QueueUrl", url}, {"Attributes", attributes}});
  };
  set({{"KmsMasterKeyId", "alias/aws/sqs"}});
  EXPECT_EQ(attribute(url, "SqsManagedSseEnabled"), "false");
  EXPECT_EQ(attribute(url, "KmsDataKeyReusePeriodSeconds"), "300");
  set({{"SqsManagedSseEnabled", "TRUE"}});
  EXPECT_EQ(attribute(url, "SqsManagedSseEnabled"), "true");
  EXPECT_EQ(attribute(url, "KmsMasterKeyId"), "");
  EXPECT_EQ(
      refused("SetQueueAttributes",
              {{"QueueUrl", url},
               {"Attributes", {{"KmsMasterKeyId", "k"}, {"SqsManagedSseEnabled", "true"}}}}),
      "InvalidAttributeName: You can use one type of server-side encryption (SSE) at one time. "
      "You can either enable KMS SSE or SQS SSE.");
}

TEST_P(QueuesTest, MadeAgainIsTheSameOrRefused) {
  const std::string url = make("jobs", {{"VisibilityTimeout", "7"}});
  EXPECT_EQ(make("jobs"), url);
  EXPECT_EQ(make("jobs", {{"VisibilityTimeout", "7"}}), url);
  EXPECT_EQ(
      refused("CreateQueue", {{"QueueName", "jobs"}, {"Attributes", {{"VisibilityTimeout", "8"}}}}),
      "QueueAlreadyExists: A queue already exists with the same name and a different value for "
      "attribute VisibilityTimeout");
  // It is the values of now that count, and no tags.
  well("SetQueueAttributes", {{"QueueUrl", url}, {"Attributes", {{"VisibilityTimeout", "8"}}}});
  EXPECT_EQ(make("jobs", {{"VisibilityTimeout", "8"}}), url);
  EXPECT_EQ(well("CreateQueue", {{"QueueName", "jobs"}, {"tags", {{"a", "b"}}}})["QueueUrl"], url);
  EXPECT_EQ(well("ListQueueTags", {{"QueueUrl", url}}), Json::object());
  // Names differ by case.
  EXPECT_NE(make("Jobs"), url);
}

TEST_P(QueuesTest, NamesAreChecked) {
  const std::string standard =
      "InvalidParameterValue: Can only include alphanumeric characters, hyphens, or underscores. 1 "
      "to "
      "80 in length";
  for (const std::string& bad :
       {std::string("../x"), std::string("a/b"), std::string("."), std::string(81, 'a'),
        std::string("a\n"), std::string("jоbs"), std::string("x.fifo"), std::string("a b")})
    EXPECT_EQ(refused("CreateQueue", {{"QueueName", bad}}), standard) << bad;
  make(std::string(80, 'a'));
  EXPECT_EQ(refused("CreateQueue", {{"QueueName", ""}}),
            "InvalidParameterValue: Queue name cannot be empty");
  EXPECT_EQ(
      refused("CreateQueue", Json::object()),
      "InvalidParameterValue: Value for parameter QueueName is invalid. Reason: Must specify a "
      "queue name.");
  for (const std::string& bad :
       {std::string("x"), std::string(".fifo"), std::string(76, 'a') + ".fifo"})
    EXPECT_EQ(refused("CreateQueue", {{"QueueName", bad}, {"Attributes", {{"FifoQueue", "true"}}}}),
              "InvalidParameterValue: The name of a FIFO queue can only include alphanumeric "
              "characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in "
              "length")
        << bad;
  EXPECT_EQ(well("ListQueues", Json::object())["QueueUrls"].size(), 1u);
}

TEST_P(QueuesTest, QueuesAreListedInPages) {
  EXPECT_EQ(well("ListQueues", Json::object()), Json::object());
  for (const char* name : {"b", "a2", "a1", "a3", "c"})
    make(name);
  const auto names = [](const Json& result) {
    std::vector<std::string> found;
    const Json urls = result.value("QueueUrls", Json::array());
    for (const auto& url : urls)
      found.push_back(url.get<std::string>().substr(35));
    return found;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(well("ListQueues", Json::object())), (Names{"a1", "a2", "a3", "b", "c"}));
  EXPECT_EQ(names(well("ListQueues", {{"QueueNamePrefix", "a"}})), (Names{"a1", "a2", "a3"}));
  EXPECT_EQ(well("ListQueues", {{"QueueNamePrefix", "A"}}), Json::object());
  Json page = well("ListQueues", {{"QueueNamePrefix", "a"}, {"MaxResults", 2}});
  EXPECT_EQ(names(page), (Names{"a1", "a2"}));
  page = well("ListQueues",
              {{"QueueNamePrefix", "a"}, {"MaxResults", 2}, {"NextToken", page["NextToken"]}});
  EXPECT_EQ(names(page), Names{"a3"});
  EXPECT_FALSE(page.contains("NextToken"));
  for (const int bad : {0, 1'001, -1})
    EXPECT_EQ(
        refused("ListQueues", {{"MaxResults", bad}}),
        "InvalidParameterValue: Value for parameter MaxResults is invalid. Reason: MaxResults "
        "must be an integer between 1 and 1000.");
  EXPECT_EQ(refused("ListQueues", {{"MaxResults", 1}, {"NextToken", "!"}}),
            "InvalidParameterValue: Invalid or expired next token.");
}

TEST_P(QueuesTest, PurgeTakesEverythingAway) {
  const std::string url = make_fifo("f.fifo", {{"ContentBasedDeduplication", "true"}});
  const Json message{{"QueueUrl", url}, {"MessageBody", "x"}, {"MessageGroupId", "g"}};
  const Json first = well("SendMessage", message);
  const Json got = receive(url).at(0);
  EXPECT_TRUE(well("PurgeQueue", {{"QueueUrl", url}}).is_null());
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "0");
  EXPECT_EQ(
      refused("PurgeQueue", {{"QueueUrl", url}}, 403),
      "AWS.SimpleQueueService.PurgeQueueInProgress: Only one PurgeQueue operation on f.fifo is "
      "allowed every 60 seconds.");
  well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", got["ReceiptHandle"]}});
  // The window is empty, too.
  EXPECT_NE(well("SendMessage", message)["MessageId"], first["MessageId"]);
  pass(60'000);
  well("PurgeQueue", {{"QueueUrl", url}});
  EXPECT_EQ(refused("PurgeQueue", {{"QueueUrl", "none"}}), missing_queue());
}

TEST_P(QueuesTest, DeletedQueueIsGone) {
  const std::string url = make("jobs");
  send(url, "x");
  EXPECT_TRUE(well("DeleteQueue", {{"QueueUrl", url}}).is_null());
  EXPECT_EQ(refused("SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}}), missing_queue());
  EXPECT_EQ(refused("DeleteQueue", {{"QueueUrl", url}}), missing_queue());
  make("jobs");
  EXPECT_TRUE(receive(url).empty());
}

TEST_P(QueuesTest, NameOfADeletedQueueMayHaveToWait) {
  settings_.recreate_wait_ms = 60'000;
  make_front();
  const std::string url = make("jobs");
  well("DeleteQueue", {{"QueueUrl", url}});
  EXPECT_EQ(
      refused("CreateQueue", {{"QueueName", "jobs"}}),
      "AWS.SimpleQueueService.QueueDeletedRecently: You must wait 60 seconds after deleting a "
      "queue before you can create another with the same name.");
  make("other");
  pass(60'000);
  make("jobs");
}

// --- tags ---

TEST_P(QueuesTest, TagsArePutAndTakenAway) {
  const std::string url =
      well("CreateQueue", {{"QueueName", "jobs"}, {"tags", {{"team", "a b"}}}})["QueueUrl"];
  EXPECT_EQ(well("ListQueueTags", {{"QueueUrl", url}}), Json({{"Tags", {{"team", "a b"}}}}));
  EXPECT_TRUE(
      well("TagQueue", {{"QueueUrl", url}, {"Tags", {{"team", ""}, {"a:b", "x=y@z"}}}}).is_null());
  EXPECT_EQ(well("ListQueueTags", {{"QueueUrl", url}}),
            Json({{"Tags", {{"a:b", "x=y@z"}, {"team", ""}}}}));
  EXPECT_TRUE(well("UntagQueue", {{"QueueUrl", url}, {"TagKeys", {"team", "none"}}}).is_null());
  EXPECT_EQ(well("ListQueueTags", {{"QueueUrl", url}}), Json({{"Tags", {{"a:b", "x=y@z"}}}}));
  well("UntagQueue", {{"QueueUrl", url}, {"TagKeys", {"a:b"}}});
  EXPECT_EQ(well("ListQueueTags", {{"QueueUrl", url}}), Json::object());
}

TEST_P(QueuesTest, FiftyTagsAreTheMost) {
  const std::string url = make("jobs");
  Json tags = Json::object();
  for (int i = 0; i < 50; ++i)
    tags["t" + std::to_string(i)] = "v";
  well("TagQueue", {{"QueueUrl", url}, {"Tags", tags}});
  well("TagQueue", {{"QueueUrl", url}, {"Tags", {{"t7", "again"}}}});
  EXPECT_EQ(refused("TagQueue", {{"QueueUrl", url}, {"Tags", {{"more", "v"}}}}),
            "InvalidParameterValue: Too many tags added for queue jobs.");
}

constexpr Refusal kQueueRefusals[] = {
    // attributes
    {"SetQueueAttributes", R"({"QueueUrl":"JOBS","Attributes":{}})",
     "MissingParameter: The request must contain the parameter Attribute.Name."},
    {"SetQueueAttributes", R"({"QueueUrl":"JOBS"})",
     "MissingParameter: The request must contain the parameter Attribute.Name."},
    {"SetQueueAttributes", R"({"QueueUrl":"JOBS","Attributes":{"Nonsense":"1"}})",
     "InvalidAttributeName: Unknown Attribute Nonsense."},
    {"SetQueueAttributes", R"({"QueueUrl":"JOBS","Attributes":{"QueueArn":"1"}})",
     "InvalidAttributeName: Unknown Attribute QueueArn."},
    {"SetQueueAttributes", R"({"QueueUrl":"JOBS","Attributes":{"FifoQueue":"true"}})",
     "InvalidAttributeName: Unknown Attribute FifoQueue."},
    {"SetQueueAttributes",
     R"({"QueueUrl":"JOBS","Attributes":{"ContentBasedDeduplication":"true"}})",
     "InvalidAttributeName: Unknown Attribute ContentBasedDeduplication."},
    {"SetQueueAttributes", R"({"QueueUrl":"JOBS","Attributes":{"DeduplicationScope":"queue"}})",
     "InvalidAttributeName: You can specify the DeduplicationScope only when FifoQueue is set to "
     "true."},
    {"SetQueueAttributes", R"({"QueueUrl":"JOBS","Attributes":{"FifoThroughputLimit":"perQueue"}})",
     "InvalidAttributeName: You can specify the FifoThroughputLimit only when FifoQueue is set to "
     "true."},
    {"SetQueueAttributes", R"({"QueueUrl":"FIFO","Attributes":{"FifoQueue":"false"}})",
     "InvalidAttributeValue: Invalid value for the parameter FifoQueue. Reason: Modifying queue "
     "type "
     "is not supported."},
    {"SetQueueAttributes",
     R"({"QueueUrl":"FIFO","Attributes":{"FifoThroughputLimit":"perMessageGroupId"}})",
     "InvalidAttributeValue: Invalid value for the parameter FifoThroughputLimit. Reason: The "
     "perMessageGroupId value is allowed only when the value for DeduplicationScope is "
     "messageGroup"},
    {"CreateQueue",
     R"({"QueueName":"y.fifo","Attributes":{"FifoQueue":"true","FifoThroughputLimit":"perMessageGroupId"}})",
     "InvalidAttributeValue: Invalid value for the parameter FifoThroughputLimit. Reason: The "
     "perMessageGroupId value is allowed only when the value for DeduplicationScope is "
     "messageGroup"},
    {"CreateQueue", R"({"QueueName":"y","Attributes":{"FifoQueue":"false"}})",
     "InvalidAttributeName: Unknown Attribute FifoQueue."},
    {"CreateQueue", R"({"QueueName":"y","Attributes":{"Nonsense":"1"}})",
     "InvalidAttributeName: Unknown Attribute Nonsense."},
    {"CreateQueue", R"({"QueueName":"y","tags":{"":"v"}})",
     "InvalidParameterValue: Tag keys must be between 1 and 128 characters in length."},
    // tags
    {"TagQueue", R"({"QueueUrl":"JOBS"})",
     "MissingParameter: The request must contain the parameter Tags."},
    {"TagQueue", R"({"QueueUrl":"JOBS","Tags":{}})",
     "MissingParameter: The request must contain the parameter Tags."},
    {"TagQueue", R"({"QueueUrl":"JOBS","Tags":{"LONG":"v"}})",
     "InvalidParameterValue: Tag keys must be between 1 and 128 characters in length."},
    {"TagQueue", R"({"QueueUrl":"JOBS","Tags":{"k":"LONGLONG"}})",
     "InvalidParameterValue: Tag values must be between 0 and 256 characters in length."},
    {"TagQueue", R"({"QueueUrl":"JOBS","Tags":{"k":"a;b"}})",
     "InvalidParameterValue: Tag keys and values can only contain letters, digits, blanks and the "
     "symbols _ . : / = + - @"},
    {"TagQueue", R"({"QueueUrl":"JOBS","Tags":{"aWs:k":"v"}})",
     "InvalidParameterValue: Tag keys can't start with aws:, which is reserved."},
    {"UntagQueue", R"({"QueueUrl":"JOBS"})",
     "MissingParameter: The request must contain the parameter TagKeys."},
    // permissions
    {"AddPermission", R"({"QueueUrl":"JOBS"})",
     "MissingParameter: The request must contain the parameter Label."},
    {"AddPermission", R"({"QueueUrl":"JOBS","Label":"a b"})",
     "InvalidParameterValue: Value a b for parameter Label is invalid. Reason: Can only include "
     "alphanumeric characters, hyphens, or underscores. 1 to 80 in length"},
    {"AddPermission", R"({"QueueUrl":"JOBS","Label":"l"})",
     "MissingParameter: The request must contain the parameter AWSAccountIds."},
    {"AddPermission", R"({"QueueUrl":"JOBS","Label":"l","AWSAccountIds":["111122223333"]})",
     "MissingParameter: The request must contain the parameter ActionName."},
    {"AddPermission",
     R"({"QueueUrl":"JOBS","Label":"l","AWSAccountIds":["12"],"Actions":["SendMessage"]})",
     "InvalidParameterValue: Value 12 for parameter PrincipalId is invalid. Reason: Unable to "
     "verify."},
    {"AddPermission",
     R"({"QueueUrl":"JOBS","Label":"l","AWSAccountIds":["111122223333"],"Actions":["Nonsense"]})",
     "InvalidParameterValue: Value SQS:Nonsense for parameter ActionName is invalid. Reason: "
     "Please "
     "refer to the appropriate WSDL for a list of valid actions. "},
    {"AddPermission",
     R"({"QueueUrl":"JOBS","Label":"l","AWSAccountIds":["111122223333"],"Actions":["CreateQueue"]})",
     "InvalidParameterValue: Value SQS:CreateQueue for parameter ActionName is invalid. Reason: "
     "Only "
     "the queue owner is allowed to invoke this action."},
    {"AddPermission",
     R"({"QueueUrl":"JOBS","Label":"l","AWSAccountIds":["111122223333"],"Actions":["*","*","*","*","*","*","*","*"]})",
     "OverLimit: 8 Actions were found, maximum allowed is 7.", 403},
    {"RemovePermission", R"({"QueueUrl":"JOBS"})",
     "MissingParameter: The request must contain the parameter Label."},
    {"RemovePermission", R"({"QueueUrl":"JOBS","Label":"none"})",
     "InvalidParameterValue: Value none for parameter Label is invalid. Reason: can't find label."},
};

TEST_P(QueueRefusalTest, OfQueues) {
  expect_all(kQueueRefusals);
}

TEST_P(QueueRefusalTest, OfValuesOutOfRange) {
  constexpr const char* kBad[][2] = {
      {"DelaySeconds", "901"},
      {"DelaySeconds", "-1"},
      {"DelaySeconds", "1.5"},
      {"DelaySeconds", ""},
      {"DelaySeconds", " 1"},
      {"DelaySeconds", "1e2"},
      {"MaximumMessageSize", "1023"},
      {"MaximumMessageSize", "1048577"},
      {"MessageRetentionPeriod", "59"},
      {"MessageRetentionPeriod", "1209601"},
      {"ReceiveMessageWaitTimeSeconds", "21"},
      {"VisibilityTimeout", "43201"},
      {"VisibilityTimeout", "abc"},
      {"KmsDataKeyReusePeriodSeconds", "59"},
      {"KmsDataKeyReusePeriodSeconds", "86401"},
      {"SqsManagedSseEnabled", "yes"},
      {"Policy", "{"},
  };
  for (const auto& [name, value] : kBad) {
    const std::string error =
        "InvalidAttributeValue: Invalid value for the parameter " + std::string(name) + ".";
    EXPECT_EQ(refused("SetQueueAttributes", {{"QueueUrl", jobs_}, {"Attributes", {{name, value}}}}),
              error)
        << value;
    EXPECT_EQ(refused("CreateQueue", {{"QueueName", "new"}, {"Attributes", {{name, value}}}}),
              error);
  }
  EXPECT_EQ(refused("GetQueueUrl", {{"QueueName", "new"}}), missing_queue());
  // True is what it is.
  well("SetQueueAttributes", {{"QueueUrl", fifo_}, {"Attributes", {{"FifoQueue", "true"}}}});
}

TEST_P(QueueRefusalTest, OfQueuesThatAreNotThere) {
  for (const char* action :
       {"AddPermission", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "DeleteMessage",
        "DeleteMessageBatch", "DeleteQueue", "GetQueueAttributes", "ListDeadLetterSourceQueues",
        "ListQueueTags", "PurgeQueue", "ReceiveMessage", "RemovePermission", "SendMessage",
        "SendMessageBatch", "SetQueueAttributes", "TagQueue", "UntagQueue"}) {
    EXPECT_EQ(refused(action, {{"QueueUrl", "http://x/000000000000/none"}}), missing_queue())
        << action;
    EXPECT_EQ(refused(action, Json::object()), missing_queue()) << action;
  }
}

MR_BOTH_PROTOCOLS(QueuesTest);
MR_BOTH_PROTOCOLS(QueueRefusalTest);

}  // namespace
}  // namespace millrace::net::sqs

// Sending, receiving, deleting: what goes well, in both protocols.
#include "tests/net/sqs/refusal_table.h"

namespace millrace::net::sqs {
namespace {

using MessagesTest = SqsTest;
using MessageRefusalTest = RefusalTest;

constexpr const char* kHelloMd5 = "5d41402abc4b2a76b9719d911017c592";

Json text_attribute(std::string_view type, std::string_view value) {
  return {{"DataType", type}, {"StringValue", value}};
}
Json binary_attribute(std::string_view type, std::string_view base64) {
  return {{"DataType", type}, {"BinaryValue", base64}};
}

TEST_P(MessagesTest, MessageIsSentReceivedAndDeleted) {
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

  const Json handle{{"QueueUrl", url}, {"ReceiptHandle", message["ReceiptHandle"]}};
  EXPECT_TRUE(well("DeleteMessage", handle).is_null());
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "0");
  // Twice is as well as once.
  EXPECT_TRUE(well("DeleteMessage", handle).is_null());
  EXPECT_TRUE(receive(url).empty());
}

TEST_P(MessagesTest, EmptyReceiveSaysNothing) {
  const std::string url = make("jobs");
  EXPECT_EQ(well("ReceiveMessage", {{"QueueUrl", url}}), Json::object());
}

TEST_P(MessagesTest, BodyComesBackByteForByte) {
  const std::string url = make("jobs");
  for (const std::string& body :
       {std::string("héllo ✓"), std::string("a\r\nb\tc ]]> <&> \"quoted\" \\ /"), std::string(" "),
        std::string(" \n"), std::string("\xF0\x9F\x9A\x80"), std::string("\x7F\xC2\x80"),
        std::string(5'000, '"') + "\r"}) {
    const Json sent = send(url, body);
    const Json messages = receive(url);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0]["Body"].get<std::string>(), body);
    EXPECT_EQ(messages[0]["MD5OfBody"], sent["MD5OfMessageBody"]);
    well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", messages[0]["ReceiptHandle"]}});
  }
  EXPECT_EQ(send(url, "héllo ✓")["MD5OfMessageBody"], "21b1ae5bc147bb564254200a4731e337");
}

struct DigestRow {
  Json attributes;
  const char* md5;
};

TEST_P(MessagesTest, AttributesHaveTheDigestsThatClientsCompute) {
  const std::string url = make("jobs");
  const DigestRow rows[] = {
      {{{"color", text_attribute("String", "blue")}}, "da1b33cc3cbfe8b1630921e78e6b9880"},
      {{{"color", text_attribute("String", "blue")},
        {"count", text_attribute("Number", "3")},
        {"blob", binary_attribute("Binary", "AQID")}},
       "d838729972a4b70e2d2acd9d59ac847c"},
      {{{"Hello", text_attribute("String", "There")}}, "a311262e065454b75da111d535b8dacd"},
      {{{"General", text_attribute("String", "Kenobi")},
        {"Hello", text_attribute("String", "There")}},
       "fca026605781cb4126a1e9044df24232"},
      {{{"General", text_attribute("String", "Kenobi")},
        {"Hello", text_attribute("String", "There")},
        {"Help.Me", text_attribute("String", "Me")}},
       "4c360f3fdafd970e05fae2f149d997f5"},
      {{{"MyAttribute", text_attribute("String", "foobar")}}, "adb59cd4678ea5a855436b949cd07ab6"},
      {{{"timestamp", text_attribute("Number", "1493147359900")}},
       "235c5c510d26fb653d073faed50ae77c"},
      {{{"UserId", text_attribute("Number.bigint", "1234567890123456789012")}},
       "797ab158d73dcb5242dedc4412c8e855"},
      {{{"color", text_attribute("String", "blue")},
        {"tags", text_attribute("String.Array", R"(["a","b"])")}},
       "56a5bee3ed610a27fd04b2b195aee70b"},
      {{{"attr1",
         binary_attribute("Binary",
                          "dHJhY2VwYXJlbnQeMDAtNzc0MDYyZDZjMzcwODFhNWEwYjliNWI4OGUzMDYyN2MtMmQyNDgy"
                          "MjExZjY0ODlkYS0wMQ==")}},
       "8cbe4db156db8a94db8b801b7addb984"},
      {{{"emoji", text_attribute("String", "🚀 go")}, {"n", text_attribute("Number", "1.50")}},
       "86b26e505f39bd921061f586dbe21cb1"},
  };
  for (const DigestRow& row : rows) {
    const Json sent =
        well("SendMessage",
             {{"QueueUrl", url}, {"MessageBody", "x"}, {"MessageAttributes", row.attributes}});
    EXPECT_EQ(sent["MD5OfMessageAttributes"], row.md5) << row.attributes;
    const Json messages = receive(url, {{"MessageAttributeNames", {"All"}}});
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0]["MD5OfMessageAttributes"], row.md5);
    ASSERT_EQ(messages[0]["MessageAttributes"].size(), row.attributes.size());
    for (const auto& [name, value] : row.attributes.items()) {
      const Json& got = messages[0]["MessageAttributes"][name];
      EXPECT_EQ(got["DataType"], value["DataType"]);
      EXPECT_EQ(got.value("StringValue", ""), value.value("StringValue", ""));
      EXPECT_EQ(got.value("BinaryValue", ""), value.value("BinaryValue", ""));
    }
    well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", messages[0]["ReceiptHandle"]}});
  }
}

TEST_P(MessagesTest, SystemAttributesHaveTheirDigest) {
  const std::string url = make("jobs");
  const std::string trace =
      "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
  const Json sent =
      well("SendMessage",
           {{"QueueUrl", url},
            {"MessageBody", "x"},
            {"MessageSystemAttributes", {{"AWSTraceHeader", text_attribute("String", trace)}}}});
  EXPECT_EQ(sent["MD5OfMessageSystemAttributes"], "5ae4d5d7636402d80f4eb6d213245a88");
  const Json messages = receive(url, {{"AttributeNames", {"AWSTraceHeader"}}});
  EXPECT_EQ(messages[0]["Attributes"], Json({{"AWSTraceHeader", trace}}));
}

TEST_P(MessagesTest, TraceHeaderOfTheRequestIsTheMessages) {
  const std::string url = make("jobs");
  RawRequest raw = spell(GetParam(), "SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}});
  raw.fields.emplace_back("X-Amzn-Trace-Id", "Root=1-2-3");
  const Seen seen = call_raw(raw);
  EXPECT_FALSE(seen.result.contains("MD5OfMessageSystemAttributes"));
  EXPECT_EQ(receive(url, {{"MessageSystemAttributeNames", {"AWSTraceHeader"}}})[0]["Attributes"],
            Json({{"AWSTraceHeader", "Root=1-2-3"}}));
}

TEST_P(MessagesTest, SystemAttributesAreThoseAskedFor) {
  const std::string url = make("jobs");
  well("SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}, {"MessageGroupId", "tenant"}});
  const std::string now = std::to_string(shard().now().value);
  EXPECT_FALSE(receive(url, {{"VisibilityTimeout", 0}})[0].contains("Attributes"));
  // A name that has nothing to show.
  EXPECT_FALSE(
      receive(url, {{"VisibilityTimeout", 0}, {"AttributeNames", {"SequenceNumber"}}})[0].contains(
          "Attributes"));
  // Of queues, as old clients ask.
  EXPECT_FALSE(
      receive(url, {{"VisibilityTimeout", 0}, {"AttributeNames", {"VisibilityTimeout"}}})[0]
          .contains("Attributes"));
  const Json all = receive(url, {{"AttributeNames", {"All"}}})[0]["Attributes"];
  EXPECT_EQ(all.size(), 5u) << all;
  EXPECT_EQ(all["SenderId"], "000000000000");
  EXPECT_EQ(all["ApproximateReceiveCount"], "4");
  EXPECT_EQ(all["MessageGroupId"], "tenant");
  EXPECT_EQ(all["SentTimestamp"].get<std::string>().size(), now.size());
  EXPECT_LE(all["SentTimestamp"], all["ApproximateFirstReceiveTimestamp"]);
}

TEST_P(MessagesTest, UserAttributesAreThoseAskedFor) {
  const std::string url = make("jobs");
  well("SendMessage", {{"QueueUrl", url},
                       {"MessageBody", "x"},
                       {"MessageAttributes",
                        {{"Hello", text_attribute("String", "There")},
                         {"Help.Me", text_attribute("String", "Me")},
                         {"General", text_attribute("String", "Kenobi")}}}});
  const auto names = [&](const Json& wanted) {
    const Json message =
        receive(url, {{"VisibilityTimeout", 0}, {"MessageAttributeNames", wanted}}).at(0);
    std::vector<std::string> found;
    const Json given = message.value("MessageAttributes", Json::object());
    for (const auto& item : given.items())
      found.push_back(item.key());
    EXPECT_EQ(message.contains("MD5OfMessageAttributes"), !found.empty());
    if (found == std::vector<std::string>{"Hello"}) {
      EXPECT_EQ(message["MD5OfMessageAttributes"], "a311262e065454b75da111d535b8dacd");
    }
    return found;
  };
  using Names = std::vector<std::string>;
  const Names every{"General", "Hello", "Help.Me"};
  for (const char* all : {"All", ".*", "*"})
    EXPECT_EQ(names({all}), every);
  EXPECT_EQ(names({"Hel.*"}), (Names{"Hello", "Help.Me"}));
  EXPECT_EQ(names({"Help.*"}), Names{"Help.Me"});
  EXPECT_EQ(names({"Hello"}), Names{"Hello"});
  EXPECT_EQ(names({"hello", "nothing", "bad name!", ".."}), Names{});
  EXPECT_EQ(names({"General", "Hello"}), (Names{"General", "Hello"}));
}

TEST_P(MessagesTest, DelayOfAMessageIsItsOwn) {
  const std::string url = make("jobs", {{"DelaySeconds", "5"}});
  well("SendMessage", {{"QueueUrl", url}, {"MessageBody", "now"}, {"DelaySeconds", 0}});
  send(url, "later");
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesDelayed"), "1");
  EXPECT_EQ(receive(url).at(0)["Body"], "now");
  EXPECT_TRUE(receive(url).empty());
  pass(5'100);
  EXPECT_EQ(receive(url).at(0)["Body"], "later");
}

TEST_P(MessagesTest, MessageOfExactlyTheLimitIsTaken) {
  const std::string url = make("jobs", {{"MaximumMessageSize", "1024"}});
  const Json attributes{{"abc", text_attribute("String", "0123456789")}};  // 19 bytes
  const auto input = [&](size_t bytes) {
    return Json{{"QueueUrl", url},
                {"MessageBody", std::string(bytes, 'x')},
                {"MessageAttributes", attributes}};
  };
  well("SendMessage", input(1024 - 19));
  EXPECT_EQ(refused("SendMessage", input(1025 - 19)),
            "InvalidParameterValue: One or more parameters are invalid. Reason: Message must be "
            "shorter than 1024 bytes.");
  const std::string large = make("large");
  well("SendMessage", {{"QueueUrl", large}, {"MessageBody", std::string(1'048'576, 'x')}});
  EXPECT_EQ(
      refused("SendMessage", {{"QueueUrl", large}, {"MessageBody", std::string(1'048'577, 'x')}}),
      "InvalidParameterValue: One or more parameters are invalid. Reason: Message must be shorter "
      "than 1048576 bytes.");
  const Json messages = receive(large);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0]["Body"].get<std::string>().size(), 1'048'576u);
}

TEST_P(MessagesTest, NumbersAreKeptAsTheyWereWritten) {
  const std::string url = make("jobs");
  for (const char* number :
       {"0", "-0.0", "+1", "1.50", "1e3", "-1.5E-10", ".5", "5.", "1e126", "1e-128",
        "12345678901234567890123456789012345678", "000000000000000000000000000000000000000000001",
        "0.000000000000000000000000000000000000000000000001"}) {
    well("SendMessage", {{"QueueUrl", url},
                         {"MessageBody", "x"},
                         {"MessageAttributes", {{"n", text_attribute("Number", number)}}}});
    const Json messages = receive(url, {{"MessageAttributeNames", {"n"}}});
    ASSERT_EQ(messages.size(), 1u) << number;
    EXPECT_EQ(messages[0]["MessageAttributes"]["n"]["StringValue"], number);
    well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", messages[0]["ReceiptHandle"]}});
  }
  for (const char* number : {"", "NaN", "1e400", "1e127", "1e-129", "--1", "1e", "1.2.3", ".",
                             "0x1", " 1", "123456789012345678901234567890123456789"})
    EXPECT_TRUE(
        refused("SendMessage", {{"QueueUrl", url},
                                {"MessageBody", "x"},
                                {"MessageAttributes", {{"n", text_attribute("Number", number)}}}})
            .starts_with("InvalidParameterValue: "))
        << number;
}

TEST_P(MessagesTest, VisibilityIsChangedFromNow) {
  const std::string url = make("jobs");
  send(url, "x");
  const Json message = receive(url, {{"VisibilityTimeout", 2}}).at(0);
  const auto change = [&](int64_t seconds) {
    return Json{{"QueueUrl", url},
                {"ReceiptHandle", message["ReceiptHandle"]},
                {"VisibilityTimeout", seconds}};
  };
  EXPECT_TRUE(well("ChangeMessageVisibility", change(10)).is_null());
  pass(9'000);
  EXPECT_TRUE(receive(url).empty());
  EXPECT_TRUE(well("ChangeMessageVisibility", change(0)).is_null());
  // Over, and not received again: hidden once more.
  EXPECT_TRUE(well("ChangeMessageVisibility", change(5)).is_null());
  EXPECT_TRUE(receive(url).empty());
  EXPECT_EQ(
      refused("ChangeMessageVisibility", change(43'200)),
      "InvalidParameterValue: Value 43200 for parameter VisibilityTimeout is invalid. Reason: "
      "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]");
  well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", message["ReceiptHandle"]}});
  EXPECT_EQ(refused("ChangeMessageVisibility", change(5)),
            "InvalidParameterValue: Value " + message["ReceiptHandle"].get<std::string>() +
                " for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not "
                "available for visibility timeout change.");
}

TEST_P(MessagesTest, StandardQueueTakesLateDeletesButNotOfAnOlderReceive) {
  const std::string url = make("jobs", {{"VisibilityTimeout", "1"}});
  send(url, "x");
  const Json first = receive(url).at(0);
  pass(1'500);
  const Json second = receive(url).at(0);
  EXPECT_NE(first["ReceiptHandle"], second["ReceiptHandle"]);
  // Well, but the newer receive goes on.
  well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", first["ReceiptHandle"]}});
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "1");
  pass(1'500);
  well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", second["ReceiptHandle"]}});
  EXPECT_TRUE(receive(url).empty());
}

TEST_P(MessagesTest, FifoQueueRefusesLateDeletes) {
  const std::string url = make_fifo("f.fifo", {{"VisibilityTimeout", "1"}});
  well("SendMessage", {{"QueueUrl", url},
                       {"MessageBody", "x"},
                       {"MessageGroupId", "g"},
                       {"MessageDeduplicationId", "1"}});
  const Json message = receive(url).at(0);
  pass(1'500);
  EXPECT_EQ(
      refused("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", message["ReceiptHandle"]}}),
      "InvalidParameterValue: Value " + message["ReceiptHandle"].get<std::string>() +
          " for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.");
}

TEST_P(MessagesTest, HandlesThatAreNoneAreNotFound) {
  const std::string url = make("jobs");
  const std::string other = make("other");
  send(url, "x");
  const std::string handle = receive(url).at(0)["ReceiptHandle"];
  std::string forged = handle;
  forged[30] = forged[30] == 'A' ? 'B' : 'A';
  const auto text = [](const std::string& given) {
    return "ReceiptHandleIsInvalid: The input receipt handle \"" + given +
           "\" is not a valid receipt handle.";
  };
  for (const std::string& bad : {std::string("garbage"), forged, handle.substr(0, 31), handle + "A",
                                 std::string(32, '!'), std::string(32, 'A')}) {
    EXPECT_EQ(refused("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", bad}}, 404),
              text(bad));
    EXPECT_EQ(refused("ChangeMessageVisibility",
                      {{"QueueUrl", url}, {"ReceiptHandle", bad}, {"VisibilityTimeout", 1}}, 404),
              text(bad));
  }
  EXPECT_EQ(refused("DeleteMessage", {{"QueueUrl", other}, {"ReceiptHandle", handle}}, 404),
            text(handle));
}

TEST_P(MessagesTest, HandlesWorkAfterARestart) {
  const std::string url = make("jobs");
  send(url, "x");
  const std::string handle = receive(url).at(0)["ReceiptHandle"];
  turns(10);
  front_.reset();
  ASSERT_TRUE(broker_->stop());
  environment_.forget_disks();
  broker_.reset();
  start(1);
  well("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", handle}});
  EXPECT_TRUE(receive(url).empty());
  EXPECT_EQ(attribute(url, "ApproximateNumberOfMessagesNotVisible"), "0");
}

TEST_P(MessagesTest, InFlightLimitIsToldToShortPollsOfStandardQueues) {
  const std::string url = make("jobs", {{"InFlightMax", "1"}});
  const std::string fifo = make_fifo("f.fifo", {{"InFlightMax", "1"}});
  for (const char* id : {"1", "2"}) {
    send(url, id);
    well("SendMessage", {{"QueueUrl", fifo},
                         {"MessageBody", id},
                         {"MessageGroupId", id},
                         {"MessageDeduplicationId", id}});
  }
  EXPECT_EQ(receive(url, {{"MaxNumberOfMessages", 1}}).size(), 1u);
  EXPECT_EQ(receive(fifo, {{"MaxNumberOfMessages", 1}}).size(), 1u);
  EXPECT_TRUE(refused("ReceiveMessage", {{"QueueUrl", url}}, 403).starts_with("OverLimit: "));
  EXPECT_TRUE(receive(fifo).empty());
  EXPECT_EQ(well("ReceiveMessage", {{"QueueUrl", url}, {"WaitTimeSeconds", 1}}), Json::object());
}

constexpr Refusal kMessageRefusals[] = {
    // SendMessage
    {"SendMessage", R"({"MessageBody":"x"})", "AWS.SimpleQueueService.NonExistentQueue: MISSING"},
    {"SendMessage", R"({"QueueUrl":"","MessageBody":"x"})",
     "AWS.SimpleQueueService.NonExistentQueue: MISSING"},
    {"SendMessage", R"({"QueueUrl":"http://x/000000000000/none","MessageBody":"x"})",
     "AWS.SimpleQueueService.NonExistentQueue: MISSING"},
    {"SendMessage", R"({"QueueUrl":"JOBS"})",
     "MissingParameter: The request must contain the parameter MessageBody."},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":""})",
     "MissingParameter: The request must contain the parameter MessageBody."},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":"a\u0000"})",
     "InvalidMessageContents: Invalid characters found. Valid unicode characters are #x9 | #xA | "
     "#xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":"\uFFFE"})",
     "InvalidMessageContents: Invalid characters found. Valid unicode characters are #x9 | #xA | "
     "#xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":"x\uFFFF"})",
     "InvalidMessageContents: Invalid characters found. Valid unicode characters are #x9 | #xA | "
     "#xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":"x","DelaySeconds":-1})",
     "InvalidParameterValue: Value -1 for parameter DelaySeconds is invalid. Reason: DelaySeconds "
     "must be >= 0 and <= 900."},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":"x","DelaySeconds":901})",
     "InvalidParameterValue: Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds "
     "must be >= 0 and <= 900."},
    {"SendMessage",
     R"({"QueueUrl":"FIFO","MessageBody":"x","DelaySeconds":2,"MessageGroupId":"g","MessageDeduplicationId":"d"})",
     "InvalidParameterValue: Value 2 for parameter DelaySeconds is invalid. Reason: The request "
     "include parameter that is not valid for this queue type."},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":"x","MessageDeduplicationId":"d"})",
     "InvalidParameterValue: Value d for parameter MessageDeduplicationId is invalid. Reason: The "
     "request includes a parameter that is not valid for this queue type."},
    {"SendMessage", R"({"QueueUrl":"FIFO","MessageBody":"x"})",
     "MissingParameter: The request must contain the parameter MessageGroupId."},
    {"SendMessage", R"({"QueueUrl":"FIFO","MessageBody":"x","MessageGroupId":"g"})",
     "InvalidParameterValue: The queue should either have ContentBasedDeduplication enabled or "
     "MessageDeduplicationId provided explicitly"},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":"x","MessageGroupId":"a b"})",
     "InvalidParameterValue: Value a b for parameter MessageGroupId is invalid. Reason: "
     "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in "
     "length."},
    {"SendMessage", R"({"QueueUrl":"JOBS","MessageBody":"x","MessageGroupId":"LONG"})",
     "InvalidParameterValue: Value LONG for parameter MessageGroupId is invalid. Reason: "
     "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in "
     "length."},
    {"SendMessage",
     R"({"QueueUrl":"FIFO","MessageBody":"x","MessageGroupId":"g","MessageDeduplicationId":"LONG"})",
     "InvalidParameterValue: Value LONG for parameter MessageDeduplicationId is invalid. Reason: "
     "MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in "
     "length."},
    // its attributes
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a1":{"DataType":"String","StringValue":"v"},"a2":{"DataType":"String","StringValue":"v"},"a3":{"DataType":"String","StringValue":"v"},"a4":{"DataType":"String","StringValue":"v"},"a5":{"DataType":"String","StringValue":"v"},"a6":{"DataType":"String","StringValue":"v"},"a7":{"DataType":"String","StringValue":"v"},"a8":{"DataType":"String","StringValue":"v"},"a9":{"DataType":"String","StringValue":"v"},"a10":{"DataType":"String","StringValue":"v"},"a11":{"DataType":"String","StringValue":"v"}}})",
     "InvalidParameterValue: Number of message attributes [11] exceeds the allowed maximum [10]."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"AWS.x":{"DataType":"String","StringValue":"v"}}})",
     "InvalidParameterValue: You can't use message attribute names beginning with 'AWS.' or "
     "'Amazon.'. These strings are reserved for internal use."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"aMaZoN.x":{"DataType":"String","StringValue":"v"}}})",
     "InvalidParameterValue: You can't use message attribute names beginning with 'AWS.' or "
     "'Amazon.'. These strings are reserved for internal use."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"LONGLONG":{"DataType":"String","StringValue":"v"}}})",
     "InvalidParameterValue: Message (user) attribute name must be shorter than 256 bytes."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"":{"DataType":"String","StringValue":"v"}}})",
     "InvalidParameterValue: The request must contain non-empty message (user) attribute names."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a..b":{"DataType":"String","StringValue":"v"}}})",
     "InvalidParameterValue: The message (user) attribute name 'a..b' is invalid. It can contain "
     "letters, digits, hyphens, underscores and periods, and must not start or end with a period "
     "or "
     "have two in a row."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String.LONGLONG","StringValue":"v"}}})",
     "InvalidParameterValue: Message (user) attribute type must be shorter than 256 bytes."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"Foo","StringValue":"v"}}})",
     "InvalidParameterValue: The type of message (user) attribute 'a' is invalid. You must use "
     "only "
     "the following supported type prefixes: Binary, Number, String."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String"}}})",
     "InvalidParameterValue: The message (user) attribute 'a' must contain a non-empty message "
     "attribute value."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String","StringValue":""}}})",
     "InvalidParameterValue: Message (user) attribute 'a' must contain a non-empty value of type "
     "'String'."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"Binary","StringValue":"v"}}})",
     "InvalidParameterValue: Message (user) attribute 'a' must contain a non-empty value of type "
     "'Binary'."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String","StringValue":"v","StringListValues":["v"]}}})",
     "AWS.SimpleQueueService.UnsupportedOperation: Message attribute list values in SendMessage "
     "operation are not supported."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"Number","StringValue":"NaN"}}})",
     "InvalidParameterValue: Can't cast the value of message (user) attribute 'a' to a number."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String","StringValue":"v\u0007"}}})",
     "InvalidParameterValue: Invalid binary character '#x7' was found in the message (user) "
     "attribute 'a' value, the set of allowed characters is #x9 | #xA | #xD | [#x20 to #xD7FF] | "
     "[#xE000 to #xFFFD] | [#x10000 to #x10FFFF]"},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String","StringValue":"v\uFFFE"}}})",
     "InvalidParameterValue: Invalid binary character '#xFFFE' was found in the message (user) "
     "attribute 'a' value, the set of allowed characters is #x9 | #xA | #xD | [#x20 to #xD7FF] | "
     "[#xE000 to #xFFFD] | [#x10000 to #x10FFFF]"},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageSystemAttributes":{"Other":{"DataType":"String","StringValue":"v"}}})",
     "InvalidParameterValue: Message system attribute name 'Other' is invalid."},
    {"SendMessage",
     R"({"QueueUrl":"JOBS","MessageBody":"x","MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"Number","StringValue":"1"}}})",
     "InvalidParameterValue: The message system attribute 'AWSTraceHeader' must contain a "
     "non-empty "
     "value of type 'String'."},
    // ReceiveMessage
    {"ReceiveMessage", R"({})", "AWS.SimpleQueueService.NonExistentQueue: MISSING"},
    {"ReceiveMessage", R"({"QueueUrl":"JOBS","MaxNumberOfMessages":0})",
     "InvalidParameterValue: Value 0 for parameter MaxNumberOfMessages is invalid. Reason: Must be "
     "between 1 and 10, if provided."},
    {"ReceiveMessage", R"({"QueueUrl":"JOBS","MaxNumberOfMessages":11})",
     "InvalidParameterValue: Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must "
     "be "
     "between 1 and 10, if provided."},
    {"ReceiveMessage", R"({"QueueUrl":"JOBS","WaitTimeSeconds":21})",
     "InvalidParameterValue: Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= "
     "0 "
     "and <= 20, if provided."},
    {"ReceiveMessage", R"({"QueueUrl":"JOBS","WaitTimeSeconds":-1})",
     "InvalidParameterValue: Value -1 for parameter WaitTimeSeconds is invalid. Reason: Must be >= "
     "0 "
     "and <= 20, if provided."},
    {"ReceiveMessage", R"({"QueueUrl":"JOBS","VisibilityTimeout":43201})",
     "InvalidParameterValue: Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must "
     "be "
     ">= 0 and <= 43200, if provided."},
    {"ReceiveMessage", R"({"QueueUrl":"JOBS","AttributeNames":["Nonsense"]})",
     "InvalidAttributeName: Unknown Attribute Nonsense."},
    {"ReceiveMessage", R"({"QueueUrl":"FIFO","ReceiveRequestAttemptId":"a b"})",
     "InvalidParameterValue: Value a b for parameter ReceiveRequestAttemptId is invalid. Reason: "
     "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 "
     "in "
     "length."},
    // handles
    {"DeleteMessage", R"({"ReceiptHandle":"x"})",
     "AWS.SimpleQueueService.NonExistentQueue: MISSING"},
    {"DeleteMessage", R"({"QueueUrl":"JOBS"})",
     "MissingParameter: The request must contain the parameter ReceiptHandle."},
    {"DeleteMessage", R"({"QueueUrl":"JOBS","ReceiptHandle":""})",
     "MissingParameter: The request must contain the parameter ReceiptHandle."},
    {"ChangeMessageVisibility", R"({"QueueUrl":"JOBS","VisibilityTimeout":1})",
     "MissingParameter: The request must contain the parameter ReceiptHandle."},
};

TEST_P(MessageRefusalTest, OfMessages) {
  std::vector<Refusal> rows(std::begin(kMessageRefusals), std::end(kMessageRefusals));
  const std::string missing = missing_queue();
  for (Refusal& row : rows)
    if (std::string_view(row.error).ends_with(": MISSING")) row.error = missing.c_str();
  expect_all(rows);
}

TEST_P(MessageRefusalTest, OfVisibilities) {
  send(jobs_, "x");
  const Json message = receive(jobs_, {{"VisibilityTimeout", 600}}).at(0);
  Json input{{"QueueUrl", jobs_}, {"ReceiptHandle", message["ReceiptHandle"]}};
  EXPECT_EQ(refused("ChangeMessageVisibility", input),
            "MissingParameter: The request must contain the parameter VisibilityTimeout.");
  for (const int64_t bad : {-1, 43'201}) {
    input["VisibilityTimeout"] = bad;
    EXPECT_EQ(refused("ChangeMessageVisibility", input),
              "InvalidParameterValue: Value " + std::to_string(bad) +
                  " for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and "
                  "43200.");
  }
}

MR_BOTH_PROTOCOLS(MessagesTest);
MR_BOTH_PROTOCOLS(MessageRefusalTest);

}  // namespace

}  // namespace millrace::net::sqs

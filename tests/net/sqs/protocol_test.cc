// How a request is read and an answer is written, byte for byte where clients look.
#include <set>

#include "net/aws/arn.h"
#include "net/aws/base64.h"
#include "tests/net/sqs/refusal_table.h"

namespace millrace::net::sqs {
namespace {

class WireTest : public SqsBroker {
 protected:
  void SetUp() override {
    SqsBroker::SetUp();
    url_ = call(Protocol::json, "CreateQueue", {{"QueueName", "jobs"}}).result["QueueUrl"];
  }
  static RawRequest json(std::string_view action, std::string body) {
    RawRequest raw = spell(Protocol::json, action, Json::object());
    raw.body = std::move(body);
    return raw;
  }
  static RawRequest form(std::string body) {
    RawRequest raw = spell(Protocol::query, "x", Json::object());
    raw.body = std::move(body);
    return raw;
  }
  // Body and status of the answer as they were written, its request id replaced by ID.
  std::string wire(const RawRequest& raw) {
    FakeExchange exchange;
    give(raw, exchange);
    wait_for(exchange);
    std::string text = std::to_string(exchange.status) + " " + exchange.body;
    const std::string id = exchange.fields["x-amzn-RequestId"];
    if (const size_t at = text.find(id); at != std::string::npos) text.replace(at, id.size(), "ID");
    return text;
  }
  std::string refusal(const RawRequest& raw) {
    const Seen seen = call_raw(raw);
    return std::to_string(seen.status) + " " + seen.error();
  }
  std::string url_;
};

// --- answers ---

TEST_F(WireTest, JsonAnswersAreExactlyThis) {
  EXPECT_EQ(wire(json("GetQueueUrl", R"({"QueueName":"jobs"})")),
            R"(200 {"QueueUrl":"http://127.0.0.1:9324/000000000000/jobs"})");
  EXPECT_EQ(wire(json("SendMessage", R"({"QueueUrl":"jobs","MessageBody":"hello"})")),
            R"(200 {"MessageId":"00000001-0000-8000-8000-000000000000",)"
            R"("MD5OfMessageBody":"5d41402abc4b2a76b9719d911017c592"})");
  EXPECT_EQ(wire(json("ReceiveMessage", R"({"QueueUrl":"none"})")),
            R"(400 {"__type":"com.amazonaws.sqs#QueueDoesNotExist",)"
            R"("message":"The specified queue does not exist."})");
  EXPECT_EQ(wire(json("PurgeQueue", R"({"QueueUrl":"jobs"})")), "200 ");
  EXPECT_EQ(wire(json("ReceiveMessage", R"({"QueueUrl":"jobs"})")), "200 {}");
}

TEST_F(WireTest, XmlAnswersAreExactlyThis) {
  const std::string head = "<?xml version=\"1.0\"?>\n";
  const std::string name_space = " xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">";
  EXPECT_EQ(wire(form("Action=SendMessage&QueueUrl=jobs&MessageBody=hello")),
            "200 " + head + "<SendMessageResponse" + name_space +
                "<SendMessageResult><MessageId>00000001-0000-8000-8000-000000000000</MessageId>"
                "<MD5OfMessageBody>5d41402abc4b2a76b9719d911017c592</MD5OfMessageBody>"
                "</SendMessageResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata>"
                "</SendMessageResponse>");
  EXPECT_EQ(
      wire(form("Action=PurgeQueue&QueueUrl=jobs")),
      "200 " + head + "<PurgeQueueResponse" + name_space +
          "<ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></PurgeQueueResponse>");
  EXPECT_EQ(wire(form("Action=ReceiveMessage&QueueUrl=jobs")),
            "200 " + head + "<ReceiveMessageResponse" + name_space +
                "<ReceiveMessageResult></ReceiveMessageResult>"
                "<ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata>"
                "</ReceiveMessageResponse>");
  EXPECT_EQ(wire(form("Action=ReceiveMessage&QueueUrl=none")),
            "400 " + head + "<ErrorResponse" + name_space +
                "<Error><Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>"
                "<Message>The specified queue does not exist for this wsdl version.</Message>"
                "<Detail/></Error><RequestId>ID</RequestId></ErrorResponse>");
}

TEST_F(WireTest, CarriageReturnsOutliveAnXmlParser) {
  call(Protocol::json, "SendMessage", {{"QueueUrl", url_}, {"MessageBody", "a\r\n]]><b>&\"\t"}});
  const std::string answer = wire(form("Action=ReceiveMessage&QueueUrl=jobs"));
  EXPECT_NE(answer.find("<Body>a&#xD;\n]]&gt;&lt;b&gt;&amp;&quot;\t</Body>"), std::string::npos)
      << answer;
}

TEST_F(WireTest, EveryAnswerHasAnIdOfItsOwn) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    FakeExchange exchange;
    ask(Protocol::json, "ListQueues", Json::object(), exchange);
    const std::string id = exchange.fields["x-amzn-RequestId"];
    EXPECT_EQ(id[14], '4');
    EXPECT_TRUE(ids.insert(id).second);
  }
}

// --- which protocol, which action ---

TEST_F(WireTest, ProtocolFollowsFromTheRequest) {
  const std::string unknown = "400 InvalidAction: The action ";
  const std::string end = " is not valid for this endpoint.";
  RawRequest raw = json("Nonsense", "{}");
  EXPECT_EQ(refusal(raw), unknown + "AmazonSQS.Nonsense" + end);
  EXPECT_EQ(call_raw(raw).type, "com.amazon.coral.service#UnknownOperationException");
  raw = json("ListQueues", "{}");
  raw.fields.back().second = "AmazonSNS.ListQueues";
  EXPECT_EQ(refusal(raw), unknown + "AmazonSNS.ListQueues" + end);
  raw.fields.pop_back();  // no target
  EXPECT_EQ(refusal(raw), unknown + end);
  raw = json("ListQueues", "{}");
  raw.method = "GET";
  EXPECT_EQ(call_raw(raw).status, 400);

  EXPECT_EQ(refusal(form("Action=Nonsense")), unknown + "Nonsense" + end);
  EXPECT_EQ(refusal(form("")), unknown + end);
  // A list of queues is nothing that a queue is asked for; its URL is.
  raw = form("Action=ListQueues");
  raw.target = "/000000000000/jobs";
  EXPECT_EQ(refusal(raw), unknown + "ListQueues" + end);
  raw.body = "Action=CreateQueue&QueueName=x";
  EXPECT_EQ(refusal(raw), unknown + "CreateQueue" + end);
  raw.body = "Action=GetQueueUrl&QueueName=jobs";
  EXPECT_EQ(call_raw(raw).status, 200);

  // A content type that has a tail, and none.
  raw = json("ListQueues", "{}");
  raw.fields[1].second += "; charset=utf-8";
  EXPECT_EQ(call_raw(raw).status, 200);
  raw.fields.erase(raw.fields.begin() + 1);
  EXPECT_EQ(call_raw(raw).status, 200);
}

TEST_F(WireTest, QueryMayStandInTheTarget) {
  RawRequest raw;
  raw.method = "GET";
  raw.target = "/?Action=GetQueueUrl&QueueName=j%6Fbs&Version=2012-11-05";
  EXPECT_EQ(call_raw(raw).result["QueueUrl"], url_);
  raw.target = "/000000000000/jobs?Action=SendMessage&MessageBody=a+b%20c";
  EXPECT_EQ(call_raw(raw).status, 200);
  raw.target = "/000000000000/jobs?Action=ReceiveMessage";
  EXPECT_EQ(call_raw(raw).result["Messages"][0]["Body"], "a b c");
  raw.target = "/000000000000/jobs";
  FakeExchange exchange;
  give(raw, exchange);
  EXPECT_EQ(exchange.status, 404);
  EXPECT_EQ(exchange.body, "<UnknownOperationException/>");
}

TEST_F(WireTest, QueueMayBeNamedByThePathAndTheParameterWins) {
  call(Protocol::json, "CreateQueue", {{"QueueName", "other"}});
  RawRequest raw = json("SendMessage", R"({"MessageBody":"x"})");
  raw.target = "/000000000000/jobs";
  EXPECT_EQ(call_raw(raw).status, 200);
  raw = json("SendMessage", R"({"MessageBody":"x","QueueUrl":"http://h/000000000000/other"})");
  raw.target = "/000000000000/jobs";
  EXPECT_EQ(call_raw(raw).status, 200);
  for (const char* name : {"jobs", "other"})
    EXPECT_EQ(
        call(Protocol::query, "ReceiveMessage", {{"QueueUrl", name}}).result["Messages"].size(),
        1u);
}

// --- JSON ---

TEST_F(WireTest, ValuesOfTheWrongTypeCannotBeRead) {
  const std::string bad = "400 MalformedInput: ";
  const char* const rows[][3] = {
      {"SendMessage", R"({"QueueUrl":{"a":1}})",
       "Start of structure or map found where not expected."},
      {"SendMessage", R"({"QueueUrl":["a"]})", "Start of list found where not expected"},
      {"SendMessage", R"({"QueueUrl":7})", "NUMBER_VALUE can not be converted to a String"},
      {"SendMessage", R"({"QueueUrl":true})", "BOOLEAN_VALUE can not be converted to a String"},
      {"SendMessage", R"({"DelaySeconds":"ten"})",
       "STRING_VALUE can not be converted to an Integer"},
      {"SendMessage", R"({"DelaySeconds":[1]})", "Start of list found where not expected"},
      {"SendMessage", R"({"MessageAttributes":[]})", "Start of list found where not expected"},
      {"SendMessage", R"({"MessageAttributes":{"a":"b"}})",
       "STRING_VALUE can not be converted to a Structure"},
      {"SendMessage", R"({"MessageAttributes":{"a":{"BinaryValue":"***"}}})",
       "A blob is not base64."},
      {"ReceiveMessage", R"({"AttributeNames":"All"})",
       "Unrecognized collection type class java.lang.String"},
      {"ReceiveMessage", R"({"AttributeNames":{}})",
       "Start of structure or map found where not expected."},
      {"ReceiveMessage", R"({"AttributeNames":[1]})",
       "NUMBER_VALUE can not be converted to a String"},
      {"SetQueueAttributes", R"({"Attributes":"x"})",
       "Unrecognized collection type class java.lang.String"},
      {"SetQueueAttributes", R"({"Attributes":{"DelaySeconds":1}})",
       "NUMBER_VALUE can not be converted to a String"},
      {"SendMessage", R"([])", "Start of list found where not expected"},
      {"SendMessage", R"("x")", "The request body must be a JSON object."},
      {"SendMessage", R"(7)", "The request body must be a JSON object."},
      {"SendMessage", R"(null)", "The request body must be a JSON object."},
  };
  for (const auto& [action, body, text] : rows) {
    EXPECT_EQ(refusal(json(action, body)), bad + text) << body;
    EXPECT_EQ(call_raw(json(action, body)).type, "com.amazon.coral.service#SerializationException");
  }
}

TEST_F(WireTest, BodiesThatAreNoJsonAreRefused) {
  for (const std::string& body : {std::string("{"),
                                  std::string("}"),
                                  std::string(R"({"a")"),
                                  std::string(R"({"a":})"),
                                  std::string(R"({"a":1)"),
                                  std::string(R"({"a":1,})"),
                                  std::string(R"({"a":1}})"),
                                  std::string(R"({"a":1} x)"),
                                  std::string(R"({"a":1}{"a":1})"),
                                  std::string(R"({a:1})"),
                                  std::string(R"({"a":tru})"),
                                  std::string(R"({"a":nul})"),
                                  std::string(R"({"a":01})"),
                                  std::string(R"({"a":1.})"),
                                  std::string(R"({"a":"\q"})"),
                                  std::string(R"({"a":"\u12"})"),
                                  std::string(R"({"a":"\ud800"})"),
                                  std::string(R"({"a":"\udc00"})"),
                                  std::string(R"({"a":"\ud800\u0041"})"),
                                  std::string("{\"a\":\"\x80\"}"),
                                  std::string("{\"a\":\"\xED\xA0\x80\"}"),
                                  std::string("{\"a\":\"\xC0\x80\"}"),
                                  std::string("{\"a\":\"\x01\"}"),
                                  std::string("{\"a\":\"\n\"}"),
                                  std::string(R"({"a":"b)"),
                                  std::string(R"({"a":"b\")"),
                                  std::string(R"({"a":[1,]})"),
                                  std::string(R"({"a":[1 2]})"),
                                  std::string(R"({"a":[})"),
                                  std::string(R"({"a" 1})"),
                                  std::string("hello"),
                                  std::string("{\"a\":1}\0", 8),
                                  std::string("   "),
                                  std::string("\xEF\xBB\xBF{}x")})
    EXPECT_EQ(refusal(json("SendMessage", body)),
              "400 MalformedInput: The request body is not valid JSON.")
        << body;
}

TEST_F(WireTest, UnknownMembersAndNullsAreIgnored) {
  const Seen sent = call_raw(json(
      "SendMessage",
      R"({"Other":{"a":[1,2.5e3,true,false,null,"\u00e9",{"b":{}}]},"QueueUrl":"jobs","DelaySeconds":null,)"
      R"("MessageAttributes":{"a":null},"MessageBody":"\"\\\/\b\u0041\ud83d\ude80\n"})"));
  // \b is no character that a message may have; all else was read.
  EXPECT_EQ(sent.code, "InvalidMessageContents");
  const Seen again = call_raw(
      json("SendMessage",
           R"( { "QueueUrl" : "jobs" , "Message\u0042ody" : "\"\\\/\u0041\ud83d\ude80\n" } )"));
  EXPECT_EQ(again.status, 200) << again.error();
  EXPECT_EQ(call(Protocol::query, "ReceiveMessage", {{"QueueUrl", "jobs"}})
                .result["Messages"][0]["Body"]
                .get<std::string>(),
            "\"\\/A🚀\n");
}

TEST_F(WireTest, EmptyBodyIsAnEmptyObject) {
  EXPECT_EQ(call_raw(json("ListQueues", "")).status, 200);
  EXPECT_EQ(refusal(json("CreateQueue", "")),
            "400 InvalidParameterValue: Value for parameter QueueName is invalid. Reason: Must "
            "specify a queue name.");
}

TEST_F(WireTest, SizeOfAnInputIsBounded) {
  const auto nested = [](size_t levels) {
    return "{\"x\":" + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  EXPECT_EQ(call_raw(json("ListQueues", nested(31))).status, 200);
  const std::string deep = "400 MalformedInput: The request is nested more than 32 levels deep.";
  EXPECT_EQ(refusal(json("ListQueues", nested(32))), deep);
  EXPECT_EQ(refusal(json("ListQueues", nested(10'000))), deep);
  std::string objects = "1";
  for (int i = 0; i < 40; ++i)
    objects = "{\"a\":" + objects + "}";
  EXPECT_EQ(refusal(json("ListQueues", objects)), deep);
  EXPECT_EQ(refusal(json("ListQueues", std::string(100'000, '['))),
            "400 MalformedInput: Start of list found where not expected");

  const auto members = [](size_t count) {
    std::string body = "{\"a0\":1";
    for (size_t i = 1; i < count; ++i)
      body += ",\"a" + std::to_string(i) + "\":1";
    return body + "}";
  };
  EXPECT_EQ(call_raw(json("ListQueues", members(1'000))).status, 200);
  const std::string many = "400 MalformedInput: The request has more than 1000 members.";
  EXPECT_EQ(refusal(json("ListQueues", members(1'001))), many);
  EXPECT_EQ(refusal(json("ListQueues", members(100'000))), many);
}

TEST_F(WireTest, MembersGivenTwiceAreRefused) {
  for (const auto& [action, body, name] :
       {std::array{"SendMessage", R"({"QueueUrl":"jobs","QueueUrl":"jobs"})", "QueueUrl"},
        std::array{"SendMessage", R"({"MessageAttributes":{"a":{},"a":{}}})", "a"},
        std::array{"TagQueue", R"({"Tags":{"k":"1","k":"2"}})", "k"}})
    EXPECT_EQ(refusal(json(action, body)),
              "400 MalformedInput: The member " + std::string(name) + " is given twice.");
}

TEST_F(WireTest, IntegersThatAreNoneAreInvalid) {
  for (const char* number : {"30.5", "1e99", "1e2", "99999999999999999999", "-0.5"})
    EXPECT_EQ(refusal(json("SendMessage",
                           std::string(R"({"QueueUrl":"jobs","MessageBody":"x","DelaySeconds":)") +
                               number + "}")),
              "400 InvalidParameterValue: Value " + std::string(number) +
                  " for parameter DelaySeconds is invalid. Reason: Must be an integer.");
  for (const char* number : {"ten", "", "1.5", "1e2", "0x1", "99999999999999999999"})
    EXPECT_EQ(refusal(form("Action=SendMessage&QueueUrl=jobs&MessageBody=x&DelaySeconds=" +
                           std::string(number))),
              "400 InvalidParameterValue: Value " + std::string(number) +
                  " for parameter DelaySeconds is invalid. Reason: Must be an integer.");
}

// --- forms ---

TEST_F(WireTest, FormsAreReadInAnyOrderAndWithGaps) {
  const Seen sent = call_raw(
      form("MessageAttribute.7.Value.StringValue=blue&MessageAttribute.3.Value.DataType=Number&"
           "MessageBody=x&Action=SendMessage&MessageAttribute.7.Name=color&QueueUrl=jobs&&"
           "MessageAttribute.3.Name=count&MessageAttribute.7.Value.DataType=String&"
           "MessageAttribute.3.Value.StringValue=3&Other.1.x=y&Version=2012-11-05&"
           "MessageAttribute.9.Name=blob&MessageAttribute.9.Value.DataType=Binary&"
           "MessageAttribute.9.Value.BinaryValue=AQID"));
  EXPECT_EQ(sent.result["MD5OfMessageAttributes"], "d838729972a4b70e2d2acd9d59ac847c");
  const Seen batch = call_raw(
      form("Action=SendMessageBatch&QueueUrl=jobs&SendMessageBatchRequestEntry.2.Id=b&"
           "SendMessageBatchRequestEntry.2.MessageBody=second&SendMessageBatchRequestEntry.1.Id=a&"
           "SendMessageBatchRequestEntry.1.MessageBody=first"));
  EXPECT_EQ(batch.result["Successful"][0]["Id"], "a");
  EXPECT_EQ(batch.result["Successful"][1]["Id"], "b");
  // As very old clients ask.
  EXPECT_EQ(call_raw(form("Action=GetQueueAttributes&QueueUrl=jobs&AttributeName=DelaySeconds"))
                .result["Attributes"]["DelaySeconds"],
            "0");
  EXPECT_EQ(
      call_raw(form("Action=ReceiveMessage&QueueUrl=jobs&MessageSystemAttributeName.1=SenderId"))
          .result["Messages"][0]["Attributes"]["SenderId"],
      "000000000000");
}

TEST_F(WireTest, FormsThatAreNoneAreRefused) {
  const std::string bad = "400 MalformedInput: ";
  std::string many = "Action=ListQueues";
  for (int i = 0; i < 5'000; ++i)
    many += "&a" + std::to_string(i) + "=1";
  const std::string index = "The index of Attribute must be an integer between 1 and 1000.";
  const std::pair<std::string, std::string> rows[] = {
      {"Action=ListQueues&QueueNamePrefix=%zz", "The request has an escape that is not %XX."},
      {"Action=ListQueues&QueueNamePrefix=%4", "The request has an escape that is not %XX."},
      {"Action=ListQueues&%00=a", "The request is not UTF-8."},
      {"Action=ListQueues&QueueNamePrefix=%FF", "The request is not UTF-8."},
      {"Action=ListQueues&Action=ListQueues", "The parameter Action is given twice."},
      {many, "The request has more than 1000 parameters."},
      {"Action=SetQueueAttributes&QueueUrl=jobs&Attribute.999999999.Name=x", index},
      {"Action=SetQueueAttributes&QueueUrl=jobs&Attribute.0.Name=x", index},
      {"Action=SetQueueAttributes&QueueUrl=jobs&Attribute.-1.Name=x", index},
      {"Action=SetQueueAttributes&QueueUrl=jobs&Attribute.x.Name=x", index},
      {"Action=SendMessage&QueueUrl=jobs&QueueUrl=jobs", "The parameter QueueUrl is given twice."},
      {"Action=SetQueueAttributes&QueueUrl=jobs&Attribute.1.Name=x&Attribute.1.Name=y",
       "The parameter Attribute.1.Name is given twice."},
      {"Action=SendMessage&QueueUrl=jobs&MessageAttribute.1.Value.BinaryValue=*",
       "MessageAttribute.1.Value.BinaryValue is not base64."},
  };
  for (const auto& [body, text] : rows)
    EXPECT_EQ(refusal(form(body)), bad + text) << body.substr(0, 80);
  EXPECT_EQ(refusal(form("Action=SendMessage&QueueUrl=jobs&MessageBody=a%00")).substr(0, 26),
            "400 InvalidMessageContents");
}

// --- pieces ---

TEST(Base64, RoundTripsAndRefuses) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
      {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xFF\xFE", "//4="}};
  for (const auto& [bytes, text] : rows) {
    std::string encoded;
    append_base64(encoded, as_bytes(bytes));
    EXPECT_EQ(encoded, text);
    EXPECT_EQ(decode_base64(encoded.data(), encoded.size()), bytes);
  }
  for (std::string bad :
       {"Z", "Zg=", "Zg===", "Z===", "====", "Zm9v Zm9v", "Zm-_", "=", "Zg==Zg=="})
    EXPECT_FALSE(decode_base64(bad.data(), bad.size())) << bad;
  std::string unpadded = "Zm8";
  EXPECT_EQ(decode_base64(unpadded.data(), unpadded.size()), "fo");
}

TEST(Arn, IsSixParts) {
  const auto arn = parse_arn("arn:aws:sqs:us-east-1:000000000000:jobs");
  ASSERT_TRUE(arn);
  EXPECT_EQ(arn->service, "sqs");
  EXPECT_EQ(arn->account, "000000000000");
  EXPECT_EQ(arn->resource, "jobs");
  EXPECT_EQ(parse_arn("arn:aws:s3:::b:c")->resource, "b:c");
  for (const char* bad : {"", "arn", "arn:aws:sqs:us-east-1:000000000000", "x:aws:sqs:r:a:n",
                          "arn:aws:sqs:r:a:", "arn:::::n"})
    EXPECT_FALSE(parse_arn(bad)) << bad;
}

TEST(Errors, EveryOutcomeOfTheEngineHasOne) {
  int named = 0;
  for (int i = 0; i < 256; ++i) {
    const Errc code{static_cast<uint16_t>(i)};
    if (errc_name(code) == errc_name(Errc{9'999})) continue;
    ++named;
    const AwsError error = error_of(code);
    if (code == Errc::ok) {
      EXPECT_FALSE(error);
      continue;
    }
    ASSERT_TRUE(error);
    EXPECT_FALSE(error.text.empty());
    // What a client's request can come to is its sender's; what is wrong with us is ours, and so is
    // too much to do: clients try again.
    const bool refused = code >= Errc::invalid_argument && code <= Errc::access_denied &&
                         code != Errc::subscription_not_found && code != Errc::throttled;
    EXPECT_EQ(error.kind->senders(), refused) << errc_name(code);
  }
  EXPECT_GE(named, 40);
  for (const Errc busy : {Errc::throttled, Errc::memory_full, Errc::disk_full})
    EXPECT_EQ(error_of(busy).kind->status, 503) << errc_name(busy);
}

}  // namespace
}  // namespace millrace::net::sqs

// The text in which a subscriber gets a message, and what of it is signed.
#include "net/topics/envelope.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "millrace/properties.h"

namespace millrace::net::topics {
namespace {

using Json = nlohmann::ordered_json;

const Notification kPlain{.message_id = "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                          .topic_arn = "arn:aws:sns:us-east-1:000000000000:orders",
                          .subject = std::nullopt,
                          .message = "hello",
                          .timestamp = "2025-01-02T03:04:05.678Z",
                          .base_url = "http://127.0.0.1:9324"};
constexpr NotificationSignature kSignature{"1", "c2lnbmF0dXJl", "/SimpleNotificationService-0.pem"};

TEST(Envelope, IsLaidOutAsTheServiceDoes) {
  Notification one = kPlain;
  one.subject = "a subject";
  std::string properties;
  append_property(properties, PropertyTag::group, as_bytes("g"));
  append_property(properties, PropertyTag::attribute, "color", "String", as_bytes("blue"));
  append_property(properties, PropertyTag::attribute, "blob", "Binary.x", as_bytes("\x01\x02\x03"));
  append_property(properties, PropertyTag::attribute, "list", "String.Array",
                  as_bytes(R"(["a",1])"));
  one.properties = as_bytes(properties);
  Envelope envelope = make_envelope(one, &kSignature);
  EXPECT_EQ(envelope.sequence_at, 0u);
  EXPECT_EQ(envelope.text.substr(envelope.uuid_at, kUuidTextBytes + 1),
            std::string(kUuidTextBytes, '0') + "\"");
  envelope.text.replace(envelope.uuid_at, kUuidTextBytes, "0b0c0d0e-0000-4000-8000-000000000001");
  EXPECT_EQ(envelope.text, R"({
  "Type" : "Notification",
  "MessageId" : "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  "TopicArn" : "arn:aws:sns:us-east-1:000000000000:orders",
  "Subject" : "a subject",
  "Message" : "hello",
  "Timestamp" : "2025-01-02T03:04:05.678Z",
  "SignatureVersion" : "1",
  "Signature" : "c2lnbmF0dXJl",
  "SigningCertURL" : "http://127.0.0.1:9324/SimpleNotificationService-0.pem",
  "UnsubscribeURL" : "http://127.0.0.1:9324/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:000000000000:orders:0b0c0d0e-0000-4000-8000-000000000001",
  "MessageAttributes" : {
    "color" : {"Type":"String","Value":"blue"},
    "blob" : {"Type":"Binary.x","Value":"AQID"},
    "list" : {"Type":"String.Array","Value":"[\"a\",1]"}
  }
})");
}

TEST(Envelope, OfAFifoTopicHasASequenceNumberAndNoSignature) {
  Notification one = kPlain;
  one.fifo = true;
  Envelope envelope = make_envelope(one, nullptr);
  envelope.text.replace(envelope.sequence_at, kSequenceTextBytes, "10000000000000003000");
  const Json json = Json::parse(envelope.text);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items())
    keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"Type", "MessageId", "SequenceNumber", "TopicArn",
                                            "Message", "Timestamp", "UnsubscribeURL"}));
  EXPECT_EQ(json["SequenceNumber"], "10000000000000003000");
}

TEST(Envelope, HoldsAnyText) {
  Notification one = kPlain;
  const std::string text = "a\"b\\c\n\t\r\x01 \xC3\xBC \xF0\x9F\x9A\x80 {\"json\":[1]}";
  one.message = text;
  one.subject = "\"<&>";
  const Json json = Json::parse(make_envelope(one, &kSignature).text);
  EXPECT_EQ(json["Message"], text);
  EXPECT_EQ(json["Subject"], "\"<&>");
  EXPECT_FALSE(json.contains("MessageAttributes"));
}

TEST(Envelope, SaysWhatOfItIsSigned) {
  Notification one = kPlain;
  EXPECT_EQ(text_to_sign(one),
            "Message\nhello\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\n"
            "Timestamp\n2025-01-02T03:04:05.678Z\nTopicArn\n"
            "arn:aws:sns:us-east-1:000000000000:orders\nType\nNotification\n");
  one.subject = "s";
  EXPECT_EQ(text_to_sign(one),
            "Message\nhello\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\nSubject\ns\n"
            "Timestamp\n2025-01-02T03:04:05.678Z\nTopicArn\n"
            "arn:aws:sns:us-east-1:000000000000:orders\nType\nNotification\n");
}

}  // namespace
}  // namespace millrace::net::topics

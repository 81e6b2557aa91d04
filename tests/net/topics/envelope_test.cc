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

TEST(Envelope, IsReadAgain) {
  Notification one = kPlain;
  one.message = "a \"quoted\" text,\nwith \xC3\xA4";
  std::string properties;
  append_property(properties, PropertyTag::attribute, "blob", "Binary", as_bytes("\x01\xFF"));
  append_property(properties, PropertyTag::attribute, "n", "Number", as_bytes("7"));
  one.properties = as_bytes(properties);
  const std::string text = make_envelope(one, &kSignature).text;
  const auto head = read_envelope_head(text);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->message_id, kPlain.message_id);
  EXPECT_EQ(head->topic_arn, kPlain.topic_arn);
  const auto content = read_envelope(text);
  ASSERT_TRUE(content);
  EXPECT_EQ(content->message, one.message);
  EXPECT_EQ(content->properties, properties);
  EXPECT_EQ(content->attributes, 2u);
  for (const char* none :
       {"", "{}", "text", R"({"Message":7})", R"({"Message":"x","MessageAttributes":{"a":{}}})"}) {
    EXPECT_FALSE(read_envelope_head(none)) << none;
    EXPECT_FALSE(read_envelope(none)) << none;
  }
}

TEST(Confirmation, IsLaidOutAsTheServiceDoes) {
  const Confirmation letter{.type = "SubscriptionConfirmation",
                            .message_id = "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                            .token = "t",
                            .topic_arn = "arn:aws:sns:us-east-1:000000000000:orders",
                            .message = "You have chosen",
                            .subscribe_url = "http://h/?Action=ConfirmSubscription",
                            .timestamp = "2025-01-02T03:04:05.678Z"};
  EXPECT_EQ(
      text_to_sign(letter),
      "Message\nYou have chosen\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\nSubscribeURL\n"
      "http://h/?Action=ConfirmSubscription\nTimestamp\n2025-01-02T03:04:05.678Z\nToken\nt\n"
      "TopicArn\narn:aws:sns:us-east-1:000000000000:orders\nType\nSubscriptionConfirmation\n");
  EXPECT_EQ(make_confirmation(letter, kSignature, "http://h"), R"({
  "Type" : "SubscriptionConfirmation",
  "MessageId" : "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  "Token" : "t",
  "TopicArn" : "arn:aws:sns:us-east-1:000000000000:orders",
  "Message" : "You have chosen",
  "SubscribeURL" : "http://h/?Action=ConfirmSubscription",
  "Timestamp" : "2025-01-02T03:04:05.678Z",
  "SignatureVersion" : "1",
  "Signature" : "c2lnbmF0dXJl",
  "SigningCertURL" : "http://h/SimpleNotificationService-0.pem"
})");
}

}  // namespace
}  // namespace millrace::net::topics

// What may be published, and what is said of what may not.
#include "net/topics/publication.h"

#include <gtest/gtest.h>

#include "millrace/properties.h"

namespace millrace::net::topics {
namespace {

std::string said(const PublishRefusal& refusal) {
  constexpr const char* kFaults[] = {"", "parameter", "attribute", "not given"};
  return refusal ? std::string(kFaults[static_cast<int>(refusal.fault)]) + ": " + refusal.text : "";
}

std::string of_attribute(const PublishedAttribute& attribute) {
  Publication one;
  one.attributes = {&attribute, 1};
  return said(check_attributes(one));
}

TEST(Publication, AttributesAreNamedAsTheServiceWantsIt) {
  const auto named = [](std::string_view name) {
    return of_attribute({.name = name, .type = "String", .text = "x"});
  };
  EXPECT_EQ(named("a.b-c_9"), "");
  EXPECT_EQ(named(std::string(256, 'a')), "");
  EXPECT_EQ(named(std::string(257, 'a')),
            "attribute: Length of message attribute name must be less than 256 bytes.");
  EXPECT_EQ(named("a^"),
            "attribute: Invalid non-alphanumeric character '#x5E' was found in the message "
            "attribute name. Can only include alphanumeric characters, hyphens, underscores, or "
            "dots.");
  EXPECT_NE(named("\xC3\xBC").find("'#xFC'"), std::string::npos);
  EXPECT_EQ(named(".a"),
            "attribute: Invalid message attribute name starting with character '.' was found.");
  EXPECT_EQ(named("a."),
            "attribute: Invalid message attribute name ending with character '.' was found.");
  EXPECT_EQ(named("a..b"),
            "attribute: Message attribute name can not have successive '.' character.");
  EXPECT_EQ(named(""), "attribute: The message attribute name must not be empty.");
  const PublishedAttribute twice[] = {{.name = "a", .type = "String", .text = "x"},
                                      {.name = "a", .type = "String", .text = "y"}};
  Publication one;
  one.attributes = twice;
  EXPECT_EQ(said(check_attributes(one)), "attribute: The message attribute 'a' is given twice.");
}

TEST(Publication, AttributesHaveATypeAndAValueOfIt) {
  const auto typed = [](std::string_view type, std::optional<std::string_view> text,
                        std::optional<std::string_view> bytes = std::nullopt) {
    return of_attribute({.name = "a", .type = type, .text = text, .bytes = bytes});
  };
  for (const char* type : {"String", "String.Array", "String.x"})
    EXPECT_EQ(typed(type, "x"), "");
  EXPECT_EQ(typed("Number.int", "1e3"), "");
  EXPECT_EQ(typed("Binary.gif", std::nullopt, "\x01"), "");
  EXPECT_EQ(of_attribute({.name = "attr1", .text = "x"}),
            "not given: messageAttributes.attr1.member.dataType");
  for (const char* type : {"", "string", "Strings", "String.", "Bool"})
    EXPECT_EQ(typed(type, "x"),
              "attribute: The message attribute 'a' has an invalid message attribute type, the set "
              "of supported type prefixes is Binary, Number, and String.")
        << type;
  for (const char* type : {"String", "Number"})
    EXPECT_EQ(typed(type, std::nullopt, "x"), std::string("attribute: The message attribute 'a' "
                                                          "with type '") +
                                                  type + "' must use field 'String'.");
  EXPECT_EQ(typed("Binary", "x"),
            "attribute: The message attribute 'a' with type 'Binary' must use field 'Binary'.");
  for (const std::optional<std::string_view> none :
       {std::optional<std::string_view>(), std::optional<std::string_view>("")})
    EXPECT_EQ(typed("String", none),
              "attribute: The message attribute 'a' must contain non-empty message attribute value "
              "for message attribute type 'String'.");
  EXPECT_EQ(typed("Number", "ten"),
            "attribute: Could not cast message attribute 'a' value to number.");
  EXPECT_NE(typed("String", "\x01"), "");
}

TEST(Publication, HasIdsAsItsTopicWantsThem) {
  TopicAttributes standard, fifo, by_content;
  fifo.fifo = by_content.fifo = true;
  by_content.content_deduplication = true;
  const auto ids = [](const TopicAttributes& topic, std::optional<std::string_view> group,
                      std::optional<std::string_view> deduplication) {
    Publication one;
    one.group = group;
    one.deduplication_id = deduplication;
    return said(check_ids(one, topic));
  };
  EXPECT_EQ(ids(standard, std::nullopt, std::nullopt), "");
  EXPECT_EQ(ids(standard, "g", std::nullopt), "");
  EXPECT_EQ(ids(standard, std::nullopt, "d"),
            "parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId "
            "parameter that is not valid for this topic type");
  EXPECT_EQ(ids(fifo, "g", "d"), "");
  EXPECT_EQ(ids(fifo, std::nullopt, "d"),
            "parameter: The MessageGroupId parameter is required for FIFO topics");
  EXPECT_EQ(ids(fifo, "g", std::nullopt),
            "parameter: The topic should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly");
  EXPECT_EQ(ids(by_content, "g", std::nullopt), "");
  EXPECT_EQ(ids(fifo, std::string(128, 'g'), "d"), "");
  EXPECT_NE(ids(fifo, std::string(129, 'g'), "d"), "");
  EXPECT_NE(ids(fifo, "a b", "d"), "");
  EXPECT_NE(ids(fifo, "g", ""), "");
}

TEST(Publication, HasATextWithinItsTopicsBound) {
  TopicAttributes topic;
  const auto text = [&](Publication one) { return said(check_text(one, topic)); };
  EXPECT_EQ(text({}), "not given: message");
  EXPECT_EQ(text({.message = ""}), "parameter: Empty message");
  const std::string most(262'144, 'a');
  EXPECT_EQ(text({.message = most}), "");
  const std::string more(262'145, 'a');
  EXPECT_EQ(text({.message = more}), "parameter: Message too long");
  // Names, types and values count.
  const PublishedAttribute attribute{.name = "abc", .type = "String", .text = "x"};
  const std::string rest(262'144 - 10, 'a');
  EXPECT_EQ(text({.message = rest, .attributes = {&attribute, 1}}), "");
  const std::string over(262'144 - 9, 'a');
  EXPECT_EQ(text({.message = over, .attributes = {&attribute, 1}}), "parameter: Message too long");
  topic.message_bytes_max = 1 << 20;
  EXPECT_EQ(text({.message = more}), "");
  EXPECT_NE(text({.message = "a\x01"}), "");
}

TEST(Publication, HasASubjectOfOneLine) {
  const auto subject = [](std::string_view text) {
    return said(check_text({.message = "m", .subject = text}, {}));
  };
  EXPECT_EQ(subject("Orders of today"), "");
  EXPECT_EQ(subject(std::string(100, 'a')), "");
  std::string hundred;
  for (int i = 0; i < 100; ++i)
    hundred += "\xC3\xBC";
  EXPECT_EQ(subject(hundred), "");
  EXPECT_EQ(subject(std::string(101, 'a')), "parameter: Subject");
  for (const char* bad : {"", "a\nb", "a\rb", "a\tb", "a\x7F"})
    EXPECT_EQ(subject(bad), "parameter: Subject") << bad;
}

TEST(Publication, MayHaveATextForEachProtocol) {
  const auto structured = [](std::string_view message) {
    return Publication{.message = message, .structure = "json"};
  };
  const auto refused = [&](std::string_view message) {
    return said(check_text(structured(message), {}));
  };
  EXPECT_EQ(refused(R"({"sqs":"x"})"),
            "parameter: Message Structure - No default entry in JSON message body");
  EXPECT_EQ(refused(R"({"default":1})"),
            "parameter: Message Structure - No default entry in JSON message body");
  for (const char* bad : {"{", "[]", "\"default\"", "{\"default\":\"x\"} y"})
    EXPECT_EQ(refused(bad), "parameter: Message Structure - JSON message body failed to parse")
        << bad;
  EXPECT_EQ(said(check_text({.message = "{}", .structure = "xml"}, {})),
            "parameter: MessageStructure");
  const char* const good = R"({"default":"d","sqs":"for queues","https":7})";
  EXPECT_EQ(refused(good), "");
  const ProtocolTexts texts(structured(good));
  EXPECT_EQ(texts.of("sqs"), "for queues");
  EXPECT_EQ(texts.of("https"), "d");
  EXPECT_EQ(texts.of("email"), "d");
  EXPECT_EQ(ProtocolTexts({.message = good}).of("sqs"), good);
}

TEST(Publication, BecomesProperties) {
  const PublishedAttribute attributes[] = {{.name = "a", .type = "String", .text = "x"},
                                           {.name = "b", .type = "Binary", .bytes = "y"}};
  size_t ids_end = 0;
  const std::string bytes = publication_properties(
      {.group = "g", .trace_header = "Root=1", .sender = "me", .attributes = attributes}, &ids_end);
  PropertyReader reader(as_bytes(bytes).subspan(ids_end));
  const auto first = reader.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->name, "a");
  EXPECT_EQ(as_text(reader.next()->value), "y");
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.whole());
  EXPECT_EQ(as_text(*find_property(as_bytes(bytes), PropertyTag::trace_header)), "Root=1");
}

}  // namespace
}  // namespace millrace::net::topics

// The table of a queue's attributes: each range one below and one above, the texts both ways, what
// goes together and what does not. Ranges are those of SQS.
#include "engine/queue_attributes.h"

#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

QueueAttributes fifo_queue() {
  QueueAttributes attributes;
  attributes.fifo = true;
  return attributes;
}
std::string value_of(const QueueAttributes& attributes, std::string_view name) {
  for (const NamedText& text : attribute_texts(attributes))
    if (text.name == name) return text.value;
  return "(none)";
}
// "" or the detail it is refused with.
std::string refusal(const QueueSettings& settings, QueueAttributes attributes = {},
                    bool creates = true) {
  std::string detail;
  const QueueAttributes before = attributes;
  const auto applied = apply_settings(settings, creates, &attributes, &detail);
  if (applied) return {};
  EXPECT_EQ(applied.error(), Errc::invalid_argument);
  EXPECT_EQ(attributes, before);  // all or nothing
  EXPECT_NE(detail, "");
  return detail;
}
std::string refusal_of(const std::string& name, const std::string& value,
                       QueueAttributes attributes = {}, bool creates = true) {
  return refusal({.attributes = {{name, value}}}, std::move(attributes), creates);
}

struct Range {
  const char* name;
  const char* low;
  const char* high;
  const char* below;
  const char* above;
};
constexpr Range kRanges[] = {
    {"VisibilityTimeout", "0", "43200", "-1", "43201"},
    {"DelaySeconds", "0", "900", "-1", "901"},
    {"MaximumMessageSize", "1024", "1048576", "1023", "1048577"},
    {"MessageRetentionPeriod", "60", "1209600", "59", "1209601"},
    {"ReceiveMessageWaitTimeSeconds", "0", "20", "-1", "21"},
    {"KmsDataKeyReusePeriodSeconds", "60", "86400", "59", "86401"},
    {"InFlightMax", "1", "1000000000", "0", "1000000001"},
    {"Partitions", "1", "64", "0", "65"},
};

TEST(QueueAttributes, EachRangeEndsWhereItSays) {
  for (const Range& range : kRanges) {
    for (const char* inside : {range.low, range.high}) {
      QueueAttributes attributes = fifo_queue();
      std::string detail;
      EXPECT_TRUE(
          apply_settings({.attributes = {{range.name, inside}}}, true, &attributes, &detail))
          << detail;
      EXPECT_EQ(value_of(attributes, range.name), inside) << range.name;
    }
    for (const char* outside :
         {range.below, range.above, "", "x", " 7", "7 ", "+7", "0x10", "99999999999999999999"}) {
      EXPECT_EQ(refusal_of(range.name, outside, fifo_queue()), std::string(range.name) + " is '" +
                                                                   outside + "'; it may be " +
                                                                   range.low + " to " + range.high);
    }
  }
}

TEST(QueueAttributes, AMillisecondPastARangeIsPastIt) {
  for (const Range& range : kRanges) {
    const std::string_view name = range.name;
    const bool seconds = name != "MaximumMessageSize" && name != "InFlightMax" &&
                         name != "Partitions" && name != "KmsDataKeyReusePeriodSeconds";
    EXPECT_NE(refusal_of(range.name, std::string(range.high) + ".001", fifo_queue()), "");
    EXPECT_EQ(refusal_of(range.name, std::string(range.high) + ".0", fifo_queue()).empty(), seconds)
        << name;
  }
  QueueAttributes attributes;
  std::string detail;
  for (const auto& [text, ms] : {std::pair{"1.5", 1500u}, {"0.001", 1u}, {"7.250", 7250u}}) {
    ASSERT_TRUE(
        apply_settings({.attributes = {{"DelaySeconds", text}}}, true, &attributes, &detail));
    EXPECT_EQ(attributes.delay_ms, ms);
  }
  EXPECT_EQ(value_of(attributes, "DelaySeconds"), "7.25");
  for (const char* text : {"1.", ".5", "1.0005", "1.5.1", "1.-5", "1e2"})
    EXPECT_NE(refusal_of("DelaySeconds", text), "") << text;
}

TEST(QueueAttributes, WordsAreTakenAsTheyAreAndYesAndNoInAnyCase) {
  struct Row {
    const char* name;
    const char* value;
    const char* canonical;  // null: refused
  };
  constexpr Row kRows[] = {
      {"Durability", "none", "none"},
      {"Durability", "interval", "interval"},
      {"Durability", "commit", "commit"},
      {"Durability", "Commit", nullptr},
      {"Durability", "", nullptr},
      {"ContentBasedDeduplication", "TRUE", "true"},
      {"ContentBasedDeduplication", "False", "false"},
      {"ContentBasedDeduplication", "1", nullptr},
      {"ContentBasedDeduplication", "", nullptr},
      {"DeduplicationScope", "queue", "queue"},
      {"DeduplicationScope", "messageGroup", "messageGroup"},
      {"DeduplicationScope", "group", nullptr},
      {"FifoThroughputLimit", "perQueue", "perQueue"},
      {"FifoThroughputLimit", "perGroup", nullptr},
      {"FifoQueue", "True", "true"},
      {"FifoQueue", "false", nullptr},
      {"SqsManagedSseEnabled", "false", "false"},
      {"SqsManagedSseEnabled", "no", nullptr},
      {"KmsMasterKeyId", "alias/aws/sqs", "alias/aws/sqs"},
      {"KmsMasterKeyId", "a b", nullptr},
      {"Policy", R"({"Version":"2012-10-17"})", R"({"Version":"2012-10-17"})"},
      {"Policy", "{", nullptr},
  };
  for (const Row& row : kRows) {
    QueueAttributes attributes = fifo_queue();
    std::string detail;
    const auto applied =
        apply_settings({.attributes = {{row.name, row.value}}}, true, &attributes, &detail);
    EXPECT_EQ(static_cast<bool>(applied), row.canonical != nullptr) << row.name << row.value;
    if (row.canonical != nullptr)
      EXPECT_EQ(value_of(attributes, row.name), row.canonical);
    else
      EXPECT_TRUE(detail.starts_with(std::string(row.name) + " is '" + row.value)) << detail;
  }
}

TEST(QueueAttributes, DefaultsAreThoseOfSqs) {
  const std::vector<NamedText> standard = {{"VisibilityTimeout", "30"},
                                           {"DelaySeconds", "0"},
                                           {"MaximumMessageSize", "1048576"},
                                           {"MessageRetentionPeriod", "345600"},
                                           {"ReceiveMessageWaitTimeSeconds", "0"},
                                           {"Durability", "none"},
                                           {"InFlightMax", "120000"},
                                           {"SqsManagedSseEnabled", "true"}};
  EXPECT_EQ(attribute_texts({}), standard);
  const std::vector<NamedText> fifo = {{"FifoQueue", "true"},
                                       {"VisibilityTimeout", "30"},
                                       {"DelaySeconds", "0"},
                                       {"MaximumMessageSize", "1048576"},
                                       {"MessageRetentionPeriod", "345600"},
                                       {"ReceiveMessageWaitTimeSeconds", "0"},
                                       {"Durability", "none"},
                                       {"InFlightMax", "120000"},
                                       {"ContentBasedDeduplication", "false"},
                                       {"DeduplicationScope", "queue"},
                                       {"FifoThroughputLimit", "perQueue"},
                                       {"SqsManagedSseEnabled", "true"}};
  EXPECT_EQ(attribute_texts(fifo_queue()), fifo);
}

TEST(QueueAttributes, WhatIsForFifoQueuesIsRefusedOnAStandardOne) {
  for (const char* name :
       {"ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "Partitions"})
    EXPECT_EQ(refusal_of(name, "1"), std::string(name) + " is '1'; it is for FIFO queues");
  // The type is known whatever stands first.
  EXPECT_EQ(refusal({.attributes = {{"ContentBasedDeduplication", "true"}, {"FifoQueue", "true"}}}),
            "");
}

TEST(QueueAttributes, WhatIsFixedAtCreationMayOnlyBeSetToWhatItIs) {
  QueueAttributes spread = fifo_queue();
  spread.deduplication_scope = DeduplicationScope::group;
  spread.throughput_limit = ThroughputLimit::group;
  spread.partitions = 2;
  for (const auto& [name, same, other] :
       {std::tuple{"FifoQueue", "true", "false"}, {"Partitions", "2", "3"}}) {
    EXPECT_EQ(refusal_of(name, same, spread, false), "");
    EXPECT_TRUE(
        refusal_of(name, other, spread, false).starts_with(std::string(name) + " is '" + other))
        << name;
  }
  EXPECT_EQ(refusal_of("FifoQueue", "true", {}, false),
            "FifoQueue is 'true'; it is not there since the queue was created");
}

TEST(QueueAttributes, ScopeAndLimitMayChangeButNotToWhatAQueueOnSeveralShardsCanNotDo) {
  const QueueAttributes fifo = fifo_queue();
  EXPECT_EQ(refusal_of("DeduplicationScope", "messageGroup", fifo, false), "");
  EXPECT_EQ(refusal_of("FifoThroughputLimit", "perMessageGroupId", fifo, false),
            "FifoThroughputLimit is 'perMessageGroupId'; it may be that only when "
            "DeduplicationScope is messageGroup");
  QueueAttributes spread = fifo;
  spread.deduplication_scope = DeduplicationScope::group;
  spread.throughput_limit = ThroughputLimit::group;
  spread.partitions = 2;
  EXPECT_EQ(refusal_of("FifoThroughputLimit", "perQueue", spread, false), "");
  EXPECT_EQ(refusal_of("DeduplicationScope", "queue", spread, false),
            "FifoThroughputLimit is 'perMessageGroupId'; it may be that only when "
            "DeduplicationScope is messageGroup");
  spread.throughput_limit = ThroughputLimit::queue;
  EXPECT_EQ(refusal_of("DeduplicationScope", "queue", spread, false),
            "DeduplicationScope is 'queue'; the queue lives on 2 shards by its groups since it was "
            "created, and ids are known within them only");
  spread.partitions = 1;
  EXPECT_EQ(refusal_of("DeduplicationScope", "queue", spread, false), "");
}

TEST(QueueAttributes, UnknownAndReadOnlyNamesAreRefused) {
  for (const char* name : {"Colour", "", "visibilitytimeout", "ApproximateNumberOfMessages",
                           "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn"})
    EXPECT_EQ(refusal_of(name, "1"), "a queue has no attribute '" + std::string(name) + "'");
  EXPECT_EQ(refusal_of("a\nb", "1"), "a queue has no attribute 'a?b'");
}

TEST(QueueAttributes, ALimitPerGroupNeedsAScopePerGroup) {
  EXPECT_EQ(refusal_of("FifoThroughputLimit", "perMessageGroupId", fifo_queue()),
            "FifoThroughputLimit is 'perMessageGroupId'; it may be that only when "
            "DeduplicationScope is messageGroup");
  EXPECT_EQ(refusal({.attributes = {{"FifoThroughputLimit", "perMessageGroupId"},
                                    {"DeduplicationScope", "messageGroup"}}},
                    fifo_queue()),
            "");
}

TEST(QueueAttributes, AKeyAndManagedEncryptionExcludeEachOther) {
  EXPECT_EQ(refusal({.attributes = {{"KmsMasterKeyId", "k"}, {"SqsManagedSseEnabled", "true"}}}),
            "SqsManagedSseEnabled is 'true'; it may not be with a KmsMasterKeyId");
  QueueAttributes attributes;
  std::string detail;
  ASSERT_TRUE(apply_settings(
      {.attributes = {{"KmsMasterKeyId", "k"}, {"KmsDataKeyReusePeriodSeconds", "60"}}}, false,
      &attributes, &detail));
  EXPECT_EQ(value_of(attributes, "SqsManagedSseEnabled"), "false");
  ASSERT_TRUE(apply_settings({.attributes = {{"SqsManagedSseEnabled", "true"}}}, false, &attributes,
                             &detail));
  EXPECT_EQ(attributes, QueueAttributes());
}

TEST(QueueAttributes, RedrivePoliciesKeepTheNameOfTheQueue) {
  QueueAttributes attributes;
  std::string detail;
  for (
      const char* text :
      {R"({"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:failed","maxReceiveCount":5})",
       R"( { "maxReceiveCount" : "5" , "deadLetterTargetArn" : "failed" } )"}) {
    ASSERT_TRUE(
        apply_settings({.attributes = {{"RedrivePolicy", text}}}, true, &attributes, &detail))
        << detail;
    EXPECT_EQ(attributes.dead_letter_queue, "failed");
    EXPECT_EQ(attributes.receives_max, 5u);
    EXPECT_EQ(value_of(attributes, "RedrivePolicy"),
              R"({"deadLetterTargetArn":"failed","maxReceiveCount":5})");
  }
  ASSERT_TRUE(apply_settings({.attributes = {{"RedrivePolicy", ""}}}, true, &attributes, &detail));
  EXPECT_EQ(attributes, QueueAttributes());
}

TEST(QueueAttributes, RedrivePoliciesSayWhatIsWrongWithThem) {
  const auto wrong = [](const std::string& name, const std::string& value) {
    const std::string detail = refusal_of(name, value);
    return detail.substr(std::min(detail.size(), detail.rfind("; ")));
  };
  const auto policy = [&](const std::string& count) {
    return wrong("RedrivePolicy", R"({"deadLetterTargetArn":"d","maxReceiveCount":)" + count + "}");
  };
  EXPECT_EQ(policy("1"), "");
  EXPECT_EQ(policy("1000"), "");
  for (const char* count :
       {"0", "1001", "-1", "1.5", "\"\"", "\"x\"", "null", "true", "99999999999999999999"})
    EXPECT_EQ(policy(count), "; maxReceiveCount may be 1 to 1000") << count;
  const std::pair<const char*, const char*> kWrong[] = {
      {"x", "; it is not a JSON object"},
      {"[]", "; it is not a JSON object"},
      {R"({"maxReceiveCount":5})", "; it has no deadLetterTargetArn"},
      {R"({"deadLetterTargetArn":"d"})", "; it has no maxReceiveCount"},
      {R"({"deadLetterTargetArn":"a/b","maxReceiveCount":5})",
       "; deadLetterTargetArn is not the ARN or name of a queue"},
      {R"({"deadLetterTargetArn":7,"maxReceiveCount":5})",
       "; deadLetterTargetArn is not the ARN or name of a queue"},
      {R"({"deadLetterTargetArn":"d","maxReceiveCount":5,"more":1})",
       "; it may have deadLetterTargetArn and maxReceiveCount"}};
  for (const auto& [value, why] : kWrong)
    EXPECT_EQ(wrong("RedrivePolicy", value), why) << value;
}

std::string allow_by(int sources) {
  std::string text = R"({"redrivePermission":"byQueue","sourceQueueArns":[)";
  for (int i = 0; i < sources; ++i)
    text += (i == 0 ? "\"q" : ",\"q") + std::to_string(i) + "\"";
  return text + "]}";
}

TEST(QueueAttributes, RedriveAllowPoliciesSayWhoMaySend) {
  QueueAttributes attributes;
  std::string detail;
  const auto set = [&](const std::string& text) {
    return apply_settings({.attributes = {{"RedriveAllowPolicy", text}}}, true, &attributes,
                          &detail);
  };
  for (const std::string& text :
       {allow_by(1), allow_by(10), std::string(R"({"redrivePermission":"allowAll"})"),
        std::string(R"({"redrivePermission":"denyAll"})")}) {
    ASSERT_TRUE(set(text)) << detail;
    EXPECT_EQ(value_of(attributes, "RedriveAllowPolicy"), text);
  }
  EXPECT_TRUE(attributes.redrive_sources.empty());
  ASSERT_TRUE(set(""));
  EXPECT_EQ(attributes, QueueAttributes());
  const std::pair<std::string, const char*> kWrong[] = {
      {"{}", "; redrivePermission may be allowAll, denyAll or byQueue"},
      {R"({"redrivePermission":"some"})",
       "; redrivePermission may be allowAll, denyAll or byQueue"},
      {R"({"redrivePermission":7})", "; redrivePermission may be allowAll, denyAll or byQueue"},
      {R"({"redrivePermission":"byQueue"})", "; sourceQueueArns may be 1 to 10"},
      {R"({"redrivePermission":"byQueue","sourceQueueArns":"q"})",
       "; sourceQueueArns may be 1 to 10"},
      {allow_by(0), "; sourceQueueArns may be 1 to 10"},
      {allow_by(11), "; sourceQueueArns may be 1 to 10"},
      {R"({"redrivePermission":"denyAll","sourceQueueArns":["q"]})",
       "; sourceQueueArns need the redrivePermission byQueue"},
      {R"({"redrivePermission":"byQueue","sourceQueueArns":["q","a b"]})",
       "; one of sourceQueueArns is not the ARN or name of a queue"},
      {R"({"redrivePermission":"denyAll","more":1})",
       "; it may have redrivePermission and sourceQueueArns"}};
  for (const auto& [value, why] : kWrong) {
    const std::string said = refusal_of("RedriveAllowPolicy", value);
    EXPECT_EQ(said.substr(said.rfind("; ")), why) << value;
  }
}

TEST(QueueAttributes, TagsAreSortedReplacedAndTakenAway) {
  QueueAttributes attributes;
  std::string detail;
  ASSERT_TRUE(apply_settings({.tags = {{"team", "a"}, {"cost", "1"}, {"team", "b"}}}, true,
                             &attributes, &detail));
  EXPECT_EQ(attributes.tags, (std::vector<NamedText>{{"cost", "1"}, {"team", "b"}}));
  ASSERT_TRUE(apply_settings({.tags = {{"team", ""}}, .untagged = {"cost", "nobody"}}, false,
                             &attributes, &detail));
  EXPECT_EQ(attributes.tags, (std::vector<NamedText>{{"team", ""}}));
}

TEST(QueueAttributes, TagsHaveBounds) {
  const auto tagged = [](std::string name, std::string value) {
    return refusal({.tags = {{std::move(name), std::move(value)}}});
  };
  EXPECT_EQ(tagged(std::string(128, 'k'), std::string(256, 'v')), "");
  EXPECT_EQ(tagged("a B9_.:/=+-@", "a B9_.:/=+-@"), "");
  EXPECT_NE(tagged(std::string(129, 'k'), ""), "");
  EXPECT_NE(tagged("", ""), "");
  EXPECT_NE(tagged("k", std::string(257, 'v')), "");
  for (const char* text : {"a*", "a\n", "\xC3\xA4"}) {
    EXPECT_NE(tagged(text, ""), "") << text;
    EXPECT_NE(tagged("k", text), "") << text;
  }
  EXPECT_NE(tagged("AWS:x", ""), "");
  QueueSettings many;
  for (uint32_t i = 0; i < kTagsMax; ++i)
    many.tags.push_back({"k" + std::to_string(i), ""});
  EXPECT_EQ(refusal(many), "");
  many.tags.push_back({"one-more", ""});
  EXPECT_EQ(refusal(many), "there would be 51 tags; there may be 50");
}

TEST(QueueAttributes, SettingsOfAttributesMakeTheSameOfANewQueue) {
  QueueAttributes full = fifo_queue();
  full.visibility_timeout_ms = 1;
  full.retention_ms = kRetentionMsMin;
  full.deduplication_scope = DeduplicationScope::group;
  full.throughput_limit = ThroughputLimit::group;
  full.partitions = 3;
  full.dead_letter_queue = "d.fifo";
  full.receives_max = 9;
  full.redrive_permission = RedrivePermission::by_queue;
  full.redrive_sources = {"a.fifo", "b.fifo"};
  full.policy = "{}";
  full.managed_encryption = false;
  full.kms_key = "k";
  full.kms_reuse_s = 61;
  full.tags = {{"a", "b"}};
  for (const QueueAttributes& wanted : {QueueAttributes(), fifo_queue(), full}) {
    QueueAttributes made;
    std::string detail;
    ASSERT_TRUE(apply_settings(settings_of(wanted), true, &made, &detail)) << detail;
    EXPECT_EQ(made, wanted);
  }
  QueueAttributes odd;
  odd.content_deduplication = true;  // on a standard queue
  EXPECT_NE(refusal(settings_of(odd)), "");
}

TEST(QueueAttributes, EveryRowSaysForPeopleWhatItMayBe) {
  for (const AttributeRow& row : attribute_table()) {
    EXPECT_FALSE(row.form.empty()) << row.name;
    EXPECT_EQ(find_attribute(row.name), &row);
  }
}

TEST(QueueAttributes, ThePageForPeopleHasEachWithItsRange) {
  std::ifstream page(std::string(MILLRACE_SOURCE_DIR) + "/docs/operations.md");
  ASSERT_TRUE(page.is_open());
  std::map<std::string, std::string> rows;
  for (std::string line; std::getline(page, line);)
    if (line.starts_with("| `")) rows[line.substr(3, line.find('`', 3) - 3)] = line;
  for (const AttributeRow& row : attribute_table()) {
    const std::string& said = rows[std::string(row.name)];
    ASSERT_FALSE(said.empty()) << row.name;
    // "0 to 43200 seconds"; Partitions ends where the shards do.
    if (row.form.find(" to ") == std::string_view::npos || row.form.front() == '{' ||
        row.name == "Partitions")
      continue;
    EXPECT_NE(said.find("| " + std::string(row.form)), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace millrace::engine

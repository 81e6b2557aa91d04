// The attributes of topics and subscriptions as texts, and their bounds: a table each, named as SNS
// names them. Where SNS has the ARN of a queue a bare name will do: its last part is kept.
//
// Refusals are worded as SNS's, without its "Invalid parameter: " and "Attributes Reason: ".
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/topics.h"

namespace millrace::engine {

template <class Attributes>
struct TextAttributeRow {
  std::string_view name;
  bool at_creation = false;    // can't be set later
  bool removable = false;      // by ""
  bool in_definition = false;  // lies in the fixed part of the record
  // Sets what the text says, or says what is wrong with it and leaves the attributes as they are.
  std::string (*read)(const TextAttributeRow& row, std::string_view text,
                      Attributes* attributes) = nullptr;
  // The canonical text; nothing if there is none.
  std::optional<std::string> (*write)(const TextAttributeRow& row,
                                      const Attributes& attributes) = nullptr;
};
using TopicAttributeRow = TextAttributeRow<TopicAttributes>;
using SubscriptionAttributeRow = TextAttributeRow<SubscriptionAttributes>;

std::span<const TopicAttributeRow> topic_attribute_table();
std::span<const SubscriptionAttributeRow> subscription_attribute_table();
const TopicAttributeRow* find_topic_attribute(std::string_view name);
const SubscriptionAttributeRow* find_subscription_attribute(std::string_view name);

// Applies the settings, all or none. Error: invalid_argument, with what was wrong in `detail`; with
// none of our own names wrong, `detail` is "AttributeName".
Status apply_topic_settings(const TopicSettings& settings, bool creates,
                            TopicAttributes* attributes, std::string* detail);
Status apply_subscription_settings(const TopicSettings& settings,
                                   SubscriptionAttributes* attributes, std::string* detail);

// What there is, in the tables' order; of a topic without its tags.
std::vector<NamedText> topic_attribute_texts(const TopicAttributes& attributes);
std::vector<NamedText> subscription_attribute_texts(const SubscriptionAttributes& attributes);

// 1..kTopicNameBytesMax of [A-Za-z0-9_-]; of a FIFO topic, and only of one, the last five are
// ".fifo".
bool is_topic_name(std::string_view name, bool fifo);

}  // namespace millrace::engine

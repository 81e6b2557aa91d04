#include "engine/topic_attributes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include <fmt/format.h>

#include "base/bounded_json.h"
#include "base/printable.h"
#include "engine/filter_policy_parser.h"
#include "engine/names.h"
#include "engine/tags.h"
#include "millrace/message.h"

namespace millrace::engine {
namespace {

constexpr uint32_t kPublishedBytesMaxLow = 1'024;
constexpr size_t kDisplayNameBytesMax = 100;
constexpr size_t kRoleBytesMax = 2'048;
constexpr size_t kDocumentBytesMax = 30'720;
// A record of the catalog must fit in a segment of its log.
constexpr size_t kFilterBytesMax = 192u << 10;

// --- texts that are kept ---

using Check = bool (*)(std::string_view text);

template <size_t kMax>
bool up_to(std::string_view text) {
  return text.size() <= kMax;
}
bool is_version(std::string_view text) {
  return text == "1" || text == "2";
}
bool is_tracing(std::string_view text) {
  return text == "PassThrough" || text == "Active";
}
bool is_throughput_scope(std::string_view text) {
  return text == "Topic" || text == "MessageGroup";
}
bool is_percentage(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value <= 100;
}
bool is_json_object(std::string_view text) {
  return text.size() <= kDocumentBytesMax &&
         base::parse_bounded_json<nlohmann::json>(text).is_object();
}

std::vector<NamedText>::iterator place_of(std::vector<NamedText>& texts, std::string_view name) {
  return std::lower_bound(
      texts.begin(), texts.end(), name,
      [](const NamedText& text, std::string_view wanted) { return text.name < wanted; });
}

template <class Attributes, Check kCheck>
std::string read_kept(const TextAttributeRow<Attributes>& row, std::string_view text,
                      Attributes* attributes) {
  auto& texts = attributes->texts;
  const auto place = place_of(texts, row.name);
  const bool there = place != texts.end() && place->name == row.name;
  if (row.removable && text.empty()) {
    if (there) texts.erase(place);
    return {};
  }
  if (!kCheck(text)) return fmt::format("{}: Invalid value [{}]", row.name, base::printable(text));
  if (there)
    place->value = text;
  else
    texts.insert(place, {std::string(row.name), std::string(text)});
  return {};
}

template <class Attributes>
std::optional<std::string> write_kept(const TextAttributeRow<Attributes>& row,
                                      const Attributes& attributes) {
  for (const NamedText& text : attributes.texts)
    if (text.name == row.name) return text.value;
  return std::nullopt;
}

// --- what the engine goes by ---

template <class Attributes, bool Attributes::*kMember>
std::string read_flag(const TextAttributeRow<Attributes>& row, std::string_view text,
                      Attributes* attributes) {
  const bool yes = equal_but_case(text, "true");
  if (!yes && !equal_but_case(text, "false"))
    return fmt::format("{}: Invalid value [{}]. Must be true or false.", row.name,
                       base::printable(text));
  attributes->*kMember = yes;
  return {};
}

std::optional<std::string> write_fifo(const TopicAttributeRow&, const TopicAttributes& attributes) {
  if (!attributes.fifo) return std::nullopt;
  return "true";
}

std::optional<std::string> write_content(const TopicAttributeRow&,
                                         const TopicAttributes& attributes) {
  if (!attributes.fifo) return std::nullopt;
  return attributes.content_deduplication ? "true" : "false";
}

std::string read_size(const TopicAttributeRow& row, std::string_view text,
                      TopicAttributes* attributes) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < kPublishedBytesMaxLow ||
      value > kMessageBytesMax)
    return fmt::format("{}: Invalid value [{}]. It may be {} to {}", row.name,
                       base::printable(text), kPublishedBytesMaxLow, kMessageBytesMax);
  attributes->message_bytes_max = value;
  return {};
}

std::optional<std::string> write_size(const TopicAttributeRow&, const TopicAttributes& attributes) {
  if (attributes.message_bytes_max == kPublishedBytesMaxDefault) return std::nullopt;
  return std::to_string(attributes.message_bytes_max);
}

std::optional<std::string> write_raw(const SubscriptionAttributeRow&,
                                     const SubscriptionAttributes& attributes) {
  return attributes.raw ? "true" : "false";
}

std::string read_scope(const SubscriptionAttributeRow& row, std::string_view text,
                       SubscriptionAttributes* attributes) {
  if (text != "MessageBody" && text != "MessageAttributes")
    return fmt::format("{}: Invalid value [{}]. Please use either MessageBody or MessageAttributes",
                       row.name, base::printable(text));
  attributes->filter_scope = text == "MessageBody" ? FilterScope::body : FilterScope::attributes;
  return {};
}

// Both are there only while a policy is.
std::optional<std::string> write_scope(const SubscriptionAttributeRow&,
                                       const SubscriptionAttributes& attributes) {
  if (attributes.filter_policy.empty() && attributes.filter_scope == FilterScope::attributes)
    return std::nullopt;
  return attributes.filter_scope == FilterScope::body ? "MessageBody" : "MessageAttributes";
}

std::string read_filter(const SubscriptionAttributeRow& row, std::string_view text,
                        SubscriptionAttributes* attributes) {
  if (text.size() > kFilterBytesMax)
    return fmt::format("{}: {} bytes; it may be {}", row.name, text.size(), kFilterBytesMax);
  attributes->filter_policy = text == "{}" ? std::string_view() : text;
  return {};
}

std::optional<std::string> write_filter(const SubscriptionAttributeRow&,
                                        const SubscriptionAttributes& attributes) {
  if (attributes.filter_policy.empty()) return std::nullopt;
  return attributes.filter_policy;
}

// {"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:failed"}
std::string read_redrive(const SubscriptionAttributeRow& row, std::string_view text,
                         SubscriptionAttributes* attributes) {
  if (text.empty()) {
    attributes->dead_letter_queue.clear();
    return {};
  }
  const auto json = base::parse_bounded_json<nlohmann::json>(text);
  if (!json.is_object()) return fmt::format("{}: failed to parse JSON.", row.name);
  const auto target = json.find("deadLetterTargetArn");
  std::string name =
      target == json.end() || !target->is_string() ? std::string() : target->get<std::string>();
  if (name.starts_with("arn:")) {
    if (std::count(name.begin(), name.end(), ':') != 5 || name.find(":sqs:") == std::string::npos)
      return fmt::format("{}: deadLetterTargetArn is an invalid arn", row.name);
    name.erase(0, name.rfind(':') + 1);
  }
  if (name.empty() || name.size() > kQueueNameBytesMax || name.find(':') != std::string::npos)
    return fmt::format("{}: deadLetterTargetArn is an invalid arn", row.name);
  attributes->dead_letter_queue = std::move(name);
  return {};
}

std::optional<std::string> write_redrive(const SubscriptionAttributeRow&,
                                         const SubscriptionAttributes& attributes) {
  if (attributes.dead_letter_queue.empty()) return std::nullopt;
  return fmt::format(R"({{"deadLetterTargetArn":"{}"}})", attributes.dead_letter_queue);
}

// --- the tables ---

template <Check kCheck>
constexpr TopicAttributeRow kept(std::string_view name, bool removable = true) {
  return {.name = name,
          .removable = removable,
          .read = read_kept<TopicAttributes, kCheck>,
          .write = write_kept<TopicAttributes>};
}

constexpr TopicAttributeRow kTopicTable[] = {
    {.name = "FifoTopic",
     .at_creation = true,
     .in_definition = true,
     .read = read_flag<TopicAttributes, &TopicAttributes::fifo>,
     .write = write_fifo},
    {.name = "ContentBasedDeduplication",
     .in_definition = true,
     .read = read_flag<TopicAttributes, &TopicAttributes::content_deduplication>,
     .write = write_content},
    {.name = "MaximumMessageSize", .in_definition = true, .read = read_size, .write = write_size},
    kept<up_to<kDisplayNameBytesMax>>("DisplayName"),
    kept<is_json_object>("Policy"),
    kept<is_json_object>("DeliveryPolicy"),
    kept<up_to<kRoleBytesMax>>("KmsMasterKeyId"),
    kept<is_version>("SignatureVersion"),
    kept<is_tracing>("TracingConfig"),
    kept<is_throughput_scope>("FifoThroughputScope", false),
    kept<is_json_object>("ArchivePolicy"),
    kept<up_to<kRoleBytesMax>>("HTTPSuccessFeedbackRoleArn"),
    kept<up_to<kRoleBytesMax>>("HTTPFailureFeedbackRoleArn"),
    kept<is_percentage>("HTTPSuccessFeedbackSampleRate"),
    kept<up_to<kRoleBytesMax>>("SQSSuccessFeedbackRoleArn"),
    kept<up_to<kRoleBytesMax>>("SQSFailureFeedbackRoleArn"),
    kept<is_percentage>("SQSSuccessFeedbackSampleRate"),
    kept<up_to<kRoleBytesMax>>("LambdaSuccessFeedbackRoleArn"),
    kept<up_to<kRoleBytesMax>>("LambdaFailureFeedbackRoleArn"),
    kept<is_percentage>("LambdaSuccessFeedbackSampleRate"),
    kept<up_to<kRoleBytesMax>>("FirehoseSuccessFeedbackRoleArn"),
    kept<up_to<kRoleBytesMax>>("FirehoseFailureFeedbackRoleArn"),
    kept<is_percentage>("FirehoseSuccessFeedbackSampleRate"),
    kept<up_to<kRoleBytesMax>>("ApplicationSuccessFeedbackRoleArn"),
    kept<up_to<kRoleBytesMax>>("ApplicationFailureFeedbackRoleArn"),
    kept<is_percentage>("ApplicationSuccessFeedbackSampleRate"),
};

constexpr SubscriptionAttributeRow kSubscriptionTable[] = {
    {.name = "RawMessageDelivery",
     .read = read_flag<SubscriptionAttributes, &SubscriptionAttributes::raw>,
     .write = write_raw},
    {.name = "FilterPolicyScope", .read = read_scope, .write = write_scope},
    {.name = "FilterPolicy", .removable = true, .read = read_filter, .write = write_filter},
    {.name = "RedrivePolicy", .removable = true, .read = read_redrive, .write = write_redrive},
    {.name = "DeliveryPolicy",
     .removable = true,
     .read = read_kept<SubscriptionAttributes, is_json_object>,
     .write = write_kept<SubscriptionAttributes>},
    {.name = "SubscriptionRoleArn",
     .removable = true,
     .read = read_kept<SubscriptionAttributes, up_to<kRoleBytesMax>>,
     .write = write_kept<SubscriptionAttributes>},
    {.name = "ReplayPolicy",
     .removable = true,
     .read = read_kept<SubscriptionAttributes, is_json_object>,
     .write = write_kept<SubscriptionAttributes>},
};

template <class Row, size_t kRows>
const Row* find_row(const Row (&table)[kRows], std::string_view name) {
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [&](const Row& row) { return row.name == name; });
  return found == std::end(table) ? nullptr : found;
}

Status refuse_setting(std::string* detail, std::string text) {
  *detail = std::move(text);
  return fail(Errc::invalid_argument);
}

// In the table's order, so that what depends on another comes behind it; the last of a name counts.
template <class Row, size_t kRows, class Attributes>
Status apply_rows(const Row (&table)[kRows], const TopicSettings& settings, bool creates,
                  Attributes* attributes, std::string* detail) {
  for (const NamedText& text : settings.attributes)
    if (find_row(table, text.name) == nullptr) return refuse_setting(detail, "AttributeName");
  for (const Row& row : table) {
    const auto given = std::find_if(settings.attributes.rbegin(), settings.attributes.rend(),
                                    [&](const NamedText& text) { return text.name == row.name; });
    if (given == settings.attributes.rend()) continue;
    if (row.at_creation && !creates) return refuse_setting(detail, "AttributeName");
    std::string wrong = row.read(row, given->value, attributes);
    if (!wrong.empty()) return refuse_setting(detail, std::move(wrong));
  }
  return {};
}

template <class Row, size_t kRows, class Attributes>
std::vector<NamedText> texts_of_rows(const Row (&table)[kRows], const Attributes& attributes) {
  std::vector<NamedText> texts;
  for (const Row& row : table)
    if (auto value = row.write(row, attributes))
      texts.push_back({std::string(row.name), std::move(*value)});
  return texts;
}

}  // namespace

std::span<const TopicAttributeRow> topic_attribute_table() {
  return kTopicTable;
}
std::span<const SubscriptionAttributeRow> subscription_attribute_table() {
  return kSubscriptionTable;
}
const TopicAttributeRow* find_topic_attribute(std::string_view name) {
  return find_row(kTopicTable, name);
}
const SubscriptionAttributeRow* find_subscription_attribute(std::string_view name) {
  return find_row(kSubscriptionTable, name);
}

Status apply_topic_settings(const TopicSettings& settings, bool creates,
                            TopicAttributes* attributes, std::string* detail) {
  TopicAttributes wanted = *attributes;
  if (const auto applied = apply_rows(kTopicTable, settings, creates, &wanted, detail); !applied)
    return applied;
  if (wanted.content_deduplication && !wanted.fifo)
    return refuse_setting(detail, "ContentBasedDeduplication: it is for FIFO topics");
  if (const auto tagged = apply_tags(settings, &wanted.tags, detail); !tagged) return tagged;
  *attributes = std::move(wanted);
  return {};
}

Status apply_subscription_settings(const TopicSettings& settings,
                                   SubscriptionAttributes* attributes, std::string* detail) {
  SubscriptionAttributes wanted = *attributes;
  if (const auto applied = apply_rows(kSubscriptionTable, settings, true, &wanted, detail);
      !applied)
    return applied;
  // Read again where only its scope changes: what nests suits one of them only.
  if (!wanted.filter_policy.empty()) {
    FilterRefusal refusal;
    if (!parse_filter_policy(wanted.filter_policy, wanted.filter_scope, FilterExtensions::refused,
                             &refusal))
      return refuse_setting(detail, std::move(refusal.text));
  }
  *attributes = std::move(wanted);
  return {};
}

std::vector<NamedText> topic_attribute_texts(const TopicAttributes& attributes) {
  return texts_of_rows(kTopicTable, attributes);
}
std::vector<NamedText> subscription_attribute_texts(const SubscriptionAttributes& attributes) {
  return texts_of_rows(kSubscriptionTable, attributes);
}

bool is_topic_name(std::string_view name, bool fifo) {
  return is_name(name, kTopicNameBytesMax, fifo);
}

}  // namespace millrace::engine

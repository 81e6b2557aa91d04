#include "net/sqs/queue_settings.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "engine/queue_attributes.h"
#include "net/aws/policy.h"
#include "net/sqs/errors.h"
#include "net/sqs/redrive_check.h"

namespace millrace::net::sqs {
namespace {

constexpr std::array<std::string_view, 7> kWholeNumbers{
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "VisibilityTimeout",
    "KmsDataKeyReusePeriodSeconds",
    "InFlightMax",
};
constexpr std::string_view kFifo = "FifoQueue";

bool means_true(std::string_view text) {
  constexpr std::string_view kTrue = "true";
  return std::equal(text.begin(), text.end(), kTrue.begin(), kTrue.end(),
                    [](char a, char b) { return (a | 0x20) == b; });
}

// The last one of the name wins, as it does when they are applied.
const std::string* given_value(const QueueSettings& settings, std::string_view name) {
  const auto found = std::find_if(settings.attributes.rbegin(), settings.attributes.rend(),
                                  [&](const NamedText& one) { return one.name == name; });
  return found == settings.attributes.rend() ? nullptr : &found->value;
}

// What we would not understand when it is asked who may do what is not taken, whatever the server's
// mode is now.
AwsError check_policy(std::string_view text) {
  if (text.empty()) return {};
  PolicyRefusal refusal;
  if (Policy::parse(text, PolicyOf::queue, &refusal)) return {};
  if (refusal.reason == PolicyRefusal::Reason::too_many_statements)
    return {errors::kOverLimit, std::move(refusal.text)};
  const bool is_json = refusal.reason != PolicyRefusal::Reason::not_json;
  return invalid_attribute_value("Policy", is_json ? std::string_view(refusal.text) : "");
}

AwsError check_type(std::string_view name, std::string_view value, const SettingsContext& context) {
  const engine::AttributeRow* row = engine::find_attribute(name);
  if (row == nullptr) return unknown_attribute(name);
  if (context.fifo) {
    if (name == kFifo && !means_true(value))
      return invalid_attribute_value(kFifo, "Modifying queue type is not supported.");
    return {};
  }
  if (name == "DeduplicationScope" || name == "FifoThroughputLimit")
    return {errors::kInvalidAttributeName,
            fmt::format("You can specify the {} only when FifoQueue is set to true.", name)};
  return row->fifo_only || name == kFifo ? unknown_attribute(name) : AwsError{};
}

AwsError check_value(std::string_view name, std::string_view value,
                     const SettingsContext& context) {
  if (name == "RedrivePolicy") return check_redrive_policy(value, context);
  if (name == "RedriveAllowPolicy") return check_redrive_allow_policy(value);
  if (name == "Policy")
    if (auto error = check_policy(value)) return error;
  const bool whole =
      std::find(kWholeNumbers.begin(), kWholeNumbers.end(), name) == kWholeNumbers.end() ||
      std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  QueueAttributes scratch;
  const engine::AttributeRow& row = *engine::find_attribute(name);
  if (!whole || !row.read(value, &scratch).empty()) return invalid_attribute_value(name);
  if (context.current == nullptr || !row.at_creation) return {};
  QueueAttributes after = context.current->attributes;
  (void)row.read(value, &after);
  if (row.write(after) == row.write(context.current->attributes)) return {};
  return invalid_attribute_value(name, "It can only be set when the queue is created.");
}

// What two attributes must be together.
AwsError check_together(const QueueSettings& settings, const SettingsContext& context) {
  const std::string* key = given_value(settings, "KmsMasterKeyId");
  const std::string* managed = given_value(settings, "SqsManagedSseEnabled");
  if (key != nullptr && !key->empty() && managed != nullptr && means_true(*managed))
    return {errors::kInvalidAttributeName,
            "You can use one type of server-side encryption (SSE) at one time. You can either "
            "enable KMS SSE or SQS SSE."};
  if (!context.fifo) return {};
  const QueueAttributes has =
      context.current == nullptr ? QueueAttributes{} : context.current->attributes;
  const std::string* limit = given_value(settings, "FifoThroughputLimit");
  const std::string* scope = given_value(settings, "DeduplicationScope");
  const bool by_group_id = limit != nullptr ? *limit == "perMessageGroupId"
                                            : has.throughput_limit == ThroughputLimit::group;
  const bool by_group = scope != nullptr ? *scope == "messageGroup"
                                         : has.deduplication_scope == DeduplicationScope::group;
  if (by_group_id && !by_group)
    return invalid_attribute_value("FifoThroughputLimit",
                                   "The perMessageGroupId value is allowed only when the value for "
                                   "DeduplicationScope is messageGroup");
  if (context.current != nullptr && has.partitions > 1 && !by_group)
    return invalid_attribute_value(
        "DeduplicationScope",
        "The queue was created for high throughput: it is spread by message "
        "group, and ids are known within their groups only.");
  return {};
}

bool is_tag_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" _.:/=+-@").find(c) != std::string_view::npos;
  });
}

AwsError bad_tag(std::string text) {
  return {errors::kInvalidParameterValue, std::move(text)};
}

AwsError check_tag(const Pair& tag) {
  constexpr size_t kNameMax = 128;
  constexpr size_t kValueMax = 256;
  constexpr std::string_view kReserved = "aws:";
  if (tag.name.empty() || tag.name.size() > kNameMax)
    return bad_tag("Tag keys must be between 1 and 128 characters in length.");
  if (tag.value.size() > kValueMax)
    return bad_tag("Tag values must be between 0 and 256 characters in length.");
  if (!is_tag_text(tag.name) || !is_tag_text(tag.value))
    return bad_tag(
        "Tag keys and values can only contain letters, digits, blanks and the symbols "
        "_ . : / = + - @");
  const bool reserved = tag.name.size() >= kReserved.size() &&
                        std::equal(kReserved.begin(), kReserved.end(), tag.name.begin(),
                                   [](char a, char b) { return a == b || a == (b | 0x20); });
  if (reserved) return bad_tag("Tag keys can't start with aws:, which is reserved.");
  return {};
}

}  // namespace

bool asks_for_fifo(const List<Pair>& attributes) {
  return std::any_of(attributes.begin(), attributes.end(),
                     [](const Pair& one) { return one.name == kFifo && means_true(one.value); });
}

AwsError read_attributes(const List<Pair>& attributes, const SettingsContext& context,
                         QueueSettings* settings) {
  for (const Pair& one : attributes) {
    if (auto error = check_type(one.name, one.value, context)) return error;
    if (auto error = check_value(one.name, one.value, context)) return error;
    settings->attributes.push_back({std::string(one.name), std::string(one.value)});
  }
  return check_together(*settings, context);
}

AwsError read_tags(const List<Pair>& tags, std::string_view queue_name,
                   std::span<const NamedText> has, QueueSettings* settings) {
  size_t fresh = 0;
  for (const Pair& tag : tags) {
    if (auto error = check_tag(tag)) return error;
    fresh += std::none_of(has.begin(), has.end(),
                          [&](const NamedText& one) { return one.name == tag.name; });
    settings->tags.push_back({std::string(tag.name), std::string(tag.value)});
  }
  if (has.size() + fresh > kTagsMax)
    return bad_tag(fmt::format("Too many tags added for queue {}.", queue_name));
  return {};
}

}  // namespace millrace::net::sqs

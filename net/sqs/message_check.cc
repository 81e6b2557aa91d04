#include "net/sqs/message_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/properties_check.h"
#include "millrace/properties.h"
#include "net/aws/attribute_check.h"
#include "net/sqs/errors.h"

namespace millrace::net::sqs {
namespace {

constexpr std::string_view kTraceHeader = "AWSTraceHeader";

AwsError invalid(std::string text) {
  return {errors::kInvalidParameterValue, std::move(text)};
}

bool same_but_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

AwsError check_attribute_name(std::string_view name) {
  if (name.empty())
    return invalid("The request must contain non-empty message (user) attribute names.");
  if (name.size() > kPropertyNameBytesMax)
    return invalid("Message (user) attribute name must be shorter than 256 bytes.");
  if (same_but_case(name.substr(0, 4), "aws.") || same_but_case(name.substr(0, 7), "amazon."))
    return invalid(
        "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings "
        "are reserved for internal use.");
  const bool good = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  if (!good || name.front() == '.' || name.back() == '.' ||
      name.find("..") != std::string_view::npos)
    return invalid(fmt::format(
        "The message (user) attribute name '{}' is invalid. It can contain letters, digits, "
        "hyphens, underscores and periods, and must not start or end with a period or have two in "
        "a row.",
        name));
  return {};
}

AwsError check_attribute_value(const AttributeInput& attribute) {
  const std::string_view name = attribute.name;
  if (!attribute.string_list_values.empty() || !attribute.binary_list_values.empty())
    return {errors::kUnsupportedOperation,
            "Message attribute list values in SendMessage operation are not supported."};
  const std::string_view type = attribute.data_type.value;
  if (type.empty() || (!attribute.string_value.given && !attribute.binary_value.given))
    return invalid(fmt::format(
        "The message (user) attribute '{}' must contain a non-empty message attribute value.",
        name));
  if (type.size() > kPropertyTypeBytesMax)
    return invalid("Message (user) attribute type must be shorter than 256 bytes.");
  if (!is_attribute_type(type) || find_forbidden(type) != std::string_view::npos)
    return invalid(
        fmt::format("The type of message (user) attribute '{}' is invalid. You must use "
                    "only the following supported type prefixes: Binary, Number, String.",
                    name));
  const bool binary = is_binary(type);
  const bool has_other = binary ? attribute.string_value.given : attribute.binary_value.given;
  const std::string_view value = value_of(attribute);
  if (value.empty() || has_other)
    return invalid(
        fmt::format("Message (user) attribute '{}' must contain a non-empty value of type '{}'.",
                    name, binary ? "Binary" : "String"));
  if (binary) return {};
  if (const size_t at = find_forbidden(value); at != std::string_view::npos)
    return invalid(fmt::format(
        "Invalid binary character '#x{:X}' was found in the message (user) attribute '{}' value, "
        "the set of allowed characters is #x9 | #xA | #xD | [#x20 to #xD7FF] | [#xE000 to #xFFFD] "
        "| [#x10000 to #x10FFFF]",
        value[at] != '\xEF' ? static_cast<int>(value[at])
                            : 0xFFC0 | (static_cast<unsigned char>(value[at + 2]) & 0x3F),
        name));
  if (type.starts_with("Number") && !is_number(value))
    return invalid(
        fmt::format("Can't cast the value of message (user) attribute '{}' to a number.", name));
  return {};
}

AwsError check_attributes(const List<AttributeInput>& attributes) {
  if (attributes.size() > kAttributesMax)
    return invalid(
        fmt::format("Number of message attributes [{}] exceeds the allowed maximum [{}].",
                    attributes.size(), kAttributesMax));
  for (const AttributeInput& attribute : attributes) {
    if (auto error = check_attribute_name(attribute.name)) return error;
    for (const AttributeInput* other = attributes.begin(); other != &attribute; ++other)
      if (other->name == attribute.name)
        return invalid(
            fmt::format("Message (user) attribute name '{}' is given twice.", attribute.name));
    if (auto error = check_attribute_value(attribute)) return error;
  }
  return {};
}

AwsError check_system_attributes(const List<AttributeInput>& attributes) {
  for (const AttributeInput& attribute : attributes) {
    if (attribute.name != kTraceHeader || &attribute != attributes.begin())
      return invalid(
          fmt::format("Message system attribute name '{}' is invalid.", shown(attribute.name)));
    if (attribute.data_type.value != "String" || attribute.string_value.value.empty() ||
        find_forbidden(attribute.string_value.value) != std::string_view::npos ||
        attribute.string_value.value.size() > 4'096)
      return invalid(fmt::format(
          "The message system attribute '{}' must contain a non-empty value of type 'String'.",
          kTraceHeader));
  }
  return {};
}

AwsError check_delay(const Integer& delay, const QueueAttributes& queue) {
  if (!delay.given) return {};
  const std::string value = std::to_string(delay.value);
  if (delay.value < 0 || delay.value > kDelayMsMax / 1'000)
    return invalid_value("DelaySeconds", value, "DelaySeconds must be >= 0 and <= 900.");
  if (queue.fifo && delay.value > 0)
    return invalid_value("DelaySeconds", value,
                         "The request include parameter that is not valid for this queue type.");
  return {};
}

}  // namespace

std::string_view value_of(const AttributeInput& attribute) {
  return is_binary(attribute.data_type.value) ? attribute.binary_value.value
                                              : attribute.string_value.value;
}

bool is_binary(std::string_view data_type) {
  return data_type.starts_with("Binary");
}

AwsError check_id(std::string_view name, std::string_view value) {
  if (engine::is_id(value)) return {};
  return invalid_value(
      name, value,
      fmt::format(
          "{} can only include alphanumeric and punctuation characters. 1 to 128 in length.",
          name));
}

size_t message_size(const MessageInput& message) {
  size_t size = message.message_body.value.size();
  for (const AttributeInput& attribute : message.message_attributes)
    size += attribute.name.size() + attribute.data_type.value.size() + value_of(attribute).size();
  return size;
}

AwsError check_message(const MessageInput& message, const QueueAttributes& queue,
                       std::string_view entry_prefix) {
  const std::string_view body = message.message_body.value;
  if (body.empty()) return missing_parameter(fmt::format("{}MessageBody", entry_prefix));
  if (find_forbidden(body) != std::string_view::npos)
    return {errors::kInvalidMessageContents,
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to "
            "#xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"};
  if (auto error = check_attributes(message.message_attributes)) return error;
  if (auto error = check_system_attributes(message.message_system_attributes)) return error;
  if (auto error = check_delay(message.delay_seconds, queue)) return error;
  const Text& group = message.message_group_id;
  const Text& deduplication = message.message_deduplication_id;
  if (group.given)
    if (auto error = check_id("MessageGroupId", group.value)) return error;
  if (deduplication.given) {
    if (!queue.fifo)
      return invalid_value(
          "MessageDeduplicationId", deduplication.value,
          "The request includes a parameter that is not valid for this queue type.");
    if (auto error = check_id("MessageDeduplicationId", deduplication.value)) return error;
  }
  if (message_size(message) > queue.message_bytes_max)
    return invalid(fmt::format(
        "One or more parameters {}. Reason: Message must be shorter than {} "
        "bytes.",
        entry_prefix.empty() ? "are invalid" : "cannot be validated", queue.message_bytes_max));
  return {};
}

AwsError check_fifo(const MessageInput& message, const QueueAttributes& queue, bool in_batch) {
  if (!queue.fifo) return {};
  if (!message.message_group_id.given) {
    AwsError error = missing_parameter("MessageGroupId");
    if (in_batch) error.kind = &errors::kInvalidParameterValue;
    return error;
  }
  if (!message.message_deduplication_id.given && !queue.content_deduplication)
    return invalid(
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
        "provided explicitly");
  return {};
}

}  // namespace millrace::net::sqs

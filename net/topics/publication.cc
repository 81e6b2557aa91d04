#include "net/topics/publication.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "engine/properties_check.h"
#include "millrace/properties.h"
#include "net/aws/attribute_check.h"

namespace millrace::net::topics {
namespace {

using StructureJson = nlohmann::json;

constexpr std::string_view kStructure = "json";
constexpr std::string_view kDefaultProtocol = "default";
constexpr size_t kSubjectCharactersMax = 100;

PublishRefusal parameter(std::string text) {
  return {PublishFault::parameter, std::move(text)};
}
PublishRefusal bad_attribute(std::string text) {
  return {PublishFault::attribute, std::move(text)};
}

bool is_binary_type(std::string_view type) {
  return type.starts_with("Binary");
}
std::string_view value_of(const PublishedAttribute& attribute) {
  return (is_binary_type(attribute.type.value_or("")) ? attribute.bytes : attribute.text)
      .value_or("");
}

// The number of the character that begins at `at`, of UTF-8.
uint32_t character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const size_t more = byte(0) < 0x80 ? 0 : byte(0) < 0xE0 ? 1 : byte(0) < 0xF0 ? 2 : 3;
  uint32_t number = more == 0 ? byte(0) : byte(0) & (0x3Fu >> more);
  for (size_t i = 1; i <= more && at + i < text.size(); ++i)
    number = number << 6 | (byte(i) & 0x3F);
  return number;
}

PublishRefusal check_name(std::string_view name) {
  if (name.empty()) return bad_attribute("The message attribute name must not be empty.");
  if (name.size() > kPropertyNameBytesMax)
    return bad_attribute("Length of message attribute name must be less than 256 bytes.");
  if (name.front() == '.')
    return bad_attribute("Invalid message attribute name starting with character '.' was found.");
  if (name.back() == '.')
    return bad_attribute("Invalid message attribute name ending with character '.' was found.");
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.';
    if (!good)
      return bad_attribute(fmt::format(
          "Invalid non-alphanumeric character '#x{:X}' was found in the message attribute name. "
          "Can only include alphanumeric characters, hyphens, underscores, or dots.",
          character_at(name, i)));
    if (c == '.' && name[i + 1] == '.')
      return bad_attribute("Message attribute name can not have successive '.' character.");
  }
  return {};
}

PublishRefusal check_value(const PublishedAttribute& attribute) {
  const std::string_view name = attribute.name;
  if (!attribute.type)
    return {PublishFault::not_given, fmt::format("messageAttributes.{}.member.dataType", name)};
  const std::string_view type = *attribute.type;
  if (!is_attribute_type(type) || type.size() > kPropertyTypeBytesMax ||
      find_forbidden(type) != std::string_view::npos)
    return bad_attribute(fmt::format(
        "The message attribute '{}' has an invalid message attribute type, the set of supported "
        "type prefixes is Binary, Number, and String.",
        name));
  const bool binary = is_binary_type(type);
  if ((binary ? attribute.text : attribute.bytes).has_value())
    return bad_attribute(
        fmt::format("The message attribute '{}' with type '{}' must use field '{}'.", name, type,
                    binary ? "Binary" : "String"));
  const std::string_view value = value_of(attribute);
  if (value.empty())
    return bad_attribute(
        fmt::format("The message attribute '{}' must contain non-empty message attribute value for "
                    "message attribute type '{}'.",
                    name, type));
  if (binary) return {};
  if (find_forbidden(value) != std::string_view::npos)
    return bad_attribute(fmt::format(
        "The value of message attribute '{}' has a character that is not allowed.", name));
  if (type.starts_with("Number") && !is_number(value))
    return bad_attribute(
        fmt::format("Could not cast message attribute '{}' value to number.", name));
  return {};
}

PublishRefusal check_subject(std::string_view subject) {
  const auto characters = std::count_if(subject.begin(), subject.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  const bool good = !subject.empty() && static_cast<size_t>(characters) <= kSubjectCharactersMax &&
                    find_forbidden(subject) == std::string_view::npos &&
                    std::none_of(subject.begin(), subject.end(), [](char c) {
                      return static_cast<unsigned char>(c) < ' ' || c == '\x7F';
                    });
  return good ? PublishRefusal{} : parameter("Subject");
}

PublishRefusal check_structure(const Publication& publication) {
  if (*publication.structure != kStructure) return parameter("MessageStructure");
  const auto json = base::parse_bounded_json<StructureJson>(*publication.message);
  if (!json.is_object()) return parameter("Message Structure - JSON message body failed to parse");
  const auto text = json.find(kDefaultProtocol);
  if (text == json.end() || !text->is_string())
    return parameter("Message Structure - No default entry in JSON message body");
  return {};
}

PublishRefusal check_id(std::string_view name, std::string_view value) {
  if (engine::is_id(value)) return {};
  return parameter(fmt::format(
      "{} Reason: it can only include alphanumeric and punctuation characters. 1 to 128 in length",
      name));
}

}  // namespace

size_t publication_bytes(const Publication& publication) {
  size_t bytes = publication.message.value_or("").size();
  for (const PublishedAttribute& attribute : publication.attributes)
    bytes +=
        attribute.name.size() + attribute.type.value_or("").size() + value_of(attribute).size();
  return bytes;
}

PublishRefusal check_attributes(const Publication& publication) {
  for (const PublishedAttribute& attribute : publication.attributes) {
    if (auto refusal = check_name(attribute.name)) return refusal;
    const auto is_same = [&](const PublishedAttribute& other) {
      return &other != &attribute && other.name == attribute.name;
    };
    if (std::any_of(publication.attributes.begin(), publication.attributes.end(), is_same))
      return bad_attribute(
          fmt::format("The message attribute '{}' is given twice.", attribute.name));
    if (auto refusal = check_value(attribute)) return refusal;
  }
  return {};
}

PublishRefusal check_ids(const Publication& publication, const TopicAttributes& topic) {
  if (topic.fifo && !publication.group)
    return parameter("The MessageGroupId parameter is required for FIFO topics");
  if (topic.fifo && !publication.deduplication_id && !topic.content_deduplication)
    return parameter(
        "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
        "provided explicitly");
  if (!topic.fifo && publication.deduplication_id)
    return parameter(
        "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that "
        "is not valid for this topic type");
  if (publication.group)
    if (auto refusal = check_id("MessageGroupId", *publication.group)) return refusal;
  if (publication.deduplication_id)
    if (auto refusal = check_id("MessageDeduplicationId", *publication.deduplication_id))
      return refusal;
  return {};
}

PublishRefusal check_text(const Publication& publication, const TopicAttributes& topic) {
  if (!publication.message) return {PublishFault::not_given, "message"};
  if (publication.message->empty()) return parameter("Empty message");
  if (publication_bytes(publication) > topic.message_bytes_max)
    return parameter("Message too long");
  if (find_forbidden(*publication.message) != std::string_view::npos)
    return parameter("Message Reason: it has a character that is not allowed");
  if (publication.subject)
    if (auto refusal = check_subject(*publication.subject)) return refusal;
  if (publication.structure) return check_structure(publication);
  return {};
}

ProtocolTexts::ProtocolTexts(const Publication& publication) {
  default_ = *publication.message;
  if (!publication.structure) return;
  const auto json = base::parse_bounded_json<StructureJson>(*publication.message);
  default_ = json[std::string(kDefaultProtocol)].get<std::string>();
  // What is no text is as good as not there.
  for (const auto& [protocol, text] : json.items())
    if (text.is_string()) texts_[protocol] = text.get<std::string>();
}

std::string publication_properties(const Publication& publication, size_t* ids_end) {
  std::string properties;
  const auto add = [&](PropertyTag tag, std::string_view value) {
    append_property(properties, tag, as_bytes(value));
  };
  if (publication.group) add(PropertyTag::group, *publication.group);
  if (publication.deduplication_id)
    add(PropertyTag::deduplication_id, *publication.deduplication_id);
  if (!publication.trace_header.empty()) add(PropertyTag::trace_header, publication.trace_header);
  if (!publication.sender.empty()) add(PropertyTag::sender_id, publication.sender);
  *ids_end = properties.size();
  for (const PublishedAttribute& attribute : publication.attributes)
    append_property(properties, PropertyTag::attribute, attribute.name, *attribute.type,
                    as_bytes(value_of(attribute)));
  return properties;
}

}  // namespace millrace::net::topics

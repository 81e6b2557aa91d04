#include "engine/properties_check.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "base/printable.h"

namespace millrace::engine {
namespace {

constexpr size_t kTraceHeaderBytesMax = 4096;
constexpr size_t kSenderIdBytesMax = 256;

// All of ASCII that is printable, but the blank.
bool is_visible(char c) {
  return c > ' ' && c <= '~';
}

bool is_attribute_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  if (name.empty() || name.size() > kPropertyNameBytesMax) return false;
  if (name.front() == '.' || name.back() == '.' || name.find("..") != std::string_view::npos)
    return false;
  const auto reserved = [name](std::string_view prefix) {
    return name.size() >= prefix.size() &&
           std::equal(prefix.begin(), prefix.end(), name.begin(),
                      [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
  };
  return std::all_of(name.begin(), name.end(), allowed) && !reserved("aws.") &&
         !reserved("amazon.");
}

// "String", "Number" or "Binary", alone or with a label after a dot.
bool is_attribute_type(std::string_view type) {
  if (type.size() > kPropertyTypeBytesMax) return false;
  for (const std::string_view family : {"String", "Number", "Binary"})
    if (type.starts_with(family))
      return type.size() == family.size() ||
             (type[family.size()] == '.' && type.size() > family.size() + 1);
  return false;
}

// An attribute that is not allowed beside those before it; empty if it is.
std::string attribute_fault(const Property& attribute, std::span<const std::string_view> before) {
  const std::string name = base::printable(attribute.name);
  if (before.size() == kAttributesMax)
    return fmt::format("a message has at most {} attributes", kAttributesMax);
  if (!is_attribute_name(attribute.name))
    return fmt::format(
        "an attribute is named '{}'; allowed are 1 to {} letters, digits, '_', '-' and single "
        "inner "
        "'.', not beginning with 'AWS.' or 'Amazon.'",
        name, kPropertyNameBytesMax);
  if (!is_attribute_type(attribute.type))
    return fmt::format(
        "attribute '{}' is of type '{}'; allowed are String, Number and Binary, alone or with a "
        "label after a dot, up to {} bytes in all",
        name, base::printable(attribute.type), kPropertyTypeBytesMax);
  if (attribute.value.empty()) return fmt::format("attribute '{}' has no value", name);
  if (std::find(before.begin(), before.end(), attribute.name) != before.end())
    return fmt::format("attribute '{}' is there twice", name);
  return {};
}

std::string id_fault(std::string_view what, std::string_view id) {
  return fmt::format("the {} is '{}'; allowed are 1 to {} letters, digits and punctuation marks",
                     what, base::printable(id), kGroupIdBytesMax);
}

// Likewise of any other property of the producer.
std::string property_fault(const Property& property, const QueueAttributes& queue) {
  const std::string_view text = as_text(property.value);
  switch (property.tag) {
    case PropertyTag::group:
      return is_id(text) ? "" : id_fault("message group id", text);
    case PropertyTag::deduplication_id:
      if (!queue.fifo) return "a standard queue takes no deduplication id";
      return is_id(text) ? "" : id_fault("deduplication id", text);
    case PropertyTag::trace_header:
      if (!text.empty() && text.size() <= kTraceHeaderBytesMax) return {};
      return fmt::format("the trace header has {} bytes; allowed are 1 to {}", text.size(),
                         kTraceHeaderBytesMax);
    case PropertyTag::sender_id:
      if (text.size() <= kSenderIdBytesMax) return {};
      return fmt::format("the sender id has {} bytes; allowed are up to {}", text.size(),
                         kSenderIdBytesMax);
    default:
      return fmt::format("a producer's properties have no tag {}",
                         static_cast<unsigned>(property.tag));
  }
}

}  // namespace

bool is_id(std::string_view text) {
  if (text.empty() || text.size() > kGroupIdBytesMax) return false;
  if (text.size() < 8) return std::all_of(text.begin(), text.end(), is_visible);
  // Eight at a time, the last of them once more: each message of a FIFO queue has two of these. Of
  // a byte below 0x80, + 0x5F has the top bit from '!' on, + 1 only past '~'.
  constexpr uint64_t kEach = 0x0101010101010101;
  uint64_t bad = 0;
  const auto look_at = [&](size_t i) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + i, sizeof word);
    const uint64_t low = word & 0x7F * kEach;
    bad |= word | ~(low + 0x5F * kEach) | (low + kEach);
  };
  for (size_t i = 0; i + 8 < text.size(); i += 8)
    look_at(i);
  look_at(text.size() - 8);
  return (bad & 0x80 * kEach) == 0;
}

Status check_properties(Bytes properties, uint32_t body_bytes, const QueueAttributes& queue,
                        std::string* fault) {
  const auto refuse = [fault](std::string text) {
    if (fault != nullptr) *fault = std::move(text);
    return fail(Errc::invalid_argument);
  };
  uint64_t size = body_bytes;
  uint32_t seen = 0;  // bit per tag below 32, attributes aside
  std::array<std::string_view, kAttributesMax> names;
  uint32_t attributes = 0;
  PropertyReader reader(properties);
  while (const auto property = reader.next()) {
    const auto tag = static_cast<uint8_t>(property->tag);
    if (property->tag == PropertyTag::attribute) {
      std::string wrong = attribute_fault(*property, std::span(names).first(attributes));
      if (!wrong.empty()) return refuse(std::move(wrong));
      names[attributes++] = property->name;
      size += property->name.size() + property->type.size() + property->value.size();
      continue;
    }
    if (!property->name.empty() || !property->type.empty())
      return refuse("only attributes have a name and a type");
    if (std::string wrong = property_fault(*property, queue); !wrong.empty())
      return refuse(std::move(wrong));
    if ((seen >> tag & 1) != 0) return refuse(fmt::format("property {} is there twice", tag));
    seen |= 1u << tag;
  }
  if (!reader.whole()) return fail(Errc::malformed);
  if (size > queue.message_bytes_max) return fail(Errc::message_too_large);
  if (!queue.fifo) return {};
  const auto has = [seen](PropertyTag tag) { return (seen >> static_cast<uint8_t>(tag) & 1) != 0; };
  if (!has(PropertyTag::group)) return refuse("a message of a FIFO queue needs a message group id");
  if (!has(PropertyTag::deduplication_id) && !queue.content_deduplication)
    return refuse("the queue does not deduplicate by content: a message needs a deduplication id");
  return {};
}

}  // namespace millrace::engine

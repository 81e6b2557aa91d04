#include "engine/properties_check.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

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

Status check_properties(Bytes properties, uint32_t body_bytes, const QueueAttributes& queue) {
  uint64_t size = body_bytes;
  uint32_t seen = 0;  // bit per tag below 32, attributes aside
  std::array<std::string_view, kAttributesMax> names;
  uint32_t attributes = 0;
  PropertyReader reader(properties);
  while (const auto property = reader.next()) {
    const auto tag = static_cast<uint8_t>(property->tag);
    if (property->tag == PropertyTag::attribute) {
      const auto known = names.begin() + attributes;
      if (attributes == kAttributesMax || !is_attribute_name(property->name) ||
          !is_attribute_type(property->type) || property->value.empty() ||
          std::find(names.begin(), known, property->name) != known)
        return fail(Errc::invalid_argument);
      names[attributes++] = property->name;
      size += property->name.size() + property->type.size() + property->value.size();
      continue;
    }
    if (tag >= 32 || (seen >> tag & 1) != 0 || !property->name.empty() || !property->type.empty())
      return fail(Errc::invalid_argument);
    seen |= 1u << tag;
    const std::string_view text = as_text(property->value);
    bool good = false;
    switch (property->tag) {
      case PropertyTag::group:
        good = is_id(text);
        break;
      case PropertyTag::deduplication_id:
        good = queue.fifo && is_id(text);
        break;
      case PropertyTag::trace_header:
        good = !text.empty() && text.size() <= kTraceHeaderBytesMax;
        break;
      case PropertyTag::sender_id:
        good = text.size() <= kSenderIdBytesMax;
        break;
      default:
        break;
    }
    if (!good) return fail(Errc::invalid_argument);
  }
  if (!reader.whole()) return fail(Errc::malformed);
  if (size > queue.message_bytes_max) return fail(Errc::message_too_large);
  if (!queue.fifo) return {};
  const auto has = [seen](PropertyTag tag) { return (seen >> static_cast<uint8_t>(tag) & 1) != 0; };
  if (!has(PropertyTag::group)) return fail(Errc::invalid_argument);
  if (!has(PropertyTag::deduplication_id) && !queue.content_deduplication)
    return fail(Errc::invalid_argument);
  return {};
}

}  // namespace millrace::engine

// Properties: what a message carries beside its body. They lie between MessageHeader and body, one
// after the other, unpadded:
//
//   u64 head (little endian)   bits 0-7 tag, 8-19 bytes of the name, 20-31 bytes of the type,
//                              32-63 bytes of the value
//   name   type   value
//
// Only attributes have a name and a type. Tags below kServerTags come from the producer and are
// checked when a message is sent; the others are the engine's, and a producer's are refused.
// Unknown tags of the producer are refused too, so that they can be given a meaning later.
//
// Limits (engine/properties_check.cc): ten attributes; group and deduplication id 1 to 128 bytes of
// printable ASCII without blanks; each tag but attributes at most once.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/types.h"

namespace millrace {

enum class PropertyTag : uint8_t {
  group = 1,             // message group id
  deduplication_id = 2,  // FIFO queues
  trace_header = 3,      // AWSTraceHeader, as it was given
  sender_id = 4,         // who sent it, as the front knows the sender
  attribute = 16,        // a user's attribute: name, type ("String", "Number.int", ...), value
  // From here on the engine's own.
  content_hash = 128,  // 32 bytes: SHA-256 of the body, its deduplication id by content
  moved = 129,         // MovedFrom: dead-lettered
};
inline constexpr uint8_t kServerTags = 128;
inline constexpr uint32_t kAttributesMax = 10;
inline constexpr uint32_t kPropertyNameBytesMax = 256;
inline constexpr uint32_t kPropertyTypeBytesMax = 256;
inline constexpr uint32_t kGroupIdBytesMax = 128;
inline constexpr size_t kPropertyHeadBytes = 8;
// Heads, ids and the like, which do not count as part of a message's size.
inline constexpr uint32_t kPropertyOverheadMax = 8192;

// Where a dead-lettered message comes from. Its id stays what it was.
struct MovedFrom {
  uint64_t origin_shard_slot;  //  0  shard << 48 | slot of its first send: with the queue, its id
  uint32_t origin_queue;       //  8
  uint32_t source_queue;       // 12  the queue it was moved from last
  int64_t moved_at_ms;         // 16
};
static_assert(sizeof(MovedFrom) == 24);

struct Property {
  PropertyTag tag{};
  std::string_view name;
  std::string_view type;
  Bytes value;
};

constexpr uint64_t property_bytes(size_t name, size_t type, size_t value) {
  return kPropertyHeadBytes + name + type + value;
}

inline void append_property(std::string& out, PropertyTag tag, std::string_view name,
                            std::string_view type, Bytes value) {
  const uint64_t head = uint64_t{static_cast<uint8_t>(tag)} | uint64_t{name.size()} << 8 |
                        uint64_t{type.size()} << 20 | uint64_t{value.size()} << 32;
  out.append(reinterpret_cast<const char*>(&head), sizeof head);
  out.append(name).append(type).append(as_text(value));
}
inline void append_property(std::string& out, PropertyTag tag, Bytes value) {
  append_property(out, tag, {}, {}, value);
}

// Reads properties in order. next() gives nothing at the end and when the bytes are not properties;
// whole() then tells which.
class PropertyReader {
 public:
  explicit PropertyReader(Bytes properties) : rest_(properties) {}

  std::optional<Property> next() {
    if (rest_.size() < kPropertyHeadBytes) return std::nullopt;
    uint64_t head = 0;
    std::memcpy(&head, rest_.data(), sizeof head);
    const size_t name = head >> 8 & 0xFFF;
    const size_t type = head >> 20 & 0xFFF;
    const size_t value = head >> 32;
    if (rest_.size() - kPropertyHeadBytes < name + type + value) return std::nullopt;
    const std::string_view text = as_text(rest_.subspan(kPropertyHeadBytes));
    Property property{PropertyTag{static_cast<uint8_t>(head)}, text.substr(0, name),
                      text.substr(name, type),
                      rest_.subspan(kPropertyHeadBytes + name + type, value)};
    rest_ = rest_.subspan(kPropertyHeadBytes + name + type + value);
    return property;
  }
  bool whole() const { return rest_.empty(); }

 private:
  Bytes rest_;
};

// The first property with the tag.
inline std::optional<Bytes> find_property(Bytes properties, PropertyTag tag) {
  PropertyReader reader(properties);
  while (const auto property = reader.next())
    if (property->tag == tag) return property->value;
  return std::nullopt;
}

// From where a message was moved last, and where it was sent first; nothing if it was never moved.
inline std::optional<MovedFrom> find_moved(Bytes properties) {
  const auto value = find_property(properties, PropertyTag::moved);
  if (!value || value->size() != sizeof(MovedFrom)) return std::nullopt;
  MovedFrom moved{};
  std::memcpy(&moved, value->data(), sizeof moved);
  return moved;
}

}  // namespace millrace

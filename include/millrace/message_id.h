// What a message is called outside: its id, and on a FIFO queue its sequence number.
//
// A message is known by queue, shard and slot of its first send; none of the three is ever given
// out twice in a data directory. A dead-lettered message keeps its id: the property `moved` says
// where it was sent first. The text has the form of a UUID (version 8, RFC 9562):
//
//   QQQQQQQQ-SSSS-8000-8000-LLLLLLLLLLLL      queue, shard, slot, in hexadecimal
//
// A sequence number rises within a message group as messages are accepted, with gaps; its text has
// 20 digits always, so that texts sort as numbers do.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/message.h"
#include "millrace/properties.h"
#include "millrace/types.h"

namespace millrace {

struct MessageId {
  uint32_t queue_id = 0;
  uint64_t shard_slot = 0;  // shard << 48 | slot
  friend bool operator==(const MessageId&, const MessageId&) = default;
};

// Of a message that lies at `shard_slot` of a queue and has these properties.
inline MessageId message_id(uint32_t queue_id, uint64_t shard_slot, Bytes properties) {
  const auto moved = find_moved(properties);
  if (!moved) return {queue_id, shard_slot};
  return {moved->origin_queue, moved->origin_shard_slot};
}

inline std::string message_id_text(const MessageId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "00000000-0000-8000-8000-000000000000";
  const auto write = [&](size_t end, uint64_t value, int digits) {
    for (; digits > 0; --digits, value >>= 4)
      text[--end] = kDigits[value & 15];
  };
  write(8, id.queue_id, 8);
  write(13, id.shard_slot >> 48, 4);
  write(36, id.shard_slot, 12);
  return text;
}

// Nothing if it is not the text of a message id.
inline std::optional<MessageId> parse_message_id(std::string_view text) {
  const auto read = [&](size_t from, size_t digits) {
    uint64_t value = 0;
    for (const char c : text.substr(from, digits)) {
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
      value = value << 4 | static_cast<uint64_t>(digit);
    }
    return value;
  };
  if (text.size() != 36) return std::nullopt;
  const MessageId id{static_cast<uint32_t>(read(0, 8)), read(9, 4) << 48 | read(24, 12)};
  if (message_id_text(id) != text) return std::nullopt;
  return id;
}

inline constexpr uint64_t kSequenceNumberLow = 10'000'000'000'000'000'000u;
constexpr uint64_t sequence_number(uint64_t shard_slot) {
  return kSequenceNumberLow + (shard_slot & 0xFFFF'FFFF'FFFF);
}

}  // namespace millrace

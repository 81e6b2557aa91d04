// The names in a message's properties that the engine goes by: its group, its deduplication id.
//
// Threads: any; no state.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/keyed_hash.h"
#include "millrace/message.h"
#include "millrace/properties.h"

namespace millrace::engine {

// The properties of the message that begins with its MessageHeader at `message`.
Bytes properties_of(const std::byte* message);

// What a message takes along of its properties into another queue; replaces `out`. Its
// deduplication id stays behind: two messages that had the same one, at different times, are both
// there. From now on it is told from others by its message id. So does where it was moved from.
void properties_that_move(Bytes properties, std::string* out);

// SHA-256 of a body, and its text of 64 hex digits, which is its deduplication id by content.
using ContentHash = std::array<unsigned char, 32>;
ContentHash content_hash(Bytes body);
std::array<char, 64> hex_text(const ContentHash& hash);

// Of a FIFO message, by hash: its group and its deduplication id, given or by content; the latter
// within its group if `by_group`, and nothing if the message has none.
struct MessageNames {
  base::Hash128 group;
  std::optional<base::Hash128> id;
};
MessageNames names_of(const base::KeyedHash& names, Bytes properties, bool by_group);

// One of the two.
base::Hash128 group_key(const base::KeyedHash& names, Bytes properties);
std::optional<base::Hash128> dedup_key(const base::KeyedHash& names, Bytes properties,
                                       bool by_group);

}  // namespace millrace::engine

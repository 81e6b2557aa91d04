#include "engine/message_names.h"

#include <algorithm>
#include <cstring>

#include <openssl/sha.h>

namespace millrace::engine {

Bytes properties_of(const std::byte* message) {
  const auto& header = *reinterpret_cast<const MessageHeader*>(message);
  return {message + sizeof header, header.properties_bytes};
}

ContentHash content_hash(Bytes body) {
  ContentHash hash;
  SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), hash.data());
  return hash;
}

std::array<char, 64> hex_text(const ContentHash& hash) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 64> text;
  for (size_t i = 0; i < hash.size(); ++i) {
    text[2 * i] = kDigits[hash[i] >> 4];
    text[2 * i + 1] = kDigits[hash[i] & 15];
  }
  return text;
}

base::Hash128 group_key(const base::KeyedHash& names, Bytes properties) {
  return names.of(find_property(properties, PropertyTag::group).value_or(Bytes{}));
}

std::optional<base::Hash128> dedup_key(const base::KeyedHash& names, Bytes properties,
                                       bool by_group) {
  std::string_view group;
  std::string_view id;
  std::array<char, 64> hex;
  PropertyReader reader(properties);
  while (const auto property = reader.next()) {
    if (property->tag == PropertyTag::group) group = as_text(property->value);
    if (property->tag == PropertyTag::deduplication_id) id = as_text(property->value);
    if (property->tag == PropertyTag::content_hash &&
        property->value.size() == sizeof(ContentHash)) {
      ContentHash hash;
      std::memcpy(hash.data(), property->value.data(), hash.size());
      hex = hex_text(hash);
      id = {hex.data(), hex.size()};
    }
  }
  if (id.empty()) return std::nullopt;
  if (!by_group) return names.of(as_bytes(id));
  // The group's length first: no two pairs give the same bytes.
  std::array<char, 1 + 2 * kGroupIdBytesMax> pair;
  group = group.substr(0, kGroupIdBytesMax);
  id = id.substr(0, kGroupIdBytesMax);
  pair[0] = static_cast<char>(group.size());
  char* end = std::copy(group.begin(), group.end(), pair.data() + 1);
  end = std::copy(id.begin(), id.end(), end);
  return names.of(as_bytes({pair.data(), end}));
}

}  // namespace millrace::engine

// The MD5 over message attributes that clients check (MD5OfMessageAttributes): of each, in the
// order of names, the lengths and bytes of name, type and value.
//
// Threads: any; no state but the Md5's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "net/aws/md5.h"

namespace millrace::net::sqs {

struct AttributeView {
  std::string_view name;
  std::string_view type;
  std::string_view value;
  bool binary = false;
};

// Sorts them.
inline Digest digest_of(std::span<AttributeView> attributes, Md5& md5) {
  std::sort(attributes.begin(), attributes.end(),
            [](const AttributeView& a, const AttributeView& b) { return a.name < b.name; });
  const auto add = [&](std::string_view text) {
    const auto size = static_cast<uint32_t>(text.size());
    const std::array<std::byte, 4> big_endian{std::byte(size >> 24), std::byte(size >> 16),
                                              std::byte(size >> 8), std::byte(size)};
    md5.add(big_endian);
    md5.add(as_bytes(text));
  };
  md5.begin();
  for (const AttributeView& attribute : attributes) {
    add(attribute.name);
    add(attribute.type);
    const std::array<std::byte, 1> transport{std::byte(attribute.binary ? 2 : 1)};
    md5.add(transport);
    add(attribute.value);
  }
  return md5.end();
}

}  // namespace millrace::net::sqs

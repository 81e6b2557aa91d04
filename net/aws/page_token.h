// Tokens of the pages of a list: what the next page begins behind, made opaque.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/aws/base64.h"

namespace millrace::net {

inline std::string page_token(std::string_view behind) {
  std::string token;
  append_base64(token, as_bytes(behind));
  return token;
}

// Nothing if it is none of ours.
inline std::optional<std::string> read_page_token(std::string_view token) {
  std::string text(token);
  const auto behind = decode_base64(text.data(), text.size());
  if (!behind || behind->empty()) return std::nullopt;
  return std::string(*behind);
}

}  // namespace millrace::net

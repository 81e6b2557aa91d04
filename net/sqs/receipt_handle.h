// A receipt as SQS hands it out: base64 of its 24 bytes, 32 characters.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/message.h"
#include "net/aws/base64.h"

namespace millrace::net::sqs {

inline constexpr size_t kHandleCharacters = sizeof(Receipt) / 3 * 4;

inline Bytes bytes_of(const Receipt& receipt) {
  return std::as_bytes(std::span<const Receipt>(&receipt, 1));
}

// Nothing if it is no handle's text; whether it is one of ours the engine tells.
inline std::optional<Receipt> parse_handle(std::string_view text) {
  if (text.size() != kHandleCharacters) return std::nullopt;
  char copy[kHandleCharacters];
  text.copy(copy, sizeof copy);
  const auto bytes = decode_base64(copy, sizeof copy);
  if (!bytes || bytes->size() != sizeof(Receipt)) return std::nullopt;
  Receipt receipt;
  std::memcpy(&receipt, bytes->data(), sizeof receipt);
  return receipt;
}

}  // namespace millrace::net::sqs

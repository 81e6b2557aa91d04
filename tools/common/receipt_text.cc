#include "tools/common/receipt_text.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace millrace::tools {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t kReceiptCharacters = sizeof(Receipt) / 3 * 4;
static_assert(sizeof(Receipt) % 3 == 0 && kAlphabet.size() == 64);

}  // namespace

std::string base64url(std::string_view bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t taken = std::min<size_t>(3, bytes.size() - at);
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < taken ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    for (size_t i = 0; i < taken + 1; ++i)
      text += kAlphabet[group >> (18 - 6 * i) & 63];
  }
  return text;
}

std::string receipt_text(const Receipt& receipt) {
  return base64url({reinterpret_cast<const char*>(&receipt), sizeof receipt});
}

Result<Receipt> parse_receipt(std::string_view text) {
  if (text.size() != kReceiptCharacters) return fail(Errc::receipt_invalid);
  std::array<unsigned char, sizeof(Receipt)> bytes{};
  for (size_t group = 0; group < text.size() / 4; ++group) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) {
      const size_t digit = kAlphabet.find(text[group * 4 + i]);
      if (digit == std::string_view::npos) return fail(Errc::receipt_invalid);
      value = value << 6 | static_cast<uint32_t>(digit);
    }
    bytes[group * 3] = static_cast<unsigned char>(value >> 16);
    bytes[group * 3 + 1] = static_cast<unsigned char>(value >> 8);
    bytes[group * 3 + 2] = static_cast<unsigned char>(value);
  }
  Receipt receipt{};
  std::memcpy(&receipt, bytes.data(), sizeof receipt);
  return receipt;
}

}  // namespace millrace::tools

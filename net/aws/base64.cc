#include "net/aws/base64.h"

#include <array>
#include <cstdint>

namespace millrace::net {
namespace {

constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNoDigit = 0xFF;

constexpr std::array<uint8_t, 256> base64_values() {
  std::array<uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (size_t i = 0; i < kBase64Digits.size(); ++i)
    values[static_cast<unsigned char>(kBase64Digits[i])] = static_cast<uint8_t>(i);
  return values;
}
constexpr std::array<uint8_t, 256> kBase64Values = base64_values();

}  // namespace

void append_base64(std::string& out, Bytes bytes) {
  const size_t begin = out.size();
  out.resize(begin + (bytes.size() + 2) / 3 * 4, '=');
  char* to = out.data() + begin;
  const auto at = [&](size_t i) { return std::to_integer<uint32_t>(bytes[i]); };
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    *to++ = kBase64Digits[group >> 18];
    *to++ = kBase64Digits[group >> 12 & 63];
    *to++ = kBase64Digits[group >> 6 & 63];
    *to++ = kBase64Digits[group & 63];
  }
  if (i == bytes.size()) return;
  const bool two = i + 2 == bytes.size();
  const uint32_t group = at(i) << 16 | (two ? at(i + 1) << 8 : 0);
  *to++ = kBase64Digits[group >> 18];
  *to++ = kBase64Digits[group >> 12 & 63];
  if (two) *to = kBase64Digits[group >> 6 & 63];
}

std::optional<std::string_view> decode_base64(char* text, size_t size) {
  if (size % 4 == 0 && size > 0 && text[size - 1] == '=') size -= text[size - 2] == '=' ? 2 : 1;
  if (size % 4 == 1) return std::nullopt;
  char* to = text;
  uint32_t group = 0;
  for (size_t i = 0; i < size; ++i) {
    const uint8_t value = kBase64Values[static_cast<unsigned char>(text[i])];
    if (value == kNoDigit) return std::nullopt;
    group = group << 6 | value;
    if (i % 4 != 3) continue;
    *to++ = static_cast<char>(group >> 16);
    *to++ = static_cast<char>(group >> 8);
    *to++ = static_cast<char>(group);
    group = 0;
  }
  if (size % 4 == 2) *to++ = static_cast<char>(group >> 4);
  if (size % 4 == 3) {
    *to++ = static_cast<char>(group >> 10);
    *to++ = static_cast<char>(group >> 2);
  }
  return std::string_view(text, static_cast<size_t>(to - text));
}

}  // namespace millrace::net

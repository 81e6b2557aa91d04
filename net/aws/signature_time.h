// Times as request signatures write them: "20250102T030405Z", always UTC.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::net {

inline constexpr size_t kSignatureTimeSize = 16;
using SignatureTime = std::array<char, kSignatureTimeSize>;

// Seconds since the Unix epoch; nothing if the text is no such time.
std::optional<int64_t> parse_signature_time(std::string_view text);
// As the Date field has it: "Thu, 02 Jan 2025 03:04:05 GMT".
std::optional<int64_t> parse_http_date(std::string_view text);
// Years 1 to 9999.
SignatureTime format_signature_time(int64_t seconds);
inline std::string_view view_of(const SignatureTime& time) {
  return {time.data(), time.size()};
}

}  // namespace millrace::net

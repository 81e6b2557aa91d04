// The text of a UUID: 8-4-4-4-12 hexadecimal digits.
//
// Threads: any; no state.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::base {

// In lower case.
std::string uuid_text(const std::array<uint8_t, 16>& uuid);
// In either case; nothing if it is none.
std::optional<std::array<uint8_t, 16>> parse_uuid(std::string_view text);

}  // namespace millrace::base

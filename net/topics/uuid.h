// The text of a UUID: 8-4-4-4-12 hexadecimal digits.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "millrace/topics.h"

namespace millrace::net::topics {

// In lower case.
std::string uuid_text(const Uuid& uuid);
// In either case; nothing if it is none.
std::optional<Uuid> parse_uuid(std::string_view text);

}  // namespace millrace::net::topics

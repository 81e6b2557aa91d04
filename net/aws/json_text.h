// Strings of JSON: what stands between the quotes, read and written.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::net {

// The string that begins at `begin`, behind its opening quote, and has a closing one: a view of it
// or, if it has escapes, decoded over itself. Nothing if an escape is wrong or half of a surrogate
// pair. Sixteen bytes behind the closing quote can be read.
std::optional<std::string_view> read_json_text(char* begin);

// Without the quotes. `text` is UTF-8.
void append_json_text(std::string& out, std::string_view text);

}  // namespace millrace::net

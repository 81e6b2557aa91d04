// A text as a JSON string, for lines of a log: what is not valid UTF-8 stays as it is.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace millrace::base {

inline void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace millrace::base

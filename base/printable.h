// Bytes of a peer, as far as they may appear in a line for people.
#pragma once

#include <string>
#include <string_view>

namespace millrace::base {

// At most `length_max` characters; whatever is not printable ASCII becomes '?'.
inline std::string printable(std::string_view text, size_t length_max = 100) {
  std::string out(text.substr(0, length_max));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (text.size() > length_max) out += "...";
  return out;
}

// A text of ours that quotes somebody: it stays one line, and moves no terminal's cursor. UTF-8
// stays.
inline std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7F') c = ' ';
  return text;
}

}  // namespace millrace::base

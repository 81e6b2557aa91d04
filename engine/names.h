// Names of queues and topics, and words of their settings: which characters, and what is equal.
//
// Threads: any; no state.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace millrace::engine {

constexpr bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// ASCII letters in either case.
inline bool equal_but_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

// 1..bytes_max of [A-Za-z0-9_-]; of a FIFO one, and only of one, the last five are ".fifo".
inline bool is_name(std::string_view name, size_t bytes_max, bool fifo) {
  constexpr std::string_view kSuffix = ".fifo";
  if (name.size() > bytes_max || name.ends_with(kSuffix) != fifo) return false;
  if (fifo) name.remove_suffix(kSuffix.size());
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter_or_digit(c) || c == '_' || c == '-';
  });
}

}  // namespace millrace::engine

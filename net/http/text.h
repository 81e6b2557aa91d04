// What HTTP compares without regard to case: field names, codings, hosts. ASCII only.
#pragma once

#include <algorithm>
#include <string_view>

namespace millrace::net {

inline char lower_case(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

inline bool equal_but_for_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return x == y || lower_case(x) == lower_case(y);
         });
}

}  // namespace millrace::net

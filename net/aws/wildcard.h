// Wildcards of policies: '*' is any run of characters, '?' is one.
//
// Only the last '*' is ever gone back to, which is enough: what an earlier one could take more of,
// the later one can as well. So the time is at most the product of the two lengths, for any
// pattern.
#pragma once

#include <string_view>

namespace millrace::net {

constexpr bool matches_wildcard(std::string_view pattern, std::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;  // the last one seen
  size_t resume = 0;                     // where in the text what follows it is tried next
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

}  // namespace millrace::net

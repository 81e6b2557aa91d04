#include "net/aws/attribute_check.h"

#include <algorithm>

#include "net/aws/plain_run.h"

namespace millrace::net {
namespace {

constexpr size_t kNumberDigitsMax = 38;
constexpr int kNumberExponentMin = -128;
constexpr int kNumberExponentMax = 126;

}  // namespace

size_t find_forbidden(std::string_view text) {
  size_t at = 0;
  while ((at += plain_run<'\xEF'>(text.substr(at))) < text.size()) {
    const char c = text[at];
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
    const bool last_two = c == '\xEF' && text.size() - at >= 3 && text[at + 1] == '\xBF' &&
                          static_cast<unsigned char>(text[at + 2]) >= 0xBE;
    if (last_two || (c != '\xEF' && c != '\t' && c != '\n' && c != '\r')) return at;
    ++at;
  }
  return std::string_view::npos;
}

bool is_number(std::string_view text) {
  const auto digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  size_t digits = 0;       // in all
  size_t significant = 0;  // from the first that is not 0 to the last one
  size_t zeros = 0;        // at the end so far
  int point = 0;  // digits before it, from the first significant one; less than 0: zeros behind it
  bool behind_point = false;
  for (; digit(at) || (!behind_point && at < text.size() && text[at] == '.'); ++at) {
    if (text[at] == '.') {
      behind_point = true;
      continue;
    }
    ++digits;
    const bool leading = significant == 0 && text[at] == '0';
    if (behind_point && leading) --point;
    if (!behind_point && !leading) ++point;
    if (leading) continue;
    zeros = text[at] == '0' ? zeros + 1 : 0;
    ++significant;
  }
  if (digits == 0) return false;
  int exponent = 0;
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    ++at;
    const bool negative = at < text.size() && text[at] == '-';
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (!digit(at)) return false;
    for (; digit(at); ++at)
      exponent = std::min(exponent * 10 + (text[at] - '0'), 100'000);
    if (negative) exponent = -exponent;
  }
  if (at != text.size()) return false;
  if (significant == 0) return true;
  const int magnitude = exponent + point - 1;
  return significant - zeros <= kNumberDigitsMax && magnitude >= kNumberExponentMin &&
         magnitude <= kNumberExponentMax;
}

bool is_attribute_type(std::string_view type) {
  for (const std::string_view family : {"String", "Number", "Binary"})
    if (type.starts_with(family))
      return type.size() == family.size() ||
             (type[family.size()] == '.' && type.size() > family.size() + 1);
  return false;
}

}  // namespace millrace::net

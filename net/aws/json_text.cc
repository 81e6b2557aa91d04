#include "net/aws/json_text.h"

#include <cstdint>

#include "net/aws/plain_run.h"

namespace millrace::net {
namespace {

// Four hexadecimal digits.
std::optional<uint32_t> read_unit(const char* digits) {
  uint32_t unit = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = digits[i];
    uint32_t digit = 0;
    if (c >= '0' && c <= '9')
      digit = static_cast<uint32_t>(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
      digit = static_cast<uint32_t>((c | 0x20) - 'a') + 10;
    else
      return std::nullopt;  // the closing quote, too
    unit = unit << 4 | digit;
  }
  return unit;
}

char* write_utf8(char* to, uint32_t point) {
  const auto continuation = [&](int shift) {
    *to++ = static_cast<char>(0x80 | (point >> shift & 0x3F));
  };
  if (point < 0x80) {
    *to++ = static_cast<char>(point);
  } else if (point < 0x800) {
    *to++ = static_cast<char>(0xC0 | point >> 6);
    continuation(0);
  } else if (point < 0x10000) {
    *to++ = static_cast<char>(0xE0 | point >> 12);
    continuation(6);
    continuation(0);
  } else {
    *to++ = static_cast<char>(0xF0 | point >> 18);
    continuation(12);
    continuation(6);
    continuation(0);
  }
  return to;
}

// What is behind "\u"; moves `from` behind it.
std::optional<uint32_t> read_point(const char*& from) {
  const auto first = read_unit(from);
  if (!first) return std::nullopt;
  from += 4;
  if (*first < 0xD800 || *first > 0xDFFF) return first;
  if (*first > 0xDBFF || from[0] != '\\' || from[1] != 'u') return std::nullopt;
  const auto second = read_unit(from + 2);
  if (!second || *second < 0xDC00 || *second > 0xDFFF) return std::nullopt;
  from += 6;
  return 0x10000 + ((*first - 0xD800) << 10) + (*second - 0xDC00);
}

char simple_escape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return 0;
  }
}

}  // namespace

std::optional<std::string_view> read_json_text(char* begin) {
  char* to = begin + run_to_quote(begin);
  for (const char* from = to; *from != '"';) {
    if (*from != '\\') {
      *to++ = *from++;
      continue;
    }
    const char kind = from[1];
    from += 2;
    if (kind == 'u') {
      const auto point = read_point(from);
      if (!point) return std::nullopt;
      to = write_utf8(to, *point);
      continue;
    }
    const char c = simple_escape(kind);
    if (c == 0) return std::nullopt;
    *to++ = c;
  }
  return std::string_view(begin, static_cast<size_t>(to - begin));
}

void append_json_text(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  for (;;) {
    const size_t plain = plain_run<'"', '\\'>(text);
    out.append(text.substr(0, plain));
    if (plain == text.size()) return;
    const char c = text[plain];
    text.remove_prefix(plain + 1);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[static_cast<unsigned char>(c) >> 4];
        out += kHex[c & 15];
    }
  }
}

}  // namespace millrace::net

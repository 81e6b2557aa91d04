#include "tools/common/text.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::tools {
namespace {

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Bytes of the well-formed UTF-8 sequence at the start of `text`; 0 if it is none (RFC 3629: no
// overlong forms, no surrogates, nothing past U+10FFFF).
size_t sequence_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i)
    if (!is_continuation(text[i])) return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  return bytes;
}

}  // namespace

Table::Table(std::vector<std::string> heading, std::vector<bool> right) : right_(std::move(right)) {
  right_.resize(heading.size(), false);
  rows_.push_back(std::move(heading));
}

void Table::add(std::vector<std::string> cells) {
  rows_.push_back(std::move(cells));
}

std::string Table::text(bool with_heading) const {
  std::vector<size_t> widths(right_.size(), 0);
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], display_width(row[i]));
  std::string text;
  for (size_t r = with_heading ? 0 : 1; r < rows_.size(); ++r) {
    const auto& row = rows_[r];
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - display_width(row[i]), ' ');
      const bool last = i + 1 == row.size();
      if (right_[i]) text += padding;
      text += row[i];
      if (!right_[i] && !last) text += padding;
      if (!last) text += "  ";
    }
    while (text.ends_with(' '))
      text.pop_back();
    text += '\n';
  }
  return text;
}

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = sequence_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    size_t bytes = sequence_bytes(text);
    // C1 control characters (U+0080 to U+009F) start escape sequences on some terminals.
    const bool c1 = bytes == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (first == '\n') {
      shown += "\\n";
    } else if (first == '\t') {
      shown += "\\t";
    } else if (bytes == 0 || first < 0x20 || first == 0x7F || c1) {
      bytes = 1;
      shown += fmt::format("\\x{:02x}", first);
      if (c1) shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[1])), bytes = 2;
    } else {
      shown += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return shown;
}

size_t display_width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

}  // namespace millrace::tools

// Text for people: tables whose columns line up, and bodies that cannot disturb a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::tools {

// Rows of cells; the first is the heading. Columns are padded to their widest cell; those whose entry
// in `right` is true are aligned to the right. No line ends in a space.
class Table {
 public:
  explicit Table(std::vector<std::string> heading, std::vector<bool> right = {});
  void add(std::vector<std::string> cells);
  // Lines ending in '\n'. A table with no rows but its heading is that line.
  std::string text(bool with_heading = true) const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

bool valid_utf8(std::string_view text);
// Control characters and bytes that are no UTF-8 as \n, \t, \xNN; everything else as it is.
std::string printable(std::string_view text);
// Cells a terminal shows for UTF-8 text, taking each code point for one.
size_t display_width(std::string_view text);

}  // namespace millrace::tools

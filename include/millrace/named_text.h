// The value of one of several texts by its name.
#pragma once

#include <span>
#include <string_view>

#include "millrace/options.h"

namespace millrace {

// Empty if there is none of that name; lives as long as the texts do.
inline std::string_view value_of(std::span<const NamedText> texts, std::string_view name) {
  for (const NamedText& text : texts)
    if (text.name == name) return text.value;
  return {};
}

}  // namespace millrace

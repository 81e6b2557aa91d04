// JSON from outside, read into a tree: text that nests deeper than anybody means is refused before
// it is one.
//
// nlohmann::basic_json reads, and frees, without recursion; but a copy, dump() and == of a tree
// recurse once a level, so a megabyte of brackets is a stack overflow for whoever touches it later.
// Nobody outside this header calls basic_json::parse() on what a client sent (tests/repo checks
// it).
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

namespace millrace::base {

// Policies, which nest most, need six.
inline constexpr size_t kJsonLevelsMax = 64;

// Of text that is no JSON it says something, too.
inline bool nests_too_deep(std::string_view json) {
  size_t level = 0;
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++level > kJsonLevelsMax) return true;
    } else if ((c == ']' || c == '}') && level > 0) {
      --level;
    }
  }
  return false;
}

// Discarded (is_discarded()) if it is no JSON, or nests too deep. `note`: see basic_json's
// parser_callback_t.
template <class Json>
Json parse_bounded_json(std::string_view text, typename Json::parser_callback_t note = nullptr) {
  if (nests_too_deep(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, std::move(note), false);
}

}  // namespace millrace::base

// Reads a filter policy's JSON text; what is not understood is refused as a whole, with the text
// that Amazon SNS gives.
//
//   policy     an object; an array under a key is a list of conditions, an object nests (scope
//   body) condition  a text, number, true, false, null, or an object with one operator: prefix,
//   suffix,
//              equals-ignore-case, anything-but, numeric, exists, cidr
//   $or        a list of two or more objects none of whose keys is an operator's name; else a key
//
// Keys are counted by their names, each once; combinations are values times depth, multiplied over
// the keys of a way and added up over the ways. Numbers are within 1e9 of zero. A name twice in one
// object is refused, as which one counts would be a guess.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/filter_policy.h"

namespace millrace::engine {

// What Amazon SNS does not know: wildcard; prefix's siblings under anything-but.
enum class FilterExtensions : bool { refused, taken };

struct FilterRefusal {
  // As what follows "Invalid parameter: " (and "Attributes Reason: "): with "FilterPolicy: " in
  // front, but for a scope that does not suit.
  std::string text;
};

std::optional<FilterPolicy> parse_filter_policy(std::string_view text, FilterScope scope,
                                                FilterExtensions extensions,
                                                FilterRefusal* refusal);

}  // namespace millrace::engine

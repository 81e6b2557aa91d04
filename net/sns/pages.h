// Pages of SNS's lists: an opaque token says which list it is of, and what came last.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "net/aws/page_token.h"
#include "net/sns/errors.h"
#include "net/sns/inputs.h"

namespace millrace::net::sns {

inline constexpr uint32_t kPageItems = 100;

inline std::string next_page(std::string_view list, std::string_view last) {
  return page_token(std::string(list) + ":" + std::string(last));
}

// `after` is empty without a token.
inline AwsError read_page(std::string_view list, const Text& token, std::string* after) {
  if (!token.given || token.value.empty()) return {};
  const std::string begin = std::string(list) + ":";
  auto behind = read_page_token(token.value);
  if (!behind || !behind->starts_with(begin) || behind->size() == begin.size())
    return invalid_parameter("NextToken");
  *after = behind->substr(begin.size());
  return {};
}

}  // namespace millrace::net::sns

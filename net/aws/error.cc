#include "net/aws/error.h"

#include <fmt/format.h>

namespace millrace::net {

std::string_view shown(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  // Not into the middle of a character.
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0) == 0x80)
    --bytes_max;
  return text.substr(0, bytes_max);
}

AwsError missing_parameter(std::string_view name) {
  return {errors::kMissingParameter,
          fmt::format("The request must contain the parameter {}.", name)};
}

AwsError invalid_value(std::string_view name, std::string_view value, std::string_view reason) {
  constexpr size_t kShown = 1'024;
  return {errors::kInvalidParameterValue,
          fmt::format("Value {} for parameter {} is invalid. Reason: {}", shown(value, kShown),
                      name, reason)};
}

}  // namespace millrace::net

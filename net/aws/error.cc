#include "net/aws/error.h"

#include <fmt/format.h>

namespace millrace::net {

AwsError missing_parameter(std::string_view name) {
  return {errors::kMissingParameter,
          fmt::format("The request must contain the parameter {}.", name)};
}

AwsError invalid_value(std::string_view name, std::string_view value, std::string_view reason) {
  constexpr size_t kShown = 1'024;
  return {errors::kInvalidParameterValue,
          fmt::format("Value {} for parameter {} is invalid. Reason: {}", value.substr(0, kShown),
                      name, reason)};
}

}  // namespace millrace::net

#include "net/sns/errors.h"

#include <string>

#include <fmt/format.h>

namespace millrace::net::sns {

AwsError invalid_parameter(std::string_view text) {
  return {errors::kInvalidParameter, fmt::format("Invalid parameter: {}", text)};
}

AwsError value_is_null(std::string_view path) {
  return {errors::kValidationError,
          fmt::format("1 validation error detected: Value null at '{}' failed to satisfy "
                      "constraint: Member must not be null",
                      path)};
}

AwsError topic_does_not_exist() {
  return {errors::kNotFound, "Topic does not exist"};
}

AwsError subscription_does_not_exist() {
  return {errors::kNotFound, "Subscription does not exist"};
}

AwsError error_of(const topics::PublishRefusal& refusal) {
  using Fault = topics::PublishFault;
  switch (refusal.fault) {
    case Fault::none:
      return {};
    case Fault::parameter:
      return invalid_parameter(refusal.text);
    case Fault::attribute:
      return {errors::kParameterValueInvalid, refusal.text};
    case Fault::not_given:
      return value_is_null(refusal.text);
  }
  return {};
}

AwsError error_of(Errc code, std::string_view detail) {
  switch (code) {
    case Errc::ok:
      return {};
    case Errc::topic_not_found:
      return topic_does_not_exist();
    case Errc::subscription_not_found:
      return subscription_does_not_exist();
    case Errc::invalid_argument:
    case Errc::topic_exists:
    case Errc::subscription_exists:
    case Errc::message_too_large:
      return invalid_parameter(detail.empty() ? errc_text(code) : detail);
    case Errc::over_limit: {
      const ErrorKind& kind = detail.starts_with("FilterPolicy")
                                  ? errors::kFilterPolicyLimitExceeded
                              : detail.ends_with("topics") ? errors::kTopicLimitExceeded
                                                           : errors::kSubscriptionLimitExceeded;
      return {kind, std::string(detail.empty() ? errc_text(code) : detail)};
    }
    case Errc::access_denied:
      return {errors::kAuthorizationError, std::string(errc_text(code))};
    case Errc::throttled:
      return {errors::kThrottled, std::string(errc_text(code))};
    // Clients try these again.
    case Errc::disk_full:
    case Errc::memory_full:
    case Errc::shard_fenced:
    case Errc::shutting_down:
    case Errc::timed_out:
    case Errc::canceled:
      return {errors::kServiceUnavailable, std::string(errc_text(code))};
    // What no request of this front can come to, or our own fault.
    default:
      return {errors::kInternalError, std::string(errc_text(code))};
  }
}

}  // namespace millrace::net::sns

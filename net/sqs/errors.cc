#include "net/sqs/errors.h"

#include <fmt/format.h>

namespace millrace::net::sqs {
namespace {

const ErrorKind& kind_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
    case Errc::invalid_queue_name:
    case Errc::message_too_large:
    case Errc::receipt_expired:
    case Errc::message_gone:
    case Errc::lease_too_long:
    case Errc::not_a_dead_letter_queue:
    case Errc::queue_types_differ:
    case Errc::same_queue:
    case Errc::move_task_running:
      return errors::kInvalidParameterValue;
    case Errc::queue_not_found:
      return errors::kQueueDoesNotExist;
    case Errc::queue_exists:
      return errors::kQueueNameExists;
    case Errc::batch_empty:
      return errors::kEmptyBatchRequest;
    case Errc::batch_too_large:
      return errors::kBatchRequestTooLong;
    case Errc::receipt_invalid:
      return errors::kReceiptHandleIsInvalid;
    case Errc::message_not_leased:
      return errors::kMessageNotInflight;
    case Errc::over_limit:
      return errors::kOverLimit;
    case Errc::move_task_not_found:
      return errors::kResourceNotFound;
    case Errc::access_denied:
      return errors::kAccessDenied;
    // Clients try these again.
    case Errc::throttled:
    case Errc::disk_full:
    case Errc::memory_full:
    case Errc::shard_fenced:
    case Errc::shutting_down:
    case Errc::timed_out:
    case Errc::canceled:
      return errors::kServiceUnavailable;
    // What no request of this front can come to, or our own fault.
    case Errc::ok:
    case Errc::malformed:
    case Errc::unsupported:
    case Errc::version_mismatch:
    case Errc::corrupt:
    case Errc::protocol_violation:
    case Errc::frame_too_large:
    case Errc::login_required:
    case Errc::login_refused:
    case Errc::subscription_not_found:
    case Errc::topic_not_found:
    case Errc::topic_exists:
    case Errc::subscription_exists:
    case Errc::io_error:
    case Errc::connection_closed:
    case Errc::not_found:
    case Errc::already_exists:
    case Errc::permission_denied:
    case Errc::locked:
    case Errc::format_too_new:
    case Errc::damaged:
    case Errc::not_a_directory:
    case Errc::address_in_use:
      return errors::kInternalFailure;
  }
  return errors::kInternalFailure;
}

std::string_view text_of(Errc code) {
  switch (code) {
    case Errc::queue_not_found:
      return "The specified queue does not exist.";
    case Errc::not_a_dead_letter_queue:
      return "Source queue must be configured as a Dead Letter Queue.";
    case Errc::queue_types_differ:
      return "The source queue and destination queue must be of the same queue type.";
    case Errc::same_queue:
      return "Source queue arn and destination queue arn cannot be the same.";
    case Errc::move_task_running:
      return "There is already a task running. Only one active task is allowed for a source queue "
             "arn at a given time.";
    case Errc::move_task_not_found:
      return "Task does not exist.";
    default:
      return errc_text(code);
  }
}

}  // namespace

AwsError error_of(Errc code, std::string_view detail) {
  if (code == Errc::ok) return {};
  return {kind_of(code), std::string(detail.empty() ? text_of(code) : detail)};
}

AwsError queue_does_not_exist() {
  return error_of(Errc::queue_not_found);
}

AwsError invalid_attribute_value(std::string_view name, std::string_view reason) {
  std::string text = fmt::format("Invalid value for the parameter {}.", name);
  if (!reason.empty()) text += fmt::format(" Reason: {}", reason);
  return {errors::kInvalidAttributeValue, std::move(text)};
}

AwsError unknown_attribute(std::string_view name) {
  return {errors::kInvalidAttributeName, fmt::format("Unknown Attribute {}.", shown(name))};
}

}  // namespace millrace::net::sqs

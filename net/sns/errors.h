// What SNS refuses with: its own kinds of error, and what each of the engine's outcomes is called
// there.
//
// Threads: any; no state.
#pragma once

#include <string_view>

#include "millrace/result.h"
#include "net/aws/error.h"
#include "net/topics/publication.h"

namespace millrace::net::sns {

namespace errors {

using namespace net::errors;  // NOLINT: one list of kinds, wherever they come from

// The Query protocol has codes only.
#define MR_SNS_ERROR(variable, code, status) \
  inline constexpr ErrorKind variable {      \
    "com.amazonaws.sns#" code, code, status  \
  }
MR_SNS_ERROR(kBatchEntryIdsNotDistinct, "BatchEntryIdsNotDistinct", 400);
MR_SNS_ERROR(kBatchRequestTooLong, "BatchRequestTooLong", 400);
MR_SNS_ERROR(kEmptyBatchRequest, "EmptyBatchRequest", 400);
MR_SNS_ERROR(kInvalidBatchEntryId, "InvalidBatchEntryId", 400);
MR_SNS_ERROR(kParameterValueInvalid, "ParameterValueInvalid", 400);
MR_SNS_ERROR(kTooManyEntries, "TooManyEntriesInBatchRequest", 400);
MR_SNS_ERROR(kAuthorizationError, "AuthorizationError", 403);
MR_SNS_ERROR(kFilterPolicyLimitExceeded, "FilterPolicyLimitExceeded", 403);
MR_SNS_ERROR(kInternalError, "InternalError", 500);
MR_SNS_ERROR(kInvalidParameter, "InvalidParameter", 400);
MR_SNS_ERROR(kNotFound, "NotFound", 404);
MR_SNS_ERROR(kResourceNotFound, "ResourceNotFound", 404);
MR_SNS_ERROR(kSubscriptionLimitExceeded, "SubscriptionLimitExceeded", 403);
MR_SNS_ERROR(kTagLimitExceeded, "TagLimitExceeded", 400);
MR_SNS_ERROR(kThrottled, "Throttled", 429);
MR_SNS_ERROR(kTopicLimitExceeded, "TopicLimitExceeded", 403);
MR_SNS_ERROR(kValidationError, "ValidationError", 400);
#undef MR_SNS_ERROR

}  // namespace errors

// "Invalid parameter: T".
AwsError invalid_parameter(std::string_view text);
// Of a member that must be given; `path` as it is in the service's model: "topicArn".
AwsError value_is_null(std::string_view path);
AwsError topic_does_not_exist();
AwsError subscription_does_not_exist();

// What is wrong with a message.
AwsError error_of(const topics::PublishRefusal& refusal);

// The engine's outcome, and what it says of it, as SNS's. What a caller can cause is never a 5xx.
AwsError error_of(Errc code, std::string_view detail = {});

}  // namespace millrace::net::sns

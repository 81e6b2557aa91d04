// What SQS refuses with: its own kinds of error, and what each of the engine's outcomes is called
// there. docs/sqs-compat.md has the table for people.
//
// Threads: any; no state.
#pragma once

#include <span>
#include <string_view>

#include "millrace/result.h"
#include "net/aws/error.h"

namespace millrace::net::sqs {

namespace errors {

using namespace net::errors;  // NOLINT: one list of kinds, wherever they come from

#define MR_SQS_ERROR(variable, type, code, status) \
  inline constexpr ErrorKind variable {            \
    "com.amazonaws.sqs#" type, code, status        \
  }
MR_SQS_ERROR(kBatchEntryIdsNotDistinct, "BatchEntryIdsNotDistinct",
             "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400);
MR_SQS_ERROR(kBatchRequestTooLong, "BatchRequestTooLong",
             "AWS.SimpleQueueService.BatchRequestTooLong", 400);
MR_SQS_ERROR(kEmptyBatchRequest, "EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest",
             400);
MR_SQS_ERROR(kInvalidAttributeName, "InvalidAttributeName", "InvalidAttributeName", 400);
MR_SQS_ERROR(kInvalidAttributeValue, "InvalidAttributeValue", "InvalidAttributeValue", 400);
MR_SQS_ERROR(kInvalidBatchEntryId, "InvalidBatchEntryId",
             "AWS.SimpleQueueService.InvalidBatchEntryId", 400);
MR_SQS_ERROR(kInvalidMessageContents, "InvalidMessageContents", "InvalidMessageContents", 400);
MR_SQS_ERROR(kMessageNotInflight, "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight",
             400);
MR_SQS_ERROR(kOverLimit, "OverLimit", "OverLimit", 403);
MR_SQS_ERROR(kPurgeQueueInProgress, "PurgeQueueInProgress",
             "AWS.SimpleQueueService.PurgeQueueInProgress", 403);
MR_SQS_ERROR(kQueueDeletedRecently, "QueueDeletedRecently",
             "AWS.SimpleQueueService.QueueDeletedRecently", 400);
MR_SQS_ERROR(kQueueDoesNotExist, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue",
             400);
MR_SQS_ERROR(kQueueNameExists, "QueueNameExists", "QueueAlreadyExists", 400);
MR_SQS_ERROR(kReceiptHandleIsInvalid, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404);
MR_SQS_ERROR(kResourceNotFound, "ResourceNotFoundException", "ResourceNotFoundException", 404);
MR_SQS_ERROR(kTooManyEntries, "TooManyEntriesInBatchRequest",
             "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400);
MR_SQS_ERROR(kUnsupportedOperation, "UnsupportedOperation",
             "AWS.SimpleQueueService.UnsupportedOperation", 400);
#undef MR_SQS_ERROR

}  // namespace errors

// The engine's outcome as SQS's. What a caller can cause is never a 5xx; actions that know more
// (the receipt, the number) say it themselves.
AwsError error_of(Errc code, std::string_view detail = {});

AwsError queue_does_not_exist();
// "Invalid value for the parameter P.", with "Reason: R" behind it if there is one.
AwsError invalid_attribute_value(std::string_view name, std::string_view reason = {});
AwsError unknown_attribute(std::string_view name);

}  // namespace millrace::net::sqs

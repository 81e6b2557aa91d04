// What SQS says to a message that it does not take. The engine checks again (properties_check.h);
// this is the text for people, and what the engine leaves to its front: the characters of texts.
//
// Threads: any; no state.
#pragma once

#include <string_view>

#include "millrace/options.h"
#include "net/aws/error.h"
#include "net/sqs/inputs.h"

namespace millrace::net::sqs {

// A message of a request, or an entry of a batch, which is called by what stands before its members
// ("SendMessageBatchRequestEntry.1.") and is not what FIFO's ids are asked of: that is for the
// whole batch, by check_fifo().
AwsError check_message(const MessageInput& message, const QueueAttributes& queue,
                       std::string_view entry_prefix = {});

// The group and, unless the queue makes one of the body, the deduplication id that a FIFO queue's
// message needs. In a batch a missing group is an InvalidParameterValue.
AwsError check_fifo(const MessageInput& message, const QueueAttributes& queue, bool in_batch);

// 1 to 128 letters, digits and punctuation marks.
AwsError check_id(std::string_view name, std::string_view value);

// Body and user attributes: what SQS counts.
size_t message_size(const MessageInput& message);

// The value of an attribute, whichever member it is in.
std::string_view value_of(const AttributeInput& attribute);
bool is_binary(std::string_view data_type);

}  // namespace millrace::net::sqs

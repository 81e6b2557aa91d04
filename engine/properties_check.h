// What a producer may put beside a message's body (millrace/properties.h), by type of queue.
//
// Size of a message, as SQS counts it: the body and, of each user attribute, name, type and value.
// Heads and ids are not counted, but bounded by their number and lengths.
//
// Threads: any; no state.
#pragma once

#include <string>
#include <string_view>

#include "millrace/message.h"
#include "millrace/options.h"
#include "millrace/properties.h"
#include "millrace/result.h"

namespace millrace::engine {

// Whether this may be a group id, a deduplication id or a receive attempt id: 1 to 128 letters,
// digits and punctuation marks.
bool is_id(std::string_view text);

// Checks one message's properties and body length. Errors: malformed (the bytes are not
// properties), invalid_argument (an id, name, type or value that is not allowed; more than ten
// attributes; a deduplication id on a standard queue; a FIFO message without group, or without
// deduplication id on a queue that does not deduplicate by content), message_too_large. With
// invalid_argument `fault`, if there is one, says for people what is wrong with which property, and
// what is allowed.
Status check_properties(Bytes properties, uint32_t body_bytes, const QueueAttributes& queue,
                        std::string* fault = nullptr);

}  // namespace millrace::engine

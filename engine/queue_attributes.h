// The bounds of a queue's name and attributes, in one place (docs/operations.md has the table).
#pragma once

#include <string>
#include <string_view>

#include "millrace/options.h"
#include "millrace/result.h"

namespace millrace::engine {

// 1..kQueueNameBytesMax of [A-Za-z0-9_-]; of a FIFO queue, and only of one, the last five are
// ".fifo". Error: invalid_queue_name.
Status check_queue_name(std::string_view name, bool fifo);

// Error: invalid_argument; `detail` then says which value and what it may be.
Status check_queue_attributes(const QueueAttributes& attributes, std::string* detail);

}  // namespace millrace::engine

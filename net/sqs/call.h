// Call: a request of SQS that its shard has not replied to yet (net/aws/call_table.h).
#pragma once

#include <cstdint>
#include <memory>

#include "millrace/types.h"
#include "net/aws/call_table.h"
#include "net/sqs/first_part.h"

namespace millrace::net::sqs {

struct Call : CallBase {
  QueueId queue{};
  bool receives = false;  // it may wait for messages, and can be given up
  // Of a receive that may be asked for the rest.
  uint32_t room = 0;           // messages that its answer may still hold
  uint32_t visibility_ms = 0;  // as it was asked
  uint32_t holder = 0;
  std::unique_ptr<FirstPart> first{};

  void clear() {
    room = 0;
    first.reset();
  }
};

}  // namespace millrace::net::sqs

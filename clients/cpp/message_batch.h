// MessageBatch: messages laid out as one SEND carries them and as the server's log keeps them
// (millrace/message.h): each a header, properties, body, zero padding to 8 bytes.
//
//   MessageBatch batch;
//   batch.add(as_bytes("hello"));
//   client.send(queue, batch, ...);    // copied: the batch may be cleared or changed at once
//
// Memory: one stretch of bytes, kept by clear().
#pragma once

#include <cstdint>
#include <vector>

#include "millrace/message.h"
#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace::client {

class MessageBatch {
 public:
  // Errors, which leave the batch as it was: message_too_large (properties and body over
  // kMessageBytesMax), batch_too_large (kBatchMessagesMax messages or kBatchBytesMax bytes reached:
  // send it and start another), invalid_argument (a delay over 15 min).
  Status add(Bytes body, uint32_t delay_ms = kDelayQueueDefault, Bytes properties = {});
  Status add(std::string_view body, uint32_t delay_ms = kDelayQueueDefault) {
    return add(as_bytes(body), delay_ms);
  }

  uint32_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  void clear();
  // The run of `count()` messages; valid until the next add() or clear().
  Bytes run() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  uint32_t count_ = 0;
};

}  // namespace millrace::client

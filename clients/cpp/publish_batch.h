// PublishBatch: messages laid out as one PUBLISH carries them (millrace/wire.h).
//
//   PublishBatch batch;
//   batch.add({.message = "an order"});
//   client.publish("orders", batch, ...);   // copied: the batch may be cleared or changed at once
//
// Memory: one stretch of bytes, kept by clear().
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "millrace/result.h"
#include "millrace/types.h"
#include "millrace/wire.h"

namespace millrace::client {

// Copied by add().
struct PublishMessage {
  std::string_view message;
  std::string_view subject{};  // empty: it has none
  // Attributes, group, deduplication id (millrace/properties.h).
  Bytes properties{};
  bool structured = false;  // JSON, with a text for each protocol
};

class PublishBatch {
 public:
  // Errors, which leave the batch as it was: message_too_large (properties, subject and message
  // over kPublishBytesMax), batch_too_large (kPublishMessagesMax messages are there, or they would
  // not fit a frame: publish them and start another).
  Status add(const PublishMessage& message);

  uint32_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  void clear();
  // Its `count()` items; valid until the next add() or clear().
  Bytes items() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  uint32_t count_ = 0;
};

}  // namespace millrace::client

#include "clients/cpp/message_batch.h"

#include <cstring>

#include "clients/cpp/frame.h"
#include "millrace/options.h"

namespace millrace::client {

Status MessageBatch::add(Bytes body, uint32_t delay_ms, Bytes properties) {
  if (body.size() > kMessageBytesMax || properties.size() > kMessageBytesMax - body.size())
    return fail(Errc::message_too_large);
  if (delay_ms > kMessageDelayMsMax && delay_ms != kDelayQueueDefault)
    return fail(Errc::invalid_argument);
  const MessageHeader header{static_cast<uint32_t>(body.size()),
                             static_cast<uint32_t>(properties.size()), delay_ms, 0};
  const size_t before = bytes_.size();
  const uint64_t after = before + message_stride(header);
  if (count_ == kBatchMessagesMax || after > kBatchBytesMax) return fail(Errc::batch_too_large);

  bytes_.resize(after);  // zeros, so the padding is there
  std::byte* at = put(bytes_.data() + before, header);
  if (!properties.empty()) std::memcpy(at, properties.data(), properties.size());
  if (!body.empty()) std::memcpy(at + properties.size(), body.data(), body.size());
  ++count_;
  return {};
}

void MessageBatch::clear() {
  bytes_.clear();
  count_ = 0;
}

}  // namespace millrace::client

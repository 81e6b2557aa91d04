#include "clients/cpp/publish_batch.h"

#include <cstring>

#include "clients/cpp/frame.h"

namespace millrace::client {
namespace {

constexpr size_t kItemsBytesMax = wire::kFrameBytesMax / 2;

}  // namespace

Status PublishBatch::add(const PublishMessage& message) {
  const size_t bytes = message.properties.size() + message.subject.size() + message.message.size();
  if (bytes > wire::kPublishBytesMax || message.subject.size() > UINT16_MAX)
    return fail(Errc::message_too_large);
  const size_t before = bytes_.size();
  const size_t after = before + sizeof(wire::PublishItem) + padded8(bytes);
  if (count_ == wire::kPublishMessagesMax || after > kItemsBytesMax)
    return fail(Errc::batch_too_large);
  wire::PublishItem item{};
  item.message_bytes = static_cast<uint32_t>(message.message.size());
  item.properties_bytes = static_cast<uint32_t>(message.properties.size());
  item.subject_bytes = static_cast<uint16_t>(message.subject.size());
  item.structured = message.structured ? 1 : 0;
  bytes_.resize(after);  // zeros, so the padding is there
  std::byte* at = put(bytes_.data() + before, item);
  for (const Bytes part :
       {message.properties, as_bytes(message.subject), as_bytes(message.message)}) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  ++count_;
  return {};
}

void PublishBatch::clear() {
  bytes_.clear();
  count_ = 0;
}

}  // namespace millrace::client

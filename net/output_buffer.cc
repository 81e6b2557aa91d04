#include "net/output_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace millrace::net {

Bytes OutputBuffer::start_sending() {
  MR_ASSERT(!sending());
  MR_ASSERT(filled_ > 0);
  std::swap(filling_, sending_);
  to_send_ = std::exchange(filled_, 0);
  sent_ = 0;
  last_stretch_ = std::max(to_send_, last_stretch_ - last_stretch_ / 8);
  return {sending_.data.get(), to_send_};
}

void OutputBuffer::sent(size_t bytes) {
  MR_ASSERT(bytes <= to_send_ - sent_);
  sent_ += bytes;
  if (sent_ < to_send_) return;
  to_send_ = sent_ = 0;
  pool_->give_back(std::exchange(sending_, {}));
}

void OutputBuffer::clear() {
  pool_->give_back(std::exchange(filling_, {}));
  pool_->give_back(std::exchange(sending_, {}));
  filled_ = to_send_ = sent_ = 0;
}

void OutputBuffer::grow(size_t bytes) {
  Buffer larger = pool_->take(std::max(bytes, last_stretch_));
  if (filled_ > 0) std::memcpy(larger.data.get(), filling_.data.get(), filled_);
  pool_->give_back(std::exchange(filling_, std::move(larger)));
}

}  // namespace millrace::net

#include "net/buffer_pool.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include "base/aligned_memory.h"
#include "base/assert.h"

namespace millrace::net {

void Buffer::Free::operator()(std::byte* p) const {
  std::free(p);
}

size_t BufferPool::class_of(size_t bytes) {
  const size_t rounded = std::bit_ceil(std::max(bytes, kBufferBytesMin));
  return static_cast<size_t>(std::countr_zero(rounded) - std::countr_zero(kBufferBytesMin));
}

Buffer BufferPool::take(size_t bytes) {
  const size_t index = class_of(bytes);
  MR_ASSERT(index < kClasses);
  Kept& kept = kept_[index];
  Buffer buffer;
  if (!kept.buffers.empty()) {
    // The one returned last is the one still in the cache.
    buffer = std::move(kept.buffers.back());
    kept.buffers.pop_back();
    kept.fewest = std::min(kept.fewest, kept.buffers.size());
    kept_bytes_ -= buffer.capacity;
    lent_bytes_ += buffer.capacity;
    return buffer;
  }
  buffer.capacity = kBufferBytesMin << index;
  lent_bytes_ += buffer.capacity;
  buffer.data.reset(base::take_aligned(64, buffer.capacity));
  return buffer;
}

void BufferPool::give_back(Buffer buffer) {
  lent_bytes_ -= buffer.capacity;
  if (buffer.capacity == 0 || kept_bytes_ + buffer.capacity > kept_bytes_max_) return;
  kept_bytes_ += buffer.capacity;
  kept_[class_of(buffer.capacity)].buffers.push_back(std::move(buffer));
}

void BufferPool::trim() {
  for (size_t index = 0; index < kClasses; ++index) {
    Kept& kept = kept_[index];
    // Those at the front were returned first and borrowed by nobody since.
    const auto first = kept.buffers.begin();
    kept.buffers.erase(first, first + static_cast<ptrdiff_t>(kept.fewest));
    kept_bytes_ -= kept.fewest * (kBufferBytesMin << index);
    kept.fewest = kept.buffers.size();
  }
}

}  // namespace millrace::net

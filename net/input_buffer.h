// InputBuffer: received bytes that could not be handled where they lay: the beginning of a frame or
// request whose rest has not come, or whole ones that wait until the connection has room again.
//
// Most never come here. It borrows from the pool while it holds something, and grows with the bytes
// that came, never with a length that was only announced. It starts at a frame's first byte,
// 8-byte aligned. Threads: shard-local.
#pragma once

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "millrace/types.h"
#include "net/buffer_pool.h"

namespace millrace::net {

class InputBuffer {
 public:
  explicit InputBuffer(BufferPool& pool) : pool_(&pool) {}
  ~InputBuffer() { clear(); }
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  Bytes bytes() const { return {buffer_.data.get() + begin_, end_ - begin_}; }
  MutableBytes bytes() { return {buffer_.data.get() + begin_, end_ - begin_}; }

  void append(Bytes bytes) {
    if (bytes.empty()) return;
    if (end_ + bytes.size() > buffer_.capacity) make_room(bytes.size());
    std::memcpy(buffer_.data.get() + end_, bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  // kReceivePadding bytes behind the held ones can be read. May move them.
  void pad() {
    if (end_ + kReceivePadding > buffer_.capacity) make_room(kReceivePadding);
  }
  void swap(InputBuffer& other) {
    std::swap(pool_, other.pool_);
    std::swap(buffer_, other.buffer_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
  }
  // Takes off bytes at the front: whole frames, so that the alignment stays.
  void consume(size_t bytes) {
    MR_ASSERT(bytes <= end_ - begin_);
    begin_ += bytes;
    if (begin_ == end_) clear();
  }
  void clear() {
    pool_->give_back(std::exchange(buffer_, {}));
    begin_ = end_ = 0;
  }

 private:
  void make_room(size_t bytes) {
    const size_t held = end_ - begin_;
    if (begin_ >= held && held + bytes <= buffer_.capacity) {
      std::memcpy(buffer_.data.get(), buffer_.data.get() + begin_, held);
    } else {
      Buffer larger = pool_->take(held + bytes);
      if (held > 0) std::memcpy(larger.data.get(), buffer_.data.get() + begin_, held);
      pool_->give_back(std::exchange(buffer_, std::move(larger)));
    }
    begin_ = 0;
    end_ = held;
  }

  BufferPool* pool_;
  Buffer buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace millrace::net

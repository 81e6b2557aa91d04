// ByteQueue: bytes added at the back and taken from the front, in one stretch of memory.
//
// Both directions of a connection use it: frames are built at the back and written from the front;
// received bytes land at the back and are parsed at the front. The front is moved to the start of
// the memory only when room is needed at the back. Frames are multiples of 8 bytes and the memory
// is 16-byte aligned, so a frame at the front is always 8-byte aligned.
// Invariant: whoever consumes takes whole frames, or everything.
// Threads: one.  Memory: grows to the most that was ever in it, at least the size it was made with.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>

#include "millrace/types.h"

namespace millrace::client {

class ByteQueue {
 public:
  explicit ByteQueue(size_t capacity)
      : memory_(std::make_unique_for_overwrite<std::byte[]>(capacity)), capacity_(capacity) {}

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  // Valid until the next extend() or room().
  std::byte* front() { return memory_.get() + begin_; }

  // Adds `bytes` uninitialised bytes; the pointer is valid until the next extend() or room().
  std::byte* extend(size_t bytes) {
    make_room(bytes);
    std::byte* at = memory_.get() + end_;
    end_ += bytes;
    return at;
  }
  // At least `bytes` free bytes at the back, to be filled from outside and then added().
  MutableBytes room(size_t bytes) {
    make_room(bytes);
    return {memory_.get() + end_, capacity_ - end_};
  }
  void added(size_t bytes) { end_ += bytes; }
  void consume(size_t bytes) {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void drop_last(size_t bytes) { end_ -= bytes; }
  void clear() { begin_ = end_ = 0; }

 private:
  void make_room(size_t bytes) {
    if (capacity_ - end_ >= bytes) return;
    const size_t used = size();
    if (capacity_ - used >= bytes) {
      std::memmove(memory_.get(), memory_.get() + begin_, used);
    } else {
      size_t capacity = capacity_ * 2;
      while (capacity - used < bytes)
        capacity *= 2;
      auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
      std::memcpy(larger.get(), memory_.get() + begin_, used);
      memory_ = std::move(larger);
      capacity_ = capacity;
    }
    begin_ = 0;
    end_ = used;
  }

  std::unique_ptr<std::byte[]> memory_;
  size_t capacity_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace millrace::client

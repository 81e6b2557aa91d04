// OutputBuffer: the answers of one connection, encoded in place, on their way to its socket.
//
// Two halves: answers are written into one while the kernel sends the other, so a send never sees
// its bytes move. Both are borrowed from the pool and given back when empty.
// Invariant: pending() == bytes written with extend() - bytes reported with sent().
// Threads: shard-local.
#pragma once

#include <cstddef>

#include "base/assert.h"
#include "millrace/types.h"
#include "net/buffer_pool.h"

namespace millrace::net {

class OutputBuffer {
 public:
  explicit OutputBuffer(BufferPool& pool) : pool_(&pool) {}
  ~OutputBuffer() { clear(); }
  OutputBuffer(const OutputBuffer&) = delete;
  OutputBuffer& operator=(const OutputBuffer&) = delete;

  // `bytes` more at the end, uninitialised; valid until the next extend() or start_sending().
  std::byte* extend(size_t bytes) {
    if (filled_ + bytes > filling_.capacity) grow(filled_ + bytes);
    std::byte* at = filling_.data.get() + filled_;
    filled_ += bytes;
    return at;
  }

  size_t pending() const { return filled_ + (to_send_ - sent_); }
  bool sending() const { return sent_ < to_send_; }
  // Memory that it takes for them.
  size_t held_bytes() const { return filling_.capacity + sending_.capacity; }

  // Everything written so far becomes the stretch to send. Only when not sending(). The bytes stay
  // in place until sent() has covered them.
  Bytes start_sending();
  void sent(size_t bytes);
  // Forgets everything. Not while the kernel has a stretch of it.
  void clear();

 private:
  void grow(size_t bytes);

  BufferPool* pool_;
  Buffer filling_;
  Buffer sending_;
  size_t filled_ = 0;
  size_t to_send_ = 0;
  size_t sent_ = 0;
  size_t last_stretch_ = 0;  // how much one stretch held lately: what to borrow at once next time
};

}  // namespace millrace::net

// SpscRing: a bounded single-producer single-consumer queue. The mailbox between two shards.
//
// Each side keeps a cached copy of the other's cursor, so that a push or pop touches the shared
// line only when its copy says full or empty. push: acquire of tail_ sees the slots the consumer
// has emptied. pop: acquire of head_ sees the values the producer stored. Threads: one producer,
// one consumer.   Source: Lamport 1983; the cached cursors: Giacomoni et al.,
// FastForward/MCRingBuffer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/assert.h"

namespace millrace::base {

template <class T>
class SpscRing {
 public:
  // `capacity` is a power of two.
  explicit SpscRing(size_t capacity)
      : mask_(capacity - 1), slots_(std::make_unique<T[]>(capacity)) {
    MR_ASSERT(capacity > 0 && (capacity & mask_) == 0);
  }
  // False if full; `value` is untouched then.
  bool push(T& value) {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_seen_ > mask_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head - tail_seen_ > mask_) return false;
    }
    slots_[head & mask_] = std::move(value);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }
  bool pop(T& value) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_seen_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail == head_seen_) return false;
    }
    value = std::move(slots_[tail & mask_]);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }
  // Exact only when the other side stands still.
  bool empty() const {
    return tail_.load(std::memory_order_acquire) == head_.load(std::memory_order_acquire);
  }

 private:
  static constexpr size_t kLine = 64;
  alignas(kLine) std::atomic<uint64_t> head_{0};
  uint64_t tail_seen_ = 0;
  alignas(kLine) std::atomic<uint64_t> tail_{0};
  uint64_t head_seen_ = 0;
  alignas(kLine) const size_t mask_;
  std::unique_ptr<T[]> slots_;
};

}  // namespace millrace::base

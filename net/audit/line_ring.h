// LineRing: a bounded queue of lines from many threads to one, without locks.
//
// A slot's turn says whose move it is: at its own number a producer may fill it, one past that the
// consumer may empty it, and a round later the next producer. A producer takes a place by advancing
// head_, then fills it: another that is behind never waits for it, only the consumer does.
//
// Threads: push() any, pop() one. The acquire of a slot's turn sees what the other side left there.
// Source: Dmitry Vyukov, bounded MPMC queue.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/assert.h"

namespace millrace::net {

class LineRing {
 public:
  // `capacity` is a power of two.
  explicit LineRing(size_t capacity)
      : mask_(capacity - 1), slots_(std::make_unique<Slot[]>(capacity)) {
    MR_ASSERT(capacity > 1 && (capacity & mask_) == 0);
    for (size_t i = 0; i < capacity; ++i)
      slots_[i].turn.store(i, std::memory_order_relaxed);
  }

  // False if it is full.
  bool push(std::string&& line) {
    uint64_t head = head_.load(std::memory_order_relaxed);
    for (;;) {
      Slot& slot = slots_[head & mask_];
      const uint64_t turn = slot.turn.load(std::memory_order_acquire);
      if (turn < head) return false;
      if (turn > head) {
        head = head_.load(std::memory_order_relaxed);
        continue;
      }
      if (!head_.compare_exchange_weak(head, head + 1, std::memory_order_relaxed)) continue;
      slot.line = std::move(line);
      slot.turn.store(head + 1, std::memory_order_release);
      return true;
    }
  }

  bool pop(std::string* line) {
    Slot& slot = slots_[tail_ & mask_];
    if (slot.turn.load(std::memory_order_acquire) != tail_ + 1) return false;
    *line = std::exchange(slot.line, {});
    slot.turn.store(tail_ + mask_ + 1, std::memory_order_release);
    ++tail_;
    return true;
  }

 private:
  static constexpr size_t kLine = 64;
  struct Slot {
    std::atomic<uint64_t> turn{0};
    std::string line;
  };
  const size_t mask_;
  const std::unique_ptr<Slot[]> slots_;
  alignas(kLine) std::atomic<uint64_t> head_{0};
  alignas(kLine) uint64_t tail_ = 0;
};

}  // namespace millrace::net

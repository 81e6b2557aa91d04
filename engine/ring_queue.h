// RingQueue: a first-in-first-out queue in one growing array. What std::deque is, without giving
// blocks back and asking for them again while it idles along: the shard's steady state allocates
// nothing.
//
// Threads: shard-local.  Memory: the largest number of entries it held since shrink(), rounded up
// to a power of two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace millrace::engine {

template <class T>
class RingQueue {
 public:
  bool empty() const { return head_ == tail_; }
  size_t size() const { return tail_ - head_; }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  // How many were ever popped, and ever pushed: the entry that is now front() is number popped().
  uint64_t popped() const { return head_; }
  uint64_t pushed() const { return tail_; }
  T& back() { return (*this)[size() - 1]; }
  T& operator[](size_t index) {
    MR_ASSERT(index < size());
    return slots_[(head_ + index) & (slots_.size() - 1)];
  }
  const T& operator[](size_t index) const {
    MR_ASSERT(index < size());
    return slots_[(head_ + index) & (slots_.size() - 1)];
  }
  void push(T value) {
    if (size() == slots_.size()) grow();
    slots_[tail_ & (slots_.size() - 1)] = std::move(value);
    ++tail_;
  }
  T pop() {
    T value = std::move(front());
    ++head_;
    return value;
  }
  size_t capacity() const { return slots_.size(); }
  // Gives memory back if little of much is used.
  void shrink() {
    if (slots_.size() > kManySlots && size() < slots_.size() / 8) resize(slots_.size() / 4);
  }
  void clear() {
    while (!empty())
      pop();
  }

 private:
  static constexpr size_t kManySlots = 4096;

  void grow() { resize(slots_.empty() ? 8 : slots_.size() * 2); }
  void resize(size_t slots) {
    std::vector<T> others(slots);
    for (uint64_t i = head_; i != tail_; ++i)
      others[i & (slots - 1)] = std::move(slots_[i & (slots_.size() - 1)]);
    slots_ = std::move(others);
  }

  std::vector<T> slots_;
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
};

}  // namespace millrace::engine

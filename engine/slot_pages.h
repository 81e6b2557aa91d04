// SlotPages: a value beside each of some slots of a partition, in pages of 4096 that are there only
// while they hold one.
//
// A value that equals T{} is none. Pages lie in a hash map; the one last used is found at once, and
// one at a time comes and goes without an allocation.
//
// Threads: shard-local.  Memory: sizeof(T) a slot, in pages that hold one.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "millrace/types.h"

namespace millrace::engine {

template <class T>
class SlotPages {
 public:
  // Null: its page is not there. What it points to may be none.
  T* find(Slot slot) {
    const uint64_t number = raw(slot) / kPageSlots;
    if (number != recent_number_) {
      const auto found = pages_.find(number);
      if (found == pages_.end()) return nullptr;
      recent_number_ = number;
      recent_ = found->second.get();
    }
    return &recent_->values[raw(slot) % kPageSlots];
  }
  const T* find(Slot slot) const { return const_cast<SlotPages*>(this)->find(slot); }

  // Where there was none; the caller makes it one.
  T& make(Slot slot) {
    T* value = find(slot);
    if (value == nullptr) {
      auto& page = pages_[raw(slot) / kPageSlots];
      page = spare_ != nullptr ? std::move(spare_) : std::make_unique<Page>();
      value = find(slot);
    }
    MR_ASSERT(*value == T{});
    ++recent_->held;
    return *value;
  }
  // `value` is that of `slot`; its page goes with the last one.
  void drop(Slot slot, T& value) {
    value = {};
    MR_ASSERT(recent_number_ == raw(slot) / kPageSlots || find(slot) == &value);
    if (--recent_->held > 0) return;
    const auto page = pages_.find(recent_number_);
    spare_ = std::move(page->second);
    pages_.erase(page);
    recent_ = nullptr;
    recent_number_ = UINT64_MAX;
  }
  void clear() {
    pages_.clear();
    recent_ = nullptr;
    recent_number_ = UINT64_MAX;
    spare_.reset();
  }
  uint64_t memory_bytes() const {
    constexpr uint64_t kMapNode = 32;  // key, value, link, padding
    return (pages_.size() + (spare_ != nullptr)) * (sizeof(Page) + kMapNode);
  }

 private:
  static constexpr uint32_t kPageSlots = 4096;
  struct Page {
    uint32_t held = 0;
    T values[kPageSlots];
  };

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
  uint64_t recent_number_ = UINT64_MAX;
  Page* recent_ = nullptr;
  std::unique_ptr<Page> spare_;
};

}  // namespace millrace::engine

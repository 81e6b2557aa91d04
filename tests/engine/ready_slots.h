// Ready messages for the tests of SlotIndex, each at a position of its own.
#pragma once

#include "engine/slot_index.h"

namespace millrace::engine {

constexpr uint32_t kPage = SlotIndex::kPageSlots;

inline Position at(uint64_t n) {
  return Position{4096 + n * 144};
}

inline void append_ready(SlotIndex& index, uint64_t count) {
  for (uint64_t n = 0; n < count; ++n)
    index.set_ready(index.append(at(raw(index.end()))), true);
}

}  // namespace millrace::engine

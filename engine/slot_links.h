// SlotLinks: doubly linked lists of a partition's slots. A slot is in one list at most.
//
//   slots   3 ─► 7 ─► 8      5 ─► 6       9            (three lists)
//           └ first   last ┘
//
// A list's ends are kept by its owner, a number that both end links hold, so that they can be found
// from either end. A link is two 32-bit words: the distance to the neighbour on each side, or the
// owner. A distance that does not fit (a slot skipped 2^26 others at each unclean start) lies in a
// side map.
//
// Threads: shard-local.  Memory: 8 bytes a slot, in pages of 4096.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "engine/slot_pages.h"

namespace millrace::engine {

class SlotLinks {
 public:
  static constexpr uint64_t kNoSlot = UINT64_MAX;
  static constexpr uint32_t kOwnersMax = (1u << 31) - 1;
  struct List {
    uint64_t first = kNoSlot;
    uint64_t last = kNoSlot;

    bool empty() const { return first == kNoSlot; }
  };

  void push_back(List& list, uint32_t owner, Slot slot);
  void push_front(List& list, uint32_t owner, Slot slot);
  void insert_after(List& list, uint32_t owner, Slot slot, uint64_t before);

  // What a slot left behind: its neighbours, kNoSlot where it was at an end. At an end `owner` is
  // the list's, and the caller calls leave() on that list.
  struct Removed {
    uint32_t owner = 0;
    uint64_t before = kNoSlot;
    uint64_t after = kNoSlot;

    bool was_first() const { return before == kNoSlot; }
    bool was_end() const { return before == kNoSlot || after == kNoSlot; }
    void leave(List& list) const {
      if (before == kNoSlot) list.first = after;
      if (after == kNoSlot) list.last = before;
    }
  };
  Removed remove(Slot slot);
  void clear();

  bool holds(Slot slot) const {
    const Link* link = links_.find(slot);
    return link != nullptr && link->previous != 0;
  }
  bool is_first(Slot slot) const {
    const Link* link = links_.find(slot);
    return link != nullptr && (link->previous & kEnd) != 0;
  }
  std::optional<Slot> next(Slot slot) const;
  uint64_t memory_bytes() const;

 private:
  // Distance to the neighbour (zigzag) below kFar; kFar: see far_next_ / far_previous_;
  // kEnd | owner at an end; 0 in both: in no list.
  struct Link {
    uint32_t previous = 0;
    uint32_t next = 0;
    friend bool operator==(const Link&, const Link&) = default;
  };
  static constexpr uint32_t kEnd = 1u << 31;
  static constexpr uint32_t kFar = kEnd - 1;

  uint64_t neighbour_after(uint64_t slot, const Link& link) const;
  uint64_t neighbour_before(uint64_t slot, const Link& link) const;
  void link_after(uint64_t slot, Link& link, uint64_t next);
  void link_before(uint64_t slot, Link& link, uint64_t previous);
  void end_after(uint64_t slot, Link& link, uint32_t owner);
  void end_before(uint64_t slot, Link& link, uint32_t owner);

  SlotPages<Link> links_;
  std::unordered_map<uint64_t, uint64_t> far_next_;
  std::unordered_map<uint64_t, uint64_t> far_previous_;
};

}  // namespace millrace::engine

// GroupIndex: the message groups of a FIFO partition.
//
// A group is the list of its live slots in slot order, which is the order its messages were
// accepted in. The index answers which slot comes first, which follows, and keeps that up to date;
// it knows no leases. The partition lets only a group's first slot be ready, so the next message to
// deliver is found without looking at the groups that are blocked.
//
//   slots   3 ─► 7 ─► 8      5 ─► 6       9            (three groups)
//           └ head  tail ┘
//
// Links are kept beside the slots, two 32-bit words each in pages of 4096 that are dropped with
// their last slot: the distance to the neighbour, or at either end the group's entry. A distance
// that does not fit (a slot skipped 2^26 others at each unclean start) lies in a side map.
//
// Threads: shard-local.  Memory: 8 bytes a message, and about 40 a group: an entry of 32 and its
// place in a hash table of 32-bit references.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "base/keyed_hash.h"
#include "millrace/types.h"

namespace millrace::engine {

using GroupKey = base::Hash128;

class GroupIndex {
 public:
  GroupIndex();
  ~GroupIndex();
  GroupIndex(const GroupIndex&) = delete;
  GroupIndex& operator=(const GroupIndex&) = delete;

  // A new last message of a group; `slot` is above all others of the group. True if it is also its
  // first.
  bool append(Slot slot, const GroupKey& group);
  // A message is gone. If it was its group's first and others follow: the new first.
  std::optional<Slot> remove(Slot slot);
  void clear();

  bool is_head(Slot slot) const;
  std::optional<Slot> next(Slot slot) const;  // the one that follows in its group
  std::optional<Slot> head(const GroupKey& group) const;
  bool holds(Slot slot) const;

  uint64_t groups() const { return used_entries_; }
  uint64_t memory_bytes() const;

 private:
  // Distance to the neighbour, 1 .. kFar - 1; kFar: see far_next_ / far_previous_; kEnd | entry at
  // an end of the list; 0 in both: no message.
  struct Link {
    uint32_t previous = 0;
    uint32_t next = 0;
  };
  static constexpr uint32_t kEnd = 1u << 31;
  static constexpr uint32_t kFar = kEnd - 1;
  static constexpr uint32_t kPageSlots = 4096;
  struct Page {
    uint32_t held = 0;
    Link links[kPageSlots];
  };

  struct Entry {
    GroupKey key;
    uint64_t head = 0;
    uint64_t tail = 0;  // of a free entry: the next free one + 1
  };
  static constexpr uint32_t kChunkEntries = 4096;

  struct Hash {
    using is_transparent = void;
    const GroupIndex* index;
    size_t operator()(uint32_t entry) const { return index->entry(entry).key.low; }
    size_t operator()(const GroupKey& key) const { return key.low; }
  };
  struct Equal {
    using is_transparent = void;
    const GroupIndex* index;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t a, const GroupKey& key) const { return index->entry(a).key == key; }
    bool operator()(const GroupKey& key, uint32_t a) const { return index->entry(a).key == key; }
  };

  Entry& entry(uint32_t i) { return chunks_[i / kChunkEntries][i % kChunkEntries]; }
  const Entry& entry(uint32_t i) const { return chunks_[i / kChunkEntries][i % kChunkEntries]; }
  uint32_t take_entry();
  void give_entry(uint32_t i);

  Link* find(Slot slot);
  const Link* find(Slot slot) const { return const_cast<GroupIndex*>(this)->find(slot); }
  Link& make(Slot slot);
  void drop(Slot slot, Link& link);
  uint64_t neighbour_after(uint64_t slot, const Link& link) const;
  uint64_t neighbour_before(uint64_t slot, const Link& link) const;
  void link_after(uint64_t slot, Link& link, uint64_t next);
  void link_before(uint64_t slot, Link& link, uint64_t previous);

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
  uint64_t recent_number_ = UINT64_MAX;
  Page* recent_ = nullptr;
  std::unique_ptr<Page> spare_;  // one page at a time comes and goes without an allocation
  std::unordered_map<uint64_t, uint64_t> far_next_;
  std::unordered_map<uint64_t, uint64_t> far_previous_;

  std::vector<std::unique_ptr<Entry[]>> chunks_;
  uint32_t untouched_ = 0;
  uint32_t free_ = 0;  // entry + 1; 0: none
  uint64_t used_entries_ = 0;
  boost::unordered_flat_set<uint32_t, Hash, Equal> table_;
};

}  // namespace millrace::engine

// GroupIndex: the message groups of a FIFO partition.
//
// A group is the list of its live slots in slot order, which is the order its messages were
// accepted in. The index answers which slot comes first, which follows, and keeps that up to date;
// it knows no leases. The partition lets only a group's first slot be ready, so the next message to
// deliver is found without looking at the groups that are blocked.
//
// Threads: shard-local.  Memory: 8 bytes a message, and about 40 a group: an entry of 32 and its
// place in a hash table of 32-bit references.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/group_table.h"
#include "engine/slot_links.h"
#include "millrace/types.h"

namespace millrace::engine {

class GroupIndex {
 public:
  GroupIndex() = default;
  GroupIndex(const GroupIndex&) = delete;
  GroupIndex& operator=(const GroupIndex&) = delete;

  // A new last message of a group; `slot` is above all others of the group. True if it is also its
  // first.
  bool append(Slot slot, const GroupKey& group);
  // A message is gone. If it was its group's first and others follow: the new first.
  std::optional<Slot> remove(Slot slot);
  void clear();

  bool is_head(Slot slot) const { return links_.is_first(slot); }
  std::optional<Slot> next(Slot slot) const { return links_.next(slot); }  // in its group
  std::optional<Slot> head(const GroupKey& group) const;
  bool holds(Slot slot) const { return links_.holds(slot); }

  uint64_t groups() const { return table_.size(); }
  uint64_t memory_bytes() const { return links_.memory_bytes() + table_.memory_bytes(); }

 private:
  struct Entry {
    GroupKey key{};
    SlotLinks::List slots;
  };
  static_assert(sizeof(Entry) == 32);

  SlotLinks links_;
  GroupTable<Entry> table_;
};

}  // namespace millrace::engine

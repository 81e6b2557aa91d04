// FairGroups: the message groups of a standard partition, and whose turn it is.
//
// A group id on a standard queue names a tenant. Nothing is ordered or blocked by it; it keeps a
// tenant that sent a flood from making the others wait. A group is noisy while it has more than a
// tenth of the partition's messages in flight, and at least 30. Messages of the others, and those
// of no group, are given first, oldest first; then those of noisy groups, of the one with the
// fewest in flight.
//
// Each group is a list of its ready messages: those that came back first, in the order they did,
// then the rest in slot order. Only the first of a quiet group's list has its `ready` bit in the
// slot index; so the next message is found in the same way as without groups, whatever the depth
// and however many groups there are. A group found noisy when its turn comes is set aside, its bit
// taken out; at most nine can be noisy at a time, so setting aside and taking back costs O(1) a
// receive. What is in flight or delayed is in no list.
//
// Messages of no group are not known here: their ready bits are their own.
//
// Threads: shard-local.  Memory: 12 bytes a ready message of a group, 4 a hidden one, and about 60
// a group: an entry of 48 and its place in a hash table of 32-bit references.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/group_table.h"
#include "engine/slot_index.h"
#include "engine/slot_links.h"
#include "engine/slot_pages.h"
#include "engine/timer_wheel.h"

namespace millrace::engine {

class FairGroups {
 public:
  static constexpr uint32_t kNoisyInFlightMin = 30;
  static constexpr uint32_t kNoisyShare = 10;  // more than one of so many in flight

  // `index` outlives this.
  explicit FairGroups(SlotIndex& index) : index_(index) {}
  FairGroups(const FairGroups&) = delete;
  FairGroups& operator=(const FairGroups&) = delete;

  // A message that came: alive, above all others, hidden by a timer of this kind or ready.
  void join(Slot slot, const GroupKey& group, std::optional<TimerKind> hidden);
  // What follows is about any live slot; one of no group changes nothing.
  void lease_began(Slot slot);
  void lease_ended(Slot slot);
  void hide(Slot slot);  // it is to get a timer; may be hidden already
  bool show(Slot slot);  // it has no timer any more; false: of no group
  void leave(Slot slot);

  // The order in which a receive takes messages below `end`, of a partition that has `in_flight` in
  // flight: begin(), then next() for each. Only begin() may follow another call.
  void begin(Slot end, uint64_t in_flight);
  std::optional<Slot> next();
  // Groups that are set aside have something below `end`.
  bool something_aside(Slot end) const;

  uint64_t groups() const { return table_.size(); }
  uint64_t memory_bytes() const;

 private:
  struct Entry {
    GroupKey key{};
    SlotLinks::List ready;
    uint64_t returned = SlotLinks::kNoSlot;  // the last that came back, of those in `ready`
    uint32_t messages : 31 = 0;
    uint32_t aside : 1 = 0;
    uint32_t in_flight = 0;
  };
  static_assert(sizeof(Entry) == 48);

  // 0 for none, else the group's number + 1.
  uint32_t owner(Slot slot) const {
    const uint32_t* owner = owners_.find(slot);
    return owner == nullptr ? 0 : *owner;
  }
  bool is_noisy(const Entry& group) const {
    return group.in_flight >= kNoisyInFlightMin &&
           uint64_t{group.in_flight} * kNoisyShare > in_flight_;
  }
  void mark_first(const Entry& group, bool ready) {
    index_.set_ready(Slot{group.ready.first}, ready);
  }
  void unlink(Slot slot, Entry& group);
  void set_aside(uint32_t i);
  void take_back();
  std::optional<Slot> next_of_quiet();
  std::optional<Slot> next_of_noisy();

  SlotIndex& index_;
  SlotLinks links_;
  SlotPages<uint32_t> owners_;
  GroupTable<Entry> table_;
  std::vector<uint32_t> aside_;  // numbers of groups

  // Of the receive under way.
  struct Served {
    Slot next{};
    uint64_t in_flight = 0;
  };
  Slot end_{};
  uint64_t in_flight_ = 0;
  std::optional<Slot> marked_;   // the next with a ready bit
  std::vector<Slot> followers_;  // a heap: of each group that was taken from, who follows
  std::vector<Served> noisy_;    // what is set aside, once nothing else is left
  bool noisy_began_ = false;
};

}  // namespace millrace::engine

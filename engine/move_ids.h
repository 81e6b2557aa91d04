// MoveIds: which messages of other shards a move task brought here and may bring again: each by the
// queue, shard and slot it had there. As long as its source may still have it, a message that comes
// again is known and not stored twice, whatever became of it here since.
//
// An id is told by the record that brought its message, until the source is known to have let go
// durably. It counts kLiveBytes in the account of the segment that tells it, so that none is freed
// while it is in force; cleaning tells it again. At most kMovesOpenMax a task and shard come at a
// time.
//
// Threads: shard-local.  Memory: some 50 bytes an id.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "millrace/types.h"
#include "storage/log.h"

namespace millrace::engine {

// Of a queue on a shard.
struct MoveOrigin {
  QueueId queue{};
  ShardId shard{};
  friend constexpr auto operator<=>(const MoveOrigin&, const MoveOrigin&) = default;
};

class MoveIds {
 public:
  // What telling one id alone takes: a record, its head, and the slot.
  static constexpr uint64_t kLiveBytes = 32;
  // Of it, what is nowhere as long as many are told together.
  static constexpr uint64_t kLiveBytesApart = 24;

  bool knows(MoveOrigin origin, uint64_t slot) const {
    const auto found = origins_.find(origin);
    return found != origins_.end() && found->second.contains(slot);
  }
  // Told in the record at `position`; perhaps again.
  void put(storage::Log& log, MoveOrigin origin, uint64_t slot, Position position) {
    const auto [entry, fresh] = origins_[origin].try_emplace(slot, position);
    if (!fresh) log.remove_live(entry->second, kLiveBytes);
    entry->second = position;
    log.add_live(position, kLiveBytes);
    if (!fresh) return;
    log.add_apart(kLiveBytesApart);
    ++count_;
  }
  void erase(storage::Log& log, MoveOrigin origin, uint64_t slot) {
    const auto found = origins_.find(origin);
    if (found == origins_.end()) return;
    const auto entry = found->second.find(slot);
    if (entry == found->second.end()) return;
    log.remove_live(entry->second, kLiveBytes);
    log.remove_apart(kLiveBytesApart);
    found->second.erase(entry);
    if (found->second.empty()) origins_.erase(found);
    --count_;
  }
  // Those of `origin`, for whom told(Position) is true.
  template <class Told>
  std::vector<uint64_t> slots(MoveOrigin origin, Told&& told) const {
    std::vector<uint64_t> slots;
    if (const auto found = origins_.find(origin); found != origins_.end())
      for (const auto& [slot, position] : found->second)
        if (told(position)) slots.push_back(slot);
    return slots;
  }
  std::vector<MoveOrigin> origins() const {
    std::vector<MoveOrigin> all;
    for (const auto& [origin, slots] : origins_)
      all.push_back(origin);
    return all;
  }
  template <class F>
  void for_each_position(F&& f) const {
    for (const auto& [origin, slots] : origins_)
      for (const auto& [slot, position] : slots)
        f(position);
  }
  uint64_t count() const { return count_; }

 private:
  std::map<MoveOrigin, std::map<uint64_t, Position>> origins_;  // slot, where it is told
  uint64_t count_ = 0;
};

}  // namespace millrace::engine

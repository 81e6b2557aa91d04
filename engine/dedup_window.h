// DedupWindow: what a FIFO partition accepted in the last five minutes, by deduplication id.
//
// An id is known for exactly kWindowMs of server time from the first message that brought it,
// whatever became of that message; later ones with the id do not prolong it. An entry says which
// slot the first message got and in which segment of the log its id can be read: the message's own
// record, or one that carried the id when the message was gone and its segment was to be freed. An
// entry counts kLiveBytes in that segment's account until it is over, so that no segment is freed
// while ids in it are still in force.
//
// Entries end in the order they came, so a queue beside the table tells which is next.
//
// Threads: shard-local.  Memory: 41 bytes an entry in the table, at a load of 0.44 to 0.875, and 16
// in the queue: 60 to 110 bytes for each message with an id of the last five minutes.
#pragma once

#include <cstdint>
#include <optional>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/keyed_hash.h"
#include "engine/ring_queue.h"
#include "millrace/types.h"

namespace millrace::engine {

class DedupWindow {
 public:
  static constexpr int64_t kWindowMs = 300'000;
  // What telling one id alone takes: a record and its head, and the mark.
  static constexpr uint64_t kLiveBytes = 56;
  // Of it, what is nowhere as long as many are told together.
  static constexpr uint64_t kLiveBytesApart = 24;

  // Ids are hashes already.
  struct Hash {
    using is_avalanching = void;
    size_t operator()(const base::Hash128& id) const { return id.low; }
  };

  struct Entry {
    Slot slot{};
    TimeMs at{};
    uint64_t segment = 0;
  };

  // The entry of an id that is in force at `now`.
  const Entry* find(const base::Hash128& id, TimeMs now) const {
    const auto found = entries_.find(id);
    return found == entries_.end() || over(found->second, now) ? nullptr : &found->second;
  }
  // The entry of an id, in force or not forgotten yet.
  const Entry* find(const base::Hash128& id) const {
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second;
  }
  // A message brought the id; or it is told again, then only the segment changes. `changed(segment,
  // entries)` is called for what the accounts gain (1) or lose (-1).
  template <class F>
  void put(const base::Hash128& id, const Entry& entry, F&& changed) {
    auto [at, fresh] = entries_.try_emplace(id, entry);
    const bool again = !fresh && at->second.slot == entry.slot;
    // An old message whose id came again since, carried: the newer one counts.
    if (!fresh && !again && at->second.at >= entry.at) return;
    if (!fresh) {
      changed(at->second.segment, -1);
      if (again)
        at->second.segment = entry.segment;
      else
        at->second = entry;
    }
    changed(entry.segment, 1);
    if (!again) order_.push({id, entry.at});
  }
  // Forgets at most `max` entries that are over. True if there may be more.
  template <class F>
  bool expire(TimeMs now, uint32_t max, F&& changed) {
    for (uint32_t n = 0; n < max; ++n) {
      if (order_.empty() || order_.front().at + kWindowMs > now) {
        give_back_memory();
        return false;
      }
      const Order next = order_.pop();
      const auto found = entries_.find(next.id);
      // An id that came again after its time stands in the queue twice; the entry says when it
      // ends.
      if (found == entries_.end() || !over(found->second, now)) continue;
      changed(found->second.segment, -1);
      entries_.erase(found);
    }
    return true;
  }
  TimeMs next_end() const { return order_.empty() ? kNever : order_.front().at + kWindowMs; }
  template <class F>
  void clear(F&& changed) {
    for (const auto& [id, entry] : entries_)
      changed(entry.segment, -1);
    entries_ = {};
    order_ = {};
  }
  template <class F>
  void for_each(F&& f) const {
    for (const auto& [id, entry] : entries_)
      f(entry);
  }
  // Calls f(id, entry) for each, the oldest first.
  template <class F>
  void for_each_in_order(F&& f) const {
    for (size_t i = 0; i < order_.size(); ++i) {
      const auto found = entries_.find(order_[i].id);
      // See expire(): an id may stand in the queue twice.
      if (found != entries_.end() && found->second.at == order_[i].at)
        f(order_[i].id, found->second);
    }
  }
  uint64_t size() const { return entries_.size(); }
  uint64_t memory_bytes() const {
    return entries_.bucket_count() * (sizeof(base::Hash128) + sizeof(Entry) + 1) +
           order_.capacity() * sizeof(Order);
  }

 private:
  static constexpr size_t kManyBuckets = 4096;
  struct Order {
    base::Hash128 id;
    TimeMs at;
  };
  // Neither gives back by itself what a burst took.
  void give_back_memory() {
    if (entries_.bucket_count() > kManyBuckets && entries_.size() < entries_.bucket_count() / 8)
      entries_.rehash(0);
    order_.shrink();
  }
  static bool over(const Entry& entry, TimeMs now) { return entry.at + kWindowMs <= now; }

  boost::unordered_flat_map<base::Hash128, Entry, Hash> entries_;
  RingQueue<Order> order_;
};

}  // namespace millrace::engine

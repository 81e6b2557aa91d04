// SegmentBytes: how many live bytes one partition has in each segment of its shard's log, so that
// purging or deleting a queue settles the log's accounts in O(segments), without visiting messages.
//
// Threads: shard-local.  Memory: 16 bytes per segment the partition has live bytes in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/assert.h"

namespace millrace::engine {

class SegmentBytes {
 public:
  struct Entry {
    uint64_t segment;
    uint64_t bytes;
  };

  void add(uint64_t segment, uint64_t bytes) {
    total_ += bytes;
    if (entries_.empty() || entries_.back().segment < segment) {
      entries_.push_back({segment, bytes});
      return;
    }
    auto entry = find(segment);
    if (entry == entries_.end() || entry->segment != segment)
      entry = entries_.insert(entry, {segment, 0});
    entry->bytes += bytes;
  }
  // False, and nothing is removed, if there are not so many: what said so was not what was added.
  [[nodiscard]] bool remove(uint64_t segment, uint64_t bytes) {
    auto entry = find(segment);
    if (entry == entries_.end() || entry->segment != segment || entry->bytes < bytes) return false;
    entry->bytes -= bytes;
    total_ -= bytes;
    if (entry->bytes == 0) entries_.erase(entry);
    return true;
  }
  void clear() {
    entries_.clear();
    total_ = 0;
  }
  uint64_t total() const { return total_; }
  const std::deque<Entry>& entries() const { return entries_; }

 private:
  std::deque<Entry>::iterator find(uint64_t segment) {
    if (!entries_.empty() && entries_.front().segment == segment) return entries_.begin();
    return std::lower_bound(entries_.begin(), entries_.end(), segment,
                            [](const Entry& e, uint64_t s) { return e.segment < s; });
  }

  std::deque<Entry> entries_;  // by segment, rising
  uint64_t total_ = 0;
};

}  // namespace millrace::engine

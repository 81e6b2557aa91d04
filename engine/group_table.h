// GroupTable: the message groups of a partition by name, and a number for each, which is used again
// once the group is gone.
//
// Entry has a member `key`. Entries lie in chunks and stay where they are; the hash table holds
// their numbers only.
//
// Threads: shard-local.  Memory: an entry a group and 6 to 12 bytes of hash table.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "base/assert.h"
#include "base/keyed_hash.h"

namespace millrace::engine {

using GroupKey = base::Hash128;

template <class Entry>
class GroupTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  GroupTable() : numbers_(0, Hash{this}, Equal{this}) {}
  GroupTable(const GroupTable&) = delete;
  GroupTable& operator=(const GroupTable&) = delete;

  Entry& operator[](uint32_t i) { return chunks_[i / kChunkEntries][i % kChunkEntries]; }
  const Entry& operator[](uint32_t i) const {
    return chunks_[i / kChunkEntries][i % kChunkEntries];
  }
  uint32_t find(const GroupKey& key) const {
    const auto found = numbers_.find(key);
    return found == numbers_.end() ? kNone : *found;
  }
  // If it is a new one, all its members but the key are as Entry makes them.
  uint32_t find_or_add(const GroupKey& key) {
    const uint32_t i = take();
    (*this)[i] = {};
    (*this)[i].key = key;
    const auto [found, added] = numbers_.insert(i);
    if (added) {
      ++size_;
      return i;
    }
    give_back(i);
    return *found;
  }
  void remove(uint32_t i) {
    numbers_.erase(i);
    give_back(i);
    if (--size_ > 0) return;
    // All are free: give back what many groups took.
    free_ = untouched_ = 0;
    if (chunks_.size() > 1) chunks_.resize(1);
    if (numbers_.bucket_count() > kManyBuckets) numbers_.rehash(0);
  }
  void clear() {
    numbers_.clear();
    chunks_.clear();
    untouched_ = free_ = 0;
    size_ = 0;
  }
  uint64_t size() const { return size_; }
  uint64_t memory_bytes() const {
    return chunks_.size() * (kChunkEntries * sizeof(Entry) + sizeof(chunks_[0])) +
           numbers_.bucket_count() * (sizeof(uint32_t) + 1);
  }

 private:
  static constexpr uint32_t kChunkEntries = 256;
  static constexpr uint32_t kManyBuckets = 4096;
  struct Hash {
    using is_transparent = void;
    const GroupTable* table;
    size_t operator()(uint32_t i) const { return (*table)[i].key.low; }
    size_t operator()(const GroupKey& key) const { return key.low; }
  };
  struct Equal {
    using is_transparent = void;
    const GroupTable* table;
    bool operator()(uint32_t a, uint32_t b) const { return (*table)[a].key == (*table)[b].key; }
    bool operator()(uint32_t a, const GroupKey& key) const { return (*table)[a].key == key; }
    bool operator()(const GroupKey& key, uint32_t a) const { return (*table)[a].key == key; }
  };

  uint32_t take() {
    if (free_ != 0) {
      const uint32_t i = free_ - 1;
      free_ = static_cast<uint32_t>((*this)[i].key.low);
      return i;
    }
    if (untouched_ == chunks_.size() * kChunkEntries) {
      MR_ASSERT(untouched_ < kNone / 2 - kChunkEntries);
      chunks_.push_back(std::make_unique<Entry[]>(kChunkEntries));
    }
    return untouched_++;
  }
  void give_back(uint32_t i) {
    (*this)[i].key.low = free_;
    free_ = i + 1;
  }

  std::vector<std::unique_ptr<Entry[]>> chunks_;
  uint32_t untouched_ = 0;
  uint32_t free_ = 0;  // number + 1, and on in the key of that entry; 0: none
  uint64_t size_ = 0;
  boost::unordered_flat_set<uint32_t, Hash, Equal> numbers_;
};

}  // namespace millrace::engine

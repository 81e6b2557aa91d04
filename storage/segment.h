// segment: one segment in use, and the table that finds a position's segment by a subtraction.
//
// Sequences rise but may skip: what a recovery cut away keeps its number. The table holds a null
// there.   Threads: shard-local.   Memory: a Segment and one pointer per sequence from the head on.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "storage/disk.h"
#include "storage/log_reader.h"

namespace millrace::storage {

// A segment's file, in use or spare: open, of full size, mapped.
struct SegmentStorage {
  FileId file = kNoFile;
  uint32_t number = 0;
  Bytes map;
  // All of it was written once, or is taken to be: a small commit there changes no metadata of the
  // file system.
  bool written = true;
};

struct Segment {
  SegmentStorage storage;
  uint64_t sequence = 0;
  uint64_t generation = 0;
  uint64_t start = 0;              // position of the file's first byte
  uint64_t end = 0;                // position behind the last batch written
  uint64_t live = 0;               // bytes, as the owner accounts for them
  std::vector<ByteRange> damaged;  // found by recovery; never read again

  uint64_t data_begin() const { return start + kSegmentDataOffset; }
  SegmentView view() const { return {storage.map, start, sequence, generation}; }
};

class SegmentTable {
 public:
  // `segment` follows all others.
  Segment* add(std::unique_ptr<Segment> segment);
  // The oldest; the table must not become empty.
  std::unique_ptr<Segment> remove_head();

  Segment* find(uint64_t sequence) const {
    const uint64_t index = sequence - first_;
    return index < slots_.size() ? slots_[index].get() : nullptr;
  }
  Segment* head() const { return slots_.empty() ? nullptr : slots_.front().get(); }
  Segment* last() const { return slots_.empty() ? nullptr : slots_.back().get(); }
  // The first segment in use at or after `sequence`; null behind the last.
  Segment* at_or_after(uint64_t sequence) const;
  uint64_t count() const { return count_; }

 private:
  uint64_t first_ = 0;  // sequence of slots_[0]
  uint64_t count_ = 0;
  std::vector<std::unique_ptr<Segment>> slots_;
};

}  // namespace millrace::storage

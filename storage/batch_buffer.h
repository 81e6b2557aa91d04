// BatchBuffer: gathers a loop turn's records where they will be written from, closes them with a
// commit mark.
//
// Page-aligned and reused; grows to the largest batch, so nothing is allocated per record. A record
// is hashed once, when it is sealed; the mark's chain covers the checksums only.
//
// Threads: shard-local.   Memory: the largest batch + 8 bytes a record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "storage/format.h"

namespace millrace::storage {

class BatchBuffer {
 public:
  // The next record goes to `position` of a segment that starts at `segment_start`.
  void begin_batch(uint64_t generation, uint64_t segment_start, uint64_t position);

  // Room for a record; its body is to be filled in before seal().
  std::byte* begin_record(uint16_t kind, uint64_t body_bytes);
  void seal();
  bool record_open() const { return open_bytes_ != 0; }

  // Appends the mark; its count, bytes and chain are filled in here. Returns the new chain.
  uint64_t close(CommitMark mark, uint64_t chain);
  void clear();

  uint64_t size() const { return used_; }
  uint64_t records() const { return checksums_.size(); }
  Bytes bytes() const { return {data_.get(), used_}; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  void reserve(uint64_t bytes);

  std::unique_ptr<std::byte[], Free> data_;
  uint64_t capacity_ = 0;
  uint64_t used_ = 0;
  uint64_t open_bytes_ = 0;  // unpadded length of the record being filled in
  uint64_t generation_ = 0;
  uint64_t segment_start_ = 0;
  uint64_t position_ = 0;  // of byte 0
  std::vector<uint64_t> checksums_;
};

}  // namespace millrace::storage

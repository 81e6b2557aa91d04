// SurvivingBytes: whether what a checkpoint names in the log is there, asked while it is loaded.
//
// Threads: shard-local.  Memory: 16 bytes a segment.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "storage/log_reader.h"

namespace millrace::engine {

class SurvivingBytes {
 public:
  // As Log::surviving() says.
  SurvivingBytes(std::vector<storage::ByteRange> ranges, uint64_t segment_bytes)
      : ranges_(std::move(ranges)), segment_bytes_(segment_bytes) {}

  // Of a message or a record: its header, all of it in one segment.
  bool holds(uint64_t position) const;
  bool holds_segment(uint64_t sequence) const;

 private:
  std::vector<storage::ByteRange> ranges_;
  uint64_t segment_bytes_;
  mutable const storage::ByteRange* last_ = nullptr;
};

}  // namespace millrace::engine

// log_reader: verifying records, batches and commit marks in the bytes of one segment.
//
// Pure functions over a view; recovery, cleaning, reading and `millrace log` are built on them.
// Nothing is trusted: every length is checked against the limit before it is followed, and the
// bytes hashed while searching are bounded, so that a message full of forged headers cannot make a
// start slow.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "storage/format.h"
#include "storage/record.h"

namespace millrace::storage {

// The bytes of a segment file from its start on. Offsets below are offsets in it.
struct SegmentView {
  Bytes bytes;
  uint64_t start = 0;  // position of byte 0: sequence * segment_bytes
  uint64_t sequence = 0;
  uint64_t generation = 0;
};

// The seed of a record's checksum.
uint64_t record_seed(uint64_t generation, uint64_t position, uint64_t segment_start);

// The record at `offset`, if it is whole, ends at or before `limit` and its checksum is right.
// Commit marks are records too.
std::optional<Record> record_at(const SegmentView& view, uint64_t offset, uint64_t limit);

// Kind and padded length of a record that was verified before.
struct RecordExtent {
  uint64_t checksum = 0;
  uint64_t bytes = 0;  // with padding
  uint16_t kind = 0;
};
RecordExtent extent_at(const SegmentView& view, uint64_t offset);

struct FoundMark {
  uint64_t offset = 0;
  CommitMark mark{};
  uint64_t end() const { return offset + kMarkRecordBytes; }
  uint64_t batch_begin() const { return offset - mark.bytes; }
};
// The commit mark at `offset`, verified as far as it can be alone; or the first one from there on.
std::optional<FoundMark> mark_at(const SegmentView& view, uint64_t offset, uint64_t limit);
std::optional<FoundMark> find_mark(const SegmentView& view, uint64_t offset, uint64_t limit);

// The commit mark at `offset` of a file whose header is unreadable: the mark itself says the
// generation and sequence that it must be verified with.
std::optional<FoundMark> unaided_mark_at(Bytes file, uint64_t offset, uint64_t segment_bytes);

// Reads whole batches. Keeps its scratch between calls.
class BatchReader {
 public:
  // The mark of the batch that begins at `offset` if all of it is right: its records, count, bytes
  // and, unless `chain` is null, that it continues the chain.
  std::optional<FoundMark> read(const SegmentView& view, uint64_t offset, uint64_t limit,
                                const uint64_t* chain);

 private:
  std::vector<uint64_t> checksums_;
};

struct ByteRange {  // positions
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t bytes() const { return end - begin; }
};
// Tries each 8-byte step of [offset, limit) for records and returns, as positions, the stretches
// that belong to none.
std::vector<ByteRange> unreadable_ranges(const SegmentView& view, uint64_t offset, uint64_t limit);

}  // namespace millrace::storage

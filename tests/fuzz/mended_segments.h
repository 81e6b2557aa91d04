// MendedSegments: files of a log from a fuzzer's bytes, with the checksums put right.
//
// A mutated byte in a log is found by the first checksum over it, and a fuzzer never gets any
// further. So the sums are computed again here, as far as the input asks for it, in the order in
// which a reader goes: headers, records, the chain of the batches in their commit marks.
//
//   u8 what is mended (Mend)    then, for each segment, the oldest first:
//   u16 bytes   the first 104 are the header, the others stand from kSegmentDataOffset on; the rest
//               of the file is zeros
//
// Threads: one; no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "millrace/types.h"

namespace millrace::fuzz {

inline constexpr uint64_t kMendedSegmentBytes = 64u << 10;  // of each file
inline constexpr size_t kMendedSegmentsMax = 6;

enum Mend : uint8_t {
  kMendHeaders = 1,   // what makes a header a header: magic, version, log, size, checksum
  kMendLinks = 2,     // and that each names the one before it
  kMendRecords = 4,   // checksums of records
  kMendMarks = 8,     // count, bytes, chain, sequence and generation of commit marks
  kMendOneCopy = 16,  // of each header; the second one is not there
};

// The files' contents. Which log they are of: `log_id`.
std::vector<std::vector<std::byte>> mended_segments(std::span<const uint8_t> input,
                                                    uint16_t log_id);
// The same for files that are there; `mend` as above.
void mend_segments(std::vector<std::vector<std::byte>>& files, uint8_t mend, uint16_t log_id);
// A file as the input of mended_segments() has it.
std::vector<std::byte> packed_segment(Bytes file);

}  // namespace millrace::fuzz

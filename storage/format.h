// format: the bytes of a log on disk, version 2. docs/storage-format.md is the same in words, and a
// test compares the two; a change of layout starts with a new version number there.
//
// A segment file is two copies of SegmentHeader, one on each of its first two pages, then records
// from kSegmentDataOffset on. A record is a RecordHeader and its body, padded with zeros to 8
// bytes. Records form batches; a batch ends with a CommitMark, which is itself a record.
//
// Nothing here is ever read without its checksum. A record's checksum is seeded with the
// segment's generation ^ the record's position, so bytes of an earlier life of a recycled file, or
// bytes that went to the wrong place, never pass for a record.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "millrace/types.h"

namespace millrace::storage {

static_assert(std::endian::native == std::endian::little);  // stored as in memory

// 2: the owner has new kinds of records. Logs of version 1 are read, and go on as version 2.
inline constexpr uint32_t kFormatVersion = 4;
inline constexpr uint32_t kFormatVersionOldest = 1;
// In the year 6429.
inline constexpr int64_t kServerTimeMsEnd = int64_t{1} << 47;
inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint64_t kSegmentHeaderCopies = 2;
inline constexpr uint64_t kSegmentDataOffset = kSegmentHeaderCopies * kPageBytes;
inline constexpr uint64_t kRecordAlignment = 8;
inline constexpr uint64_t kSegmentBytesMin = 64u << 10;
inline constexpr uint64_t kSegmentBytesMax = 1u << 30;

inline constexpr uint64_t kSegmentMagic = 0x31474553'4C4C494DULL;     // "MILLSEG1"
inline constexpr uint64_t kCheckpointMagic = 0x314B4843'4C4C494DULL;  // "MILLCHK1"
inline constexpr uint64_t kHeaderSeed = 0x4D696C6C72616365ULL;        // checksums of both headers

struct SegmentHeader {
  uint64_t magic;              //   0  kSegmentMagic
  uint32_t version;            //   8  kFormatVersion
  uint16_t log_id;             //  12  whose segment this is
  uint16_t flags;              //  14  kSegmentContinues
  uint64_t segment_bytes;      //  16  a power of two, the same in all segments of a log
  uint64_t sequence;           //  24  place in the log, from 1; data begins at position
                               //      sequence * segment_bytes + kSegmentDataOffset
  uint64_t generation;         //  32  unique to this life of the file; seeds the checksums
  uint64_t previous_sequence;  //  40  the segment before, 0: none
  uint64_t previous_end;       //  48  position the log continues from: bytes of older segments at
                               //      or beyond it are dead
  uint64_t previous_chain;     //  56  chain at previous_end
  uint64_t head_sequence;      //  64  oldest segment in use when this one was begun
  uint64_t durable;            //  72  newest durable position known then
  int64_t created_ms;          //  80  server time
  uint64_t reserved;           //  88  zero
  uint64_t checksum;           //  96  XXH3-64 of bytes [0, 96), seed kHeaderSeed
};
static_assert(sizeof(SegmentHeader) == 104 && offsetof(SegmentHeader, checksum) == 96);
static_assert(std::has_unique_object_representations_v<SegmentHeader>);
static_assert(sizeof(SegmentHeader) <= 256);  // in the first half of a sector: torn never by halves

// The re-homed tail goes on in the segment after this one: this header alone commits nothing.
inline constexpr uint16_t kSegmentContinues = 1;

struct RecordHeader {
  uint64_t checksum;  //  0  XXH3-64 of bytes [8, length), seeded with generation ^ position
  uint32_t length;    //  8  header + body, without padding; 0: nothing written here yet
  uint16_t kind;      // 12  the owner's, or kKindCommitMark
  uint16_t reserved;  // 14  zero; a reader rejects anything else
};
static_assert(sizeof(RecordHeader) == 16 && offsetof(RecordHeader, kind) == 12);
static_assert(std::has_unique_object_representations_v<RecordHeader>);

inline constexpr uint16_t kKindCommitMark = 0xFF00;

// Body of a record of kind kKindCommitMark: closes a batch.
struct CommitMark {
  uint32_t count;          //  0  records in the batch, without the mark
  uint32_t flags;          //  4  kMark...
  uint64_t bytes;          //  8  of these records with padding: the batch began this far back
  uint64_t chain;          // 16  XXH3-64 of the batch's checksums, seeded with the chain before it
  int64_t server_time_ms;  // 24
  uint64_t durable;        // 32  newest durable position known when this was written
  uint64_t head_sequence;  // 40  oldest segment in use
  uint64_t sequence;       // 48  of this segment: with the generation, lets a mark be verified even
  uint64_t generation;     // 56  if both copies of the segment's header are unreadable
};
static_assert(sizeof(CommitMark) == 64 && offsetof(CommitMark, generation) == 56);
static_assert(std::has_unique_object_representations_v<CommitMark>);

inline constexpr uint32_t kMarkWatermarkOnly = 1;  // no records; tells the durable position
inline constexpr uint32_t kMarkCleanShutdown = 2;  // no records; all before it is durable

inline constexpr uint64_t kMarkRecordBytes = sizeof(RecordHeader) + sizeof(CommitMark);
static_assert(kMarkRecordBytes % kRecordAlignment == 0);

struct CheckpointHeader {
  uint64_t magic;            //  0  kCheckpointMagic
  uint32_t version;          //  8  kFormatVersion
  uint16_t log_id;           // 12
  uint16_t reserved;         // 14  zero
  uint64_t position;         // 16  the state is the fold of all records before it
  uint64_t generation;       // 24  of the segment that holds the position
  uint64_t length;           // 32  bytes of state that follow this header
  uint64_t state_checksum;   // 40  XXH3-64 of the state, seeded with the generation
  uint64_t header_checksum;  // 48  XXH3-64 of bytes [0, 48), seed kHeaderSeed
};
static_assert(sizeof(CheckpointHeader) == 56 && offsetof(CheckpointHeader, header_checksum) == 48);
static_assert(std::has_unique_object_representations_v<CheckpointHeader>);

constexpr uint64_t padded(uint64_t bytes) {
  return (bytes + (kRecordAlignment - 1)) & ~(kRecordAlignment - 1);
}
// What a record of so many body bytes takes in a segment.
constexpr uint64_t record_stride(uint64_t body_bytes) {
  return padded(sizeof(RecordHeader) + body_bytes);
}

}  // namespace millrace::storage

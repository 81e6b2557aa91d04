#include "tests/fuzz/mended_segments.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "storage/format.h"

namespace millrace::fuzz {
namespace {

using namespace millrace::storage;
using File = std::vector<std::byte>;

template <class T>
T read_from(const File& file, uint64_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}
template <class T>
void write_to(File& file, uint64_t offset, const T& value) {
  std::memcpy(file.data() + offset, &value, sizeof value);
}

// Where the chain stands and the log ends.
struct End {
  uint64_t sequence = 0;
  uint64_t position = 0;
  uint64_t chain = 0;
};

void mend_header(File& file, uint8_t mend, uint16_t log_id, const End& before) {
  auto header = read_from<SegmentHeader>(file, 0);
  if ((mend & kMendHeaders) != 0) {
    header.magic = kSegmentMagic;
    if (header.version != kFormatVersionOldest) header.version = kFormatVersion;
    header.log_id = log_id;
    header.segment_bytes = kMendedSegmentBytes;
    header.reserved = 0;
  }
  if ((mend & kMendLinks) != 0) {
    header.flags &= kSegmentContinues;
    if (header.sequence <= before.sequence || header.sequence > before.sequence + 8)
      header.sequence = before.sequence + 1;
    header.previous_sequence = before.sequence;
    header.previous_end = before.position;
    header.previous_chain = before.chain;
    if (header.head_sequence == 0 || header.head_sequence > header.sequence)
      header.head_sequence = 1;
  }
  if ((mend & kMendHeaders) != 0)
    header.checksum = base::hash64(&header, offsetof(SegmentHeader, checksum), kHeaderSeed);
  write_to(file, 0, header);
  if ((mend & kMendOneCopy) == 0) write_to(file, kPageBytes, header);
}

// Goes through the records as far as their lengths lead.
void mend_records(File& file, uint8_t mend, End& end) {
  const auto header = read_from<SegmentHeader>(file, 0);
  const uint64_t start = header.sequence * kMendedSegmentBytes;
  uint64_t batch_begin = kSegmentDataOffset;
  std::vector<uint64_t> checksums;
  end.sequence = header.sequence;
  end.position = start + kSegmentDataOffset;
  for (uint64_t at = kSegmentDataOffset; at + sizeof(RecordHeader) <= file.size();) {
    auto record = read_from<RecordHeader>(file, at);
    if (record.length < sizeof record || record.length > file.size() - at) break;
    const bool mark =
        record.kind == kKindCommitMark && record.length == sizeof record + sizeof(CommitMark);
    if (mark && (mend & kMendMarks) != 0) {
      auto body = read_from<CommitMark>(file, at + sizeof record);
      body.count = static_cast<uint32_t>(checksums.size());
      if (body.count > 0) body.flags = 0;
      body.bytes = at - batch_begin;
      body.chain = base::hash64(checksums.data(), checksums.size() * sizeof(uint64_t), end.chain);
      body.sequence = header.sequence;
      body.generation = header.generation;
      write_to(file, at + sizeof record, body);
    }
    if ((mend & kMendRecords) != 0) {
      record.reserved = 0;
      write_to(file, at, record);
      record.checksum =
          base::hash64(file.data() + at + sizeof record.checksum,
                       record.length - sizeof record.checksum, header.generation ^ (start + at));
      write_to(file, at, record);
    }
    at += padded(record.length);
    if (!mark) {
      checksums.push_back(record.checksum);
      continue;
    }
    end.chain = read_from<CommitMark>(file, at - sizeof(CommitMark)).chain;
    end.position = start + at;
    checksums.clear();
    batch_begin = at;
  }
}

}  // namespace

void mend_segments(std::vector<File>& files, uint8_t mend, uint16_t log_id) {
  End end;
  for (File& file : files) {
    if (file.size() < kSegmentDataOffset) continue;
    mend_header(file, mend, log_id, end);
    mend_records(file, mend, end);
  }
}

std::vector<File> mended_segments(std::span<const uint8_t> input, uint16_t log_id) {
  std::vector<File> files;
  if (input.empty()) return files;
  const uint8_t mend = input[0];
  input = input.subspan(1);
  while (input.size() >= sizeof(uint16_t) && files.size() < kMendedSegmentsMax) {
    uint16_t bytes = 0;
    std::memcpy(&bytes, input.data(), sizeof bytes);
    input = input.subspan(sizeof bytes);
    const size_t taken = std::min<size_t>(
        {bytes, input.size(), sizeof(SegmentHeader) + kMendedSegmentBytes - kSegmentDataOffset});
    File& file = files.emplace_back(kMendedSegmentBytes);
    const size_t head = std::min(taken, sizeof(SegmentHeader));
    if (head > 0) {
      std::memcpy(file.data(), input.data(), head);
      std::memcpy(file.data() + kPageBytes, input.data(), head);
    }
    if (taken > head)
      std::memcpy(file.data() + kSegmentDataOffset, input.data() + head, taken - head);
    input = input.subspan(taken);
  }
  mend_segments(files, mend, log_id);
  return files;
}

std::vector<std::byte> packed_segment(Bytes file) {
  size_t used = file.size();
  while (used > kSegmentDataOffset && file[used - 1] == std::byte{0})
    --used;
  std::vector<std::byte> packed(sizeof(uint16_t));
  packed.insert(packed.end(), file.begin(), file.begin() + sizeof(SegmentHeader));
  packed.insert(packed.end(), file.begin() + kSegmentDataOffset,
                file.begin() + static_cast<std::ptrdiff_t>(used));
  const auto bytes = static_cast<uint16_t>(packed.size() - sizeof(uint16_t));
  std::memcpy(packed.data(), &bytes, sizeof bytes);
  return packed;
}

}  // namespace millrace::fuzz

#include "storage/log_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/hash.h"
#include "base/planted.h"

namespace millrace::storage {
namespace {

// How often each byte of a damaged stretch may be hashed, on average, while looking for records.
constexpr uint64_t kSearchHashesMax = 64;

struct Candidate {
  RecordHeader header;
  bool plausible = false;
};

Candidate candidate_at(const SegmentView& view, uint64_t offset, uint64_t limit) {
  Candidate candidate{};
  if (offset + sizeof(RecordHeader) > limit) return candidate;
  std::memcpy(&candidate.header, view.bytes.data() + offset, sizeof(RecordHeader));
  candidate.plausible = candidate.header.length >= sizeof(RecordHeader) &&
                        candidate.header.reserved == 0 &&
                        padded(candidate.header.length) <= limit - offset;
  return candidate;
}

// Checked already: the candidate is plausible.
std::optional<Record> verified(const SegmentView& view, uint64_t offset,
                               const RecordHeader& header) {
  const std::byte* record = view.bytes.data() + offset;
  const uint64_t seed = record_seed(view.generation, view.start + offset, view.start);
  constexpr uint64_t kSkip = sizeof header.checksum;
  if (base::hash64(record + kSkip, header.length - kSkip, seed) != header.checksum)
    return std::nullopt;
  return Record{Position{view.start + offset}, header.kind,
                Bytes{record + sizeof header, header.length - sizeof header}};
}

// The word behind the checksum is the same in all marks, and in hardly anything else.
bool looks_like_mark(Bytes bytes, uint64_t offset) {
  constexpr uint64_t kWord = kMarkRecordBytes | uint64_t{kKindCommitMark} << 32;
  uint64_t word;
  std::memcpy(&word, bytes.data() + offset + offsetof(RecordHeader, length), sizeof word);
  return word == kWord;
}

uint64_t usable_limit(const SegmentView& view, uint64_t limit) {
  return std::min<uint64_t>(limit, view.bytes.size());
}

}  // namespace

uint64_t record_seed(uint64_t generation, uint64_t position, uint64_t segment_start) {
  if (base::planted(base::Bug::no_chaining)) return position - segment_start;
  return generation ^ position;
}

std::optional<Record> record_at(const SegmentView& view, uint64_t offset, uint64_t limit) {
  const Candidate candidate = candidate_at(view, offset, usable_limit(view, limit));
  if (!candidate.plausible) return std::nullopt;
  return verified(view, offset, candidate.header);
}

RecordExtent extent_at(const SegmentView& view, uint64_t offset) {
  RecordHeader header;
  std::memcpy(&header, view.bytes.data() + offset, sizeof header);
  return {header.checksum, padded(header.length), header.kind};
}

std::optional<FoundMark> mark_at(const SegmentView& view, uint64_t offset, uint64_t limit) {
  const Candidate candidate = candidate_at(view, offset, usable_limit(view, limit));
  if (!candidate.plausible || candidate.header.kind != kKindCommitMark ||
      candidate.header.length != kMarkRecordBytes)
    return std::nullopt;
  const std::optional<Record> record = verified(view, offset, candidate.header);
  if (!record) return std::nullopt;
  FoundMark found;
  found.offset = offset;
  std::memcpy(&found.mark, record->body.data(), sizeof found.mark);
  if (found.mark.bytes > offset - kSegmentDataOffset) return std::nullopt;
  if (base::planted(base::Bug::no_chaining)) return found;
  if (found.mark.sequence != view.sequence || found.mark.generation != view.generation)
    return std::nullopt;
  // Nobody knows what comes.
  if (found.mark.durable > view.start + offset || found.mark.durable % kRecordAlignment != 0 ||
      found.mark.head_sequence > found.mark.sequence)
    return std::nullopt;
  return found;
}

std::optional<FoundMark> find_mark(const SegmentView& view, uint64_t offset, uint64_t limit) {
  limit = usable_limit(view, limit);
  for (; offset + kMarkRecordBytes <= limit; offset += kRecordAlignment) {
    if (!looks_like_mark(view.bytes, offset)) continue;
    if (auto found = mark_at(view, offset, limit)) return found;
  }
  return std::nullopt;
}

std::optional<FoundMark> unaided_mark_at(Bytes file, uint64_t offset, uint64_t segment_bytes) {
  if (offset + kMarkRecordBytes > file.size() || !looks_like_mark(file, offset))
    return std::nullopt;
  CommitMark mark;
  std::memcpy(&mark, file.data() + offset + sizeof(RecordHeader), sizeof mark);
  if (mark.sequence == 0 || mark.sequence >= UINT64_MAX / segment_bytes) return std::nullopt;
  return mark_at({file, mark.sequence * segment_bytes, mark.sequence, mark.generation}, offset,
                 file.size());
}

std::optional<FoundMark> BatchReader::read(const SegmentView& view, uint64_t offset, uint64_t limit,
                                           const uint64_t* chain) {
  checksums_.clear();
  limit = usable_limit(view, limit);
  for (uint64_t at = offset;;) {
    const Candidate candidate = candidate_at(view, at, limit);
    if (!candidate.plausible) return std::nullopt;
    if (candidate.header.kind == kKindCommitMark) {
      const std::optional<FoundMark> found = mark_at(view, at, limit);
      if (!found || found->mark.count != checksums_.size() || found->batch_begin() != offset)
        return std::nullopt;
      if (chain != nullptr && !base::planted(base::Bug::no_chaining) &&
          found->mark.chain != base::hash64(std::as_bytes(std::span(checksums_)), *chain))
        return std::nullopt;
      return found;
    }
    if (!verified(view, at, candidate.header)) return std::nullopt;
    checksums_.push_back(candidate.header.checksum);
    at += padded(candidate.header.length);
  }
}

std::vector<ByteRange> unreadable_ranges(const SegmentView& view, uint64_t offset, uint64_t limit) {
  std::vector<ByteRange> ranges;
  uint64_t budget = kSearchHashesMax * (limit - offset);
  uint64_t bad_begin = offset;
  const auto close = [&](uint64_t end) {
    if (end > bad_begin) ranges.push_back({view.start + bad_begin, view.start + end});
  };
  const uint64_t usable = usable_limit(view, limit);
  while (offset < usable) {
    const Candidate candidate = candidate_at(view, offset, usable);
    if (!candidate.plausible || candidate.header.length > budget) {
      offset += kRecordAlignment;
      continue;
    }
    budget -= candidate.header.length;
    if (!verified(view, offset, candidate.header)) {
      offset += kRecordAlignment;
      continue;
    }
    close(offset);
    offset += padded(candidate.header.length);
    bad_begin = offset;
  }
  close(limit);
  return ranges;
}

}  // namespace millrace::storage

#include "storage/scrubber.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "base/aligned_memory.h"
#include "base/assert.h"
#include "base/log_line.h"
#include "storage/format.h"
#include "storage/log_reader.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kPieceBytes = 256u << 10;
// A read and an append of one file wait for each other.
constexpr uint64_t kActivePieceBytes = 32u << 10;
constexpr int64_t kStepMsMin = 10;  // 25 MiB/s at most

constexpr uint64_t page_floor(uint64_t offset) {
  return offset & ~(kPageBytes - 1);
}
constexpr uint64_t page_ceil(uint64_t offset) {
  return page_floor(offset + kPageBytes - 1);
}

// Aligned as reads past the page cache ask for.
std::shared_ptr<std::byte[]> make_buffer(uint64_t bytes) {
  return {base::take_aligned(kPageBytes, bytes), [](std::byte* buffer) { std::free(buffer); }};
}

// Bytes of a segment's file from `from` on, as a view of their own: its offsets count from there.
SegmentView part_of(const Segment& segment, uint64_t from, Bytes bytes) {
  return {bytes, segment.start + from, segment.sequence, segment.generation};
}

}  // namespace

Scrubber::Scrubber(Disk& disk, std::string directory, uint64_t segment_bytes, uint64_t period_ms,
                   TimeMs now)
    : disk_(disk),
      directory_(std::move(directory)),
      segment_bytes_(segment_bytes),
      period_ms_(period_ms),
      due_(now) {
  MR_ASSERT(period_ms > 0);
}

// What is left of the round's time, divided among the reads that are left of it.
void Scrubber::plan_next(TimeMs now) {
  const uint64_t left = round_limit_ > cursor_ ? round_limit_ - cursor_ : 0;
  const auto reads = static_cast<int64_t>(left / kPieceBytes + 1);
  due_ = now + std::max((round_end_.value - now.value) / reads, kStepMsMin);
}

void Scrubber::start(const SegmentTable& segments, uint64_t durable, TimeMs now, uint64_t token) {
  MR_ASSERT(token_ == 0 && token != 0);
  if (cursor_ == 0) {
    cursor_ = segments.head()->data_begin();
    round_limit_ = durable;
    round_end_ = now + static_cast<int64_t>(period_ms_);
    return plan_next(now);
  }
  const Segment* segment = segments.at_or_after(cursor_ / segment_bytes_);
  for (; segment != nullptr; segment = segments.at_or_after(segment->sequence + 1)) {
    uint64_t begin = std::max(cursor_, segment->data_begin());
    for (const ByteRange& range : segment->damaged)
      if (range.begin <= begin && begin < range.end) begin = range.end;
    const uint64_t limit = std::min(segment->end, round_limit_);
    if (begin >= limit) continue;
    cursor_ = begin;
    plan_next(now);
    return submit(*segment, begin - segment->start, limit - segment->start,
                  segment != segments.last(), token);
  }
  ++figures_.rounds;
  cursor_ = 0;
  wanted_ = 0;
  due_ = std::max(now + kStepMsMin, round_end_);
}

void Scrubber::submit(const Segment& segment, uint64_t begin, uint64_t limit, bool sealed,
                      uint64_t token) {
  const uint64_t from = page_floor(begin);
  const uint64_t piece = std::max(wanted_, sealed ? kPieceBytes : kActivePieceBytes);
  const uint64_t bytes = std::min(piece, page_ceil(limit) - from);
  reading_ = {segment.sequence, segment.generation, from, bytes, begin, limit};
  buffer_ = make_buffer(bytes);
  token_ = token;
  Job job{};
  job.kind = JobKind::read_back;
  job.token = token;
  job.file = segment.storage.file;
  job.offset = from;
  job.bytes = bytes;
  job.into = buffer_;
  disk_.submit(std::move(job));
}

std::optional<Position> Scrubber::on_read(const Completion& completion,
                                          const SegmentTable& segments) {
  MR_ASSERT(owns(completion.token));
  token_ = 0;
  std::optional<Position> bad;
  const Segment* segment = segments.find(reading_.sequence);
  // It may have been freed meanwhile, and its file be another's.
  if (segment != nullptr && segment->generation == reading_.generation &&
      completion.error != Errc::canceled) {
    if (completion.error == Errc::ok)
      bad = judge(*segment);
    else
      pass_over(*segment);
  }
  buffer_.reset();
  return bad;
}

std::optional<Position> Scrubber::judge(const Segment& segment) {
  const uint64_t readable = std::min(reading_.bytes, reading_.limit - reading_.from);
  const SegmentView view = part_of(segment, reading_.from, Bytes(buffer_.get(), readable));
  const bool all = reading_.from + readable == reading_.limit;
  uint64_t at = reading_.begin - reading_.from;
  const uint64_t begin = at;
  std::optional<Position> bad;
  while (at < readable && !bad) {
    const uint64_t position = view.start + at;
    const auto known = std::ranges::find_if(segment.damaged, [position](const ByteRange& range) {
      return range.begin <= position && position < range.end;
    });
    if (known != segment.damaged.end()) {
      at = known->end - view.start;
      continue;
    }
    if (const auto record = record_at(view, at, readable)) {
      at = record->end().value - view.start;
      continue;
    }
    // Bad, or cut off by the end of what was read: in its place at the front of the next read, or
    // of a larger one, that is told apart.
    if (at > begin) break;
    const uint64_t claimed = at + sizeof(RecordHeader) <= readable ? extent_at(view, at).bytes : 0;
    const uint64_t left = reading_.limit - reading_.from;
    if (!all && at + claimed > readable && at + claimed <= left) {
      wanted_ = page_ceil(at + claimed);
      return std::nullopt;
    }
    const ByteRange range = unreadable_ranges(view, at, readable).front();
    if (!all && range.end == view.start + readable) {
      wanted_ = 2 * reading_.bytes;
      return std::nullopt;
    }
    if (!mend(segment, range)) bad = Position{range.begin};
    at = range.end - view.start;
  }
  wanted_ = 0;
  figures_.bytes += at - begin;
  cursor_ = view.start + at;
  return bad;
}

// With what the page cache has; false if that is no better.
bool Scrubber::mend(const Segment& segment, ByteRange range) {
  std::vector<std::byte> cached(range.bytes());
  const uint64_t offset = range.begin - segment.start;
  const Result<uint64_t> got = disk_.read(segment.storage.file, offset, cached);
  if (!got || *got != cached.size()) return false;
  if (!unreadable_ranges(part_of(segment, offset, cached), 0, cached.size()).empty()) return false;
  const Bytes part(cached);
  if (!disk_.write(segment.storage.file, offset, {&part, 1})) return false;
  ++figures_.mended;
  base::log_line(base::LogLevel::warn, "log",
                 "{}: {} bytes at position {} had rotted on the disk; they were in memory and are "
                 "written again",
                 directory_, range.bytes(), range.begin);
  return true;
}

void Scrubber::pass_over(const Segment& segment) {
  ++figures_.unreadable;
  base::log_line(base::LogLevel::error, "log",
                 "{}: the disk can't read {} bytes at position {}; what is there is safe in memory "
                 "only, if at all",
                 directory_, reading_.bytes, segment.start + reading_.from);
  cursor_ = segment.start + std::min(reading_.from + reading_.bytes, reading_.limit);
  wanted_ = 0;
}

}  // namespace millrace::storage

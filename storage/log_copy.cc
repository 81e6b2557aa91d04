// A copy of a log for a backup: which bytes it is made of, and keeping their files as they are
// while the log goes on.
//
// What is freed meanwhile is not given to the pool before the copy is over. At worst that is as
// much as the copy is large: what the log had in use when it began. It never makes the log refuse
// anything that it would have room for without it: it is given up before.
#include <algorithm>
#include <utility>

#include "base/log_line.h"
#include "storage/log.h"

namespace millrace::storage {
namespace {

// So many segments must have room besides what is held.
constexpr uint64_t kRoomForCopies = 2;

}  // namespace

Result<LogCopy> Log::begin_copy(TimeMs now) {
  MR_ASSERT(!copy_);
  now_ = std::max(now_, now);
  if (fenced_ || closed_) return fail(Errc::shard_fenced);
  if (batch_.size() > 0) {
    if (const Status written = write_gathered(now_, 0); !written) return fail(written.error());
  } else if (last_mark_head_ != segments_.head()->sequence) {
    // A start takes the head from the newest mark: what was freed since is not in the copy.
    const uint64_t marks = pool_->spares() == 0 ? 2 * kMarkRecordBytes : kMarkRecordBytes;
    if (written_ - active_->start + marks > segment_bytes_) {
      if (pool_->spares() == 0) return fail(Errc::disk_full);
      if (const Status rotated = rotate(); !rotated) return fail(rotated.error());
    }
    const bool is_news = durable_ < written_;
    if (const Status told = write_gathered(now_, kMarkWatermarkOnly); !told)
      return fail(told.error());
    last_mark_had_records_ = is_news;  // nobody has said yet that these are durable
  }
  LogCopy copy;
  for (const Segment* segment = segments_.head(); segment != nullptr;
       segment = segments_.at_or_after(segment->sequence + 1)) {
    // Of one that was only begun, a start knows nothing.
    if (segment->end == segment->data_begin()) continue;
    copy.files.push_back({segment->sequence, segment->end - segment->start});
    copy.end = Position{segment->end};
  }
  MR_ASSERT(!copy.files.empty());
  copy.head = head();
  copy_ = Copy{copy.files.front().sequence, copy.files.back().sequence, copy.end.value};
  return copy;
}

void Log::end_copy() {
  if (!copy_) return;
  Copy ended = std::move(*copy_);
  copy_.reset();
  for (std::unique_ptr<Segment>& segment : ended.freed)
    hand_back(std::move(segment));
}

void Log::hand_back(std::unique_ptr<Segment> freed) {
  if (copy_ && freed->sequence <= copy_->last)
    copy_->freed.push_back(std::move(freed));
  else
    pool_->release(freed->storage, freed->end);
}

uint64_t Log::held_segments() const {
  return copy_ ? copy_->freed.size() : 0;
}

FileId Log::copied_file(uint64_t sequence, uint64_t* bytes_copied) const {
  if (!copy_ || sequence < copy_->first || sequence > copy_->last) return kNoFile;
  const Segment* segment = segments_.find(sequence);
  for (const auto& freed : copy_->freed)
    if (freed->sequence == sequence) segment = freed.get();
  if (segment == nullptr) return kNoFile;
  *bytes_copied = std::min(segment->end, copy_->end) - segment->start;
  return segment->storage.file;
}

void Log::give_up_copy_if_tight() {
  if (held_segments() == 0) return;
  if (!disk_full() && may_grow(kRoomForCopies) && creatable_ >= kRoomForCopies * data_bytes())
    return;
  base::log_line(base::LogLevel::warn, "log",
                 "{}: no new log file can be had but from the {} bytes held for a backup: it ends",
                 options_.directory, copy_held_bytes());
  end_copy();
}

}  // namespace millrace::storage

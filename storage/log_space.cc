// A log's space: who may take how much of what is left, which spares are kept, what is cleaned.
//
// Room is what the active segment and the spares can still take, with the files of freed segments
// that a mark must let go first, and the files that the disk has space for. C is the data bytes of
// a segment, L what carrying all that is alive takes if each message goes alone. E is the excess:
// what is live in a segment past what is used of it, C unless it is the active one, summed over all
// segments. (Many small messages of one record, of which leases and acks left no two neighbours in
// one state, take up to 4 1/2 segments once they are carried; that is their end: from then on each
// takes what it has.)
//
//   cleaning   may take all of it
//   frees      leave E + min(L, C) + W + C/8: the live bytes of any head; the end of a segment that
//              a record (the largest has W bytes, C/4 at most is counted) did not fit; marks
//   leases     leave C/8 more, for acks; moves too, see below
//   grows      leave the reserve: E + min(L, C) + W + C/2 + L/64
//
// When leases have only C/16 left to take, heads are cleaned however much of them is alive, if
// there is garbage G: what is used of a segment past what is live in it, summed.
//
// Theorem: what is not taken by other programs, or by records that W does not cover, can always be
// drained. Proof. Let P = room - E. (1) T = P + G is the size of the disk less L: appends that are
// garbage at once (leases, acks) turn P into G, an ack adds its message to G or P, and only what
// grows lowers T; it leaves P >= C/4 + L/64 more than frees leave. (2) Carrying a head with h live
// bytes takes c <= h of the room and gives C back. E falls by max(0, h - C) with the head, and
// rises by h - c at most where c bytes now stand for h. So P rises by
//   C - c + max(0, h - C) - (h - c) = max(0, C - h),
// the head's part of G, less marks and lost ends: cleaning turns G into P and never uses P up,
// except within one head, for which frees leave min(L, C). (3) When leases stop, P was used for
// garbage, so G >= C/8 + L/64; after all heads once it is P, less 1/64 of what was carried for
// marks. So leases are refused for a while at most, acks only if more of them come than cleaning
// can follow, and nothing is refused for good.
//
// A message that moves to another queue is dead where it was, so P turns into G as with a lease;
// but its copy tells where it comes from and is 32 bytes larger, so T falls by that. Sends leave
// C/8 more of T than (3) needs, which moves may use up; who may not move a message delivers it.
//
// E is not made ahead: sends leave it free on the disk, for as long as no other program takes it.
// The rest of the reserve is, and it grows with L so that a small log stays within its bound: one
// file below about C/2, two from there, and one more for each 64 C.
//
// The bound, spares counted, is 4 x live_bytes() + 3 segments: of L only what the messages are, not
// the records they might need. L is at most 3 1/3 times that (a body of 8 bytes is a message of 24,
// and 80 alone; only empty ones take more), so what cleaning has packed fits with the reserve: k <=
// L/C + 1 segments, 2 spares and L/64C, against 9/8 L/C + 3. So cleaning comes to an end. The less
// of a message is body, the less garbage the bound leaves room for, and the more is written.
#include <algorithm>

#include "storage/log.h"

namespace millrace::storage {

uint64_t Log::room() const {
  const uint64_t used = written_ - active_->start + batch_.size();
  return segment_bytes_ - used + (pool_->spares() + pool_->released()) * data_bytes();
}

uint64_t Log::end_lost() const {
  return std::min(largest_record_, data_bytes() / 4);
}

uint64_t Log::excess_of(const Segment& segment) const {
  return segment.live > data_bytes() ? segment.live - data_bytes() : 0;
}

uint64_t Log::excess() const {
  // What the active segment has not used yet counts as room.
  const uint64_t used = written_ - active_->data_begin() + batch_.size();
  return excess_ - excess_of(*active_) + (active_->live > used ? active_->live - used : 0);
}

void Log::note_free_space() {
  const Result<uint64_t> bytes = disk_.free_bytes();
  creatable_ = bytes ? *bytes / options_.logs_on_disk / segment_bytes_ * data_bytes() : 0;
}

// What is used of the segments past what is live in it.
uint64_t Log::garbage_bytes() const {
  const uint64_t used =
      segments_.count() * data_bytes() - (segment_bytes_ - (written_ - active_->start));
  const uint64_t live = live_ - excess();
  return used > live ? used - live : 0;
}

bool Log::may_move() const {
  const uint64_t least = cleaning_room() + data_bytes() / 4 + live_ / 64;
  const uint64_t left = room() + garbage_bytes();
  return left + creatable_ >= least + excess() && (may_grow() || left >= least);
}

uint64_t Log::cleaning_room() const {
  // While a head is being cleaned, what is carried goes from this sum and from the room alike.
  const uint64_t to_carry = head_cursor_ != 0 ? segments_.head()->live : live_;
  return std::min(to_carry, data_bytes()) + end_lost() + data_bytes() / 8;
}

uint64_t Log::room_to_leave(Space space, uint64_t bytes) const {
  switch (space) {
    case Space::cleans:
      return 0;
    case Space::frees:
      return cleaning_room();
    case Space::leases:
    case Space::moves:
      return cleaning_room() + data_bytes() / 8;
    case Space::grows:
      break;
  }
  const uint64_t live = live_ + bytes;
  const uint64_t least = std::min(live, data_bytes()) + end_lost() + data_bytes() / 2;
  // On a disk that has room the last part is made ahead of use, and not waited for.
  return pool_->disk_full() ? least + live / 64 : least;
}

bool Log::leaves_enough(Space space, uint64_t taken, uint64_t leave) const {
  const bool waited_for = space != Space::grows || pool_->disk_full();
  const uint64_t of_the_disk = excess() + (waited_for ? 0 : (live_ + taken) / 64);
  return room() + creatable_ >= taken + leave + of_the_disk;
}

uint64_t Log::reserve_files() const {
  const uint64_t bytes = std::min(live_, data_bytes()) + end_lost() + data_bytes() / 2 + live_ / 64;
  return (bytes + data_bytes() - 1) / data_bytes();
}

bool Log::disk_full() const {
  return pool_->disk_full() || !leaves_enough(Space::grows, 0, room_to_leave(Space::grows, 0));
}

bool Log::has_room(Space space) const {
  const uint64_t wanted = room_to_leave(space, 0) + data_bytes() / 32;
  return !disk_full() || (room() >= wanted && leaves_enough(space, 0, wanted));
}

bool Log::may_grow(uint64_t files) const {
  return (total_segments() + files) * segment_bytes_ <= options_.disk_bytes_max;
}

bool Log::may_create(Space space) const {
  if (!pool_->may_create(now_)) return false;
  if (may_grow() || space == Space::frees || space == Space::cleans) return true;
  return space != Space::grows && pool_->files() < pool_->reserve();
}

Status Log::make_room(uint64_t bytes, Space space, uint64_t spread) {
  const uint64_t used = written_ - active_->start + batch_.size();
  // Without a spare the last mark's place is kept for the one that gives a freed file back.
  const uint64_t marks = pool_->spares() == 0 ? 2 * kMarkRecordBytes : kMarkRecordBytes;
  const bool fits = used + bytes + marks <= segment_bytes_;
  // What does not fit wastes the rest of the segment.
  const uint64_t taken = bytes + (fits ? 0 : segment_bytes_ - used);
  const uint64_t leave = room_to_leave(space, bytes);
  if (space == Space::moves && !may_move()) return fail(Errc::disk_full);
  // Past the limit the reserve may be made up again, but not for this.
  if (!fits && space == Space::grows && !may_grow() && pool_->spares() <= pool_->reserve()) {
    pool_->note_disk_full();
    return fail(Errc::disk_full);
  }
  // A file that can't be made for another reason than want of space: that is the one to tell.
  const Errc refusal = pool_->failure() != Errc::ok ? pool_->failure() : Errc::disk_full;
  if (space != Space::cleans && !leaves_enough(space, taken + spread, leave)) {
    pool_->note_disk_full();
    return fail(refusal);
  }
  while ((!fits && pool_->spares() == 0) || room() < taken + leave) {
    if (!may_create(space)) {
      pool_->note_disk_full();
      return fail(refusal);
    }
    const Status made = pool_->create(now_);
    note_free_space();
    if (!made) return made;
  }
  if (fits) return {};
  return rotate();
}

Status Log::rotate() {
  if (batch_.size() > 0)
    if (const Status status = write_gathered(now_, 0); !status) return status;
  if (written_ - active_->start > segment_bytes_ / 4 * 3) active_->storage.written = true;
  note_free_space();
  return begin_segment(pool_->take(), now_);
}

bool Log::over_bound(uint64_t segments) const {
  // An empty message alone is 4 1/2 times what it was: what is packed must be within the bound.
  const uint64_t bytes = std::max(4 * live_bytes(), live_ + live_ / 8);
  return segments * segment_bytes_ > bytes + 3 * segment_bytes_;
}

bool Log::spare_wanted() const {
  if (pool_->preparing() || !pool_->wants_spare()) return false;
  if (!may_grow()) {
    // The reserve may lie past the limit, and no more than it.
    if (pool_->files() >= pool_->reserve()) return false;
    if ((total_segments() + 1) * segment_bytes_ >
        options_.disk_bytes_max + pool_->reserve() * segment_bytes_)
      return false;
  }
  // Cleaning may give a file back; the log does not grow past its bound while it can, unless the
  // next rotation is close.
  const bool rotation_is_close = written_ - active_->start > segment_bytes_ / 4 * 3;
  return !over_bound(log_segments() + 1) || (has_garbage() && rotation_is_close);
}

// Past the bound the spare for the next rotation is kept only where cleaning will make up for it.
uint64_t Log::spares_to_keep() const {
  return pool_->reserve() + (has_garbage() ? 1 : 0);
}

// Enough before the active segment that carrying all would give room back, marks and lost ends
// counted.
bool Log::has_garbage() const {
  if (segments_.head() == active_) return false;
  return garbage_bytes() > live_ / 64 + data_bytes() / 8;
}

bool Log::needs_cleaning() const {
  if (fenced_ || closed_ || segments_.head() == active_) return false;
  const Segment& head = *segments_.head();
  // Freed before it is durable, it would be passed over by the syncs, and what is durable behind it
  // would stand on bytes that a power loss can tear.
  if (head.end > durable_) return false;
  if (head.live == 0) return true;
  // What is spare beyond need will be removed; cleaning does not help there. A log of small
  // messages that were carried one by one may be full of what is alive, and only give up its last
  // spare.
  const uint64_t needed = segments_.count() + std::min(pool_->files(), pool_->reserve());
  if (over_bound(needed)) return true;
  const bool garbage = has_garbage();
  const uint64_t segments = segments_.count() + std::min(pool_->files(), pool_->reserve() + 1);
  if (garbage && over_bound(segments)) return true;
  if (disk_full()) {
    if (head.live < segment_bytes_ / 2) return true;
    const uint64_t leases_leave = cleaning_room() + data_bytes() / 8;
    const uint64_t least = leases_leave + data_bytes() / 16;
    if (garbage && (room() < least || !leaves_enough(Space::leases, 0, least))) return true;
  }
  // The next segment would break the bound. Until this one is half full there is time for the head
  // to become empty by itself, which costs no writing.
  return garbage && over_bound(segments + 1) && written_ - active_->start > segment_bytes_ / 2;
}

std::optional<Record> Log::next_head_record() {
  const Segment& head = *segments_.head();
  uint64_t at = std::max(head_cursor_, head.data_begin());
  while (at < head.end) {
    const auto damaged = std::ranges::find_if(
        head.damaged, [at](const ByteRange& r) { return r.begin <= at && at < r.end; });
    if (damaged != head.damaged.end()) {
      at = damaged->end;
      continue;
    }
    const std::optional<Record> record =
        record_at(head.view(), at - head.start, head.end - head.start);
    if (!record) {  // went bad since it was recovered: on to the next that is readable
      at += kRecordAlignment;
      continue;
    }
    at = record->end().value;
    if (record->kind >= kReservedKinds) continue;
    head_cursor_ = at;
    return record;
  }
  head_cursor_ = at;
  return std::nullopt;
}

void Log::free_head() {
  MR_ASSERT(segments_.head() != active_);
  MR_ASSERT(segments_.head()->live == 0);
  MR_ASSERT(segments_.head()->end <= durable_);
  std::unique_ptr<Segment> head = segments_.remove_head();
  hand_back(std::move(head));
  head_position_ = segments_.head()->data_begin();
  head_cursor_ = 0;
}

}  // namespace millrace::storage

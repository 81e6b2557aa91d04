#include "engine/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace millrace::engine {
namespace {

constexpr uint32_t kListBit = 1u << 31;
constexpr uint64_t kDeadlineMax = (uint64_t{1} << 48) - 1;

uint64_t clamp(TimeMs t) {
  return t.value < 0 ? 0 : std::min(static_cast<uint64_t>(t.value), kDeadlineMax);
}

}  // namespace

TimerWheel::TimerWheel(TimeMs now) : now_(clamp(now)) {
  heads_.fill(kNil);
}

TimerWheel::~TimerWheel() = default;

// Inline: each lease starts and stops one.
inline void TimerWheel::link(uint32_t list, uint32_t i, Entry& e) {
  const uint32_t head = heads_[list];
  e.next = head;
  e.previous = kListBit | list;
  if (head != kNil) {
    entry(head).previous = i;
  } else if (list < kFar) {
    occupied_[list / 64] |= uint64_t{1} << (list % 64);
    occupied_words_ = static_cast<uint16_t>(occupied_words_ | 1u << (list / 64));
  }
  heads_[list] = i;
}

inline void TimerWheel::unlink(Entry& e) {
  if (e.next != kNil) entry(e.next).previous = e.previous;
  if ((e.previous & kListBit) == 0) {
    entry(e.previous).next = e.next;
    return;
  }
  const uint32_t list = e.previous & ~kListBit;
  heads_[list] = e.next;
  if (e.next != kNil || list >= kFar) return;
  uint64_t& word = occupied_[list / 64];
  word &= ~(uint64_t{1} << (list % 64));
  if (word == 0) occupied_words_ = static_cast<uint16_t>(occupied_words_ & ~(1u << (list / 64)));
}

inline void TimerWheel::place(uint32_t i, Entry& e, uint64_t deadline) {
  if (deadline <= now_) return link(kDue, i, e);
  const uint32_t level = (static_cast<uint32_t>(std::bit_width(deadline ^ now_)) - 1) / 8;
  if (level >= kLevels) return link(kFar, i, e);
  link(level * kBuckets + static_cast<uint32_t>(deadline >> (8 * level) & 255), i, e);
}

inline uint32_t TimerWheel::take_entry() {
  if (free_ != kNil) {
    const uint32_t i = free_;
    free_ = entry(i).next;
    return i;
  }
  if (untouched_ == chunks_.size() * kChunkEntries) {
    MR_ASSERT(untouched_ < kListBit - kChunkEntries);
    chunks_.push_back(std::make_unique_for_overwrite<Entry[]>(kChunkEntries));
  }
  return untouched_++;
}

inline void TimerWheel::free_entry(uint32_t i) {
  Entry& e = entry(i);
  e.previous = kNil;
  e.next = free_;
  free_ = i;
  if (--size_ > 0) return;
  // All are free: hand them out in order again, and give back what a burst took.
  free_ = kNil;
  untouched_ = 0;
  if (chunks_.size() > kChunksKept) chunks_.resize(kChunksKept);
}

TimerId TimerWheel::start(TimeMs deadline, const TimerTarget& target) {
  MR_ASSERT(target.partition < kListBit);
  const uint32_t i = take_entry();
  Entry& e = entry(i);
  const uint64_t when = clamp(deadline);
  const uint64_t slot = raw(target.slot);
  e.deadline_slot = when << 16 | slot >> 32;
  e.slot_low = static_cast<uint32_t>(slot);
  e.partition_kind = target.partition << 1 | static_cast<uint32_t>(target.kind);
  place(i, e, when);
  ++size_;
  return TimerId{i};
}

void TimerWheel::restart(TimerId timer, TimeMs deadline) {
  Entry& e = used_entry(timer);
  const uint64_t when = clamp(deadline);
  unlink(e);
  e.deadline_slot = when << 16 | (e.deadline_slot & 0xFFFF);
  place(static_cast<uint32_t>(timer), e, when);
}

void TimerWheel::stop(TimerId timer) {
  unlink(used_entry(timer));
  free_entry(static_cast<uint32_t>(timer));
}

TimeMs TimerWheel::deadline(TimerId timer) const {
  const Entry& e = const_cast<TimerWheel*>(this)->used_entry(timer);
  return TimeMs{static_cast<int64_t>(e.deadline_slot >> 16)};
}

TimeMs TimerWheel::next_deadline() const {
  if (heads_[kDue] != kNil || heads_[kCascade] != kNil) return {static_cast<int64_t>(now_)};
  const uint32_t list = next_list();
  return list == kNil ? kNever : TimeMs{static_cast<int64_t>(start_of(list))};
}

uint64_t TimerWheel::memory_bytes() const {
  return sizeof *this + chunks_.size() * kChunkEntries * sizeof(Entry) +
         chunks_.capacity() * sizeof chunks_[0];
}

bool TimerWheel::pop(TimeMs now, TimerTarget* target, TimeMs* deadline) {
  const uint64_t until = std::max(clamp(now), now_);
  for (;;) {
    if (!cascade()) return false;
    if (const uint32_t i = heads_[kDue]; i != kNil) {
      *target = this->target(TimerId{i});
      *deadline = this->deadline(TimerId{i});
      stop(TimerId{i});
      return true;
    }
    const uint32_t list = next_list();
    if (list == kNil || start_of(list) > until) {
      // Nothing starts in between, so no entry changes its level.
      now_ = until;
      return false;
    }
    now_ = start_of(list);
    move_list(list, list < kBuckets ? kDue : kCascade);
  }
}

// Places anew what was taken from a higher level; false if kCascadeMax did not suffice.
bool TimerWheel::cascade() {
  while (heads_[kCascade] != kNil) {
    if (cascade_left_ == 0) return false;
    --cascade_left_;
    const uint32_t i = heads_[kCascade];
    Entry& e = entry(i);
    unlink(e);
    place(i, e, e.deadline_slot >> 16);
  }
  return true;
}

uint32_t TimerWheel::next_list() const {
  if (occupied_words_ != 0) {
    const auto word = static_cast<uint32_t>(std::countr_zero(occupied_words_));
    return word * 64 + static_cast<uint32_t>(std::countr_zero(occupied_[word]));
  }
  return heads_[kFar] != kNil ? kFar : kNil;
}

// First tick of the stretch of time that `list` stands for.
uint64_t TimerWheel::start_of(uint32_t list) const {
  if (list == kFar) return ((now_ >> 32) + 1) << 32;
  const uint32_t level = list / kBuckets;
  const uint64_t above = now_ >> (8 * level + 8) << (8 * level + 8);
  return above | uint64_t{list % kBuckets} << (8 * level);
}

// The whole list `from`, which is not empty, becomes the list `to`, which is.
void TimerWheel::move_list(uint32_t from, uint32_t to) {
  MR_ASSERT(heads_[to] == kNil);
  const uint32_t head = heads_[from];
  const uint32_t second = entry(head).next;
  // The head alone goes through the bookkeeping; the others only hang on it.
  entry(head).next = kNil;
  unlink(entry(head));
  link(to, head, entry(head));
  entry(head).next = second;
}

}  // namespace millrace::engine

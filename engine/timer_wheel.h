// TimerWheel: when each lease ends and each delay is over, for all partitions of a shard.
//
// Four levels of 256 buckets, one-millisecond ticks. An entry lies at the level of the highest byte
// in which its deadline differs from the current tick, so a lower level is always due before a
// higher one, and a bitmap of occupied buckets gives the next event in O(1): a jump of time costs
// what is due, not the ticks skipped. Deadlines that differ above bit 31 wait in one far list.
//
// Entries live in a slab and are linked into their bucket, so start, stop and restart are O(1) and
// every lease has exactly one entry however often it is extended. Late expiry is allowed, early
// never: a visibility timeout is a lower bound. A TimerId is a slab index; the owner keeps it with
// the slot and must clear it when the timer fired or was stopped.
//
// Limits: deadlines are kept as 48 bits (past the year 10000), earlier or later ones are clamped;
// partitions 31 bits, slots 48, 2^31 - 1 timers. Threads: shard-local.
// Memory: 24 bytes an entry in chunks of 4096, kept for reuse while any timer runs; 4 KiB of list
// heads. Source: hierarchical timing wheels, Varghese & Lauck 1987, scheme 7.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "millrace/types.h"

namespace millrace::engine {

enum class TimerId : uint32_t {};
inline constexpr TimerId kNoTimer{UINT32_MAX};

enum class TimerKind : uint8_t { lease = 0, delay = 1 };

// What a timer is about; comes back when it fires.
struct TimerTarget {
  uint32_t partition = 0;  // index of the partition in its shard
  TimerKind kind = TimerKind::lease;
  Slot slot{};  // 48 bits
};

class TimerWheel {
 public:
  // `now` is the wheel's first tick; deadlines at or before the current tick fire on the next
  // advance.
  explicit TimerWheel(TimeMs now);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  TimerId start(TimeMs deadline, const TimerTarget& target);
  void restart(TimerId timer, TimeMs deadline);
  void stop(TimerId timer);
  TimeMs deadline(TimerId timer) const;
  TimerTarget target(TimerId timer) const {
    const Entry& e = const_cast<TimerWheel*>(this)->used_entry(timer);
    return {e.partition_kind >> 1, static_cast<TimerKind>(e.partition_kind & 1),
            Slot{(e.deadline_slot & 0xFFFF) << 32 | e.slot_low}};
  }

  // Moves time to `now` (never back) and takes up to `max` fired timers as fired(target, deadline),
  // in deadline order to within one tick (those started when already due come in any order); each
  // is stopped already, and `fired` may start and stop others. More may be due when it returns
  // `max`, and in the rare turn in which it moved kCascadeMax entries between levels: then
  // next_deadline() <= now.
  template <class F>
  uint32_t advance(TimeMs now, uint32_t max, F&& fired) {
    uint32_t n = 0;
    TimerTarget target;
    TimeMs deadline;
    cascade_left_ = kCascadeMax;
    while (n < max && pop(now, &target, &deadline)) {
      fired(target, deadline);
      ++n;
    }
    return n;
  }
  // A time before which nothing fires; kNever if empty. Exact for what is due in this 256 ms
  // stretch, else the start of the stretch (256 ms, 65 s, 4.6 h, 49 days) the next timer lies in:
  // an advance() at that time makes it exact by one level.
  TimeMs next_deadline() const;

  uint64_t size() const { return size_; }
  uint64_t memory_bytes() const;

  // Bounds the stall when an entry-rich bucket of a higher level comes up: under a millisecond.
  static constexpr uint32_t kCascadeMax = 16384;

 private:
  static constexpr uint32_t kLevels = 4;
  static constexpr uint32_t kBuckets = 256;  // per level; list level * 256 + byte
  static constexpr uint32_t kFar = kLevels * kBuckets;
  static constexpr uint32_t kDue = kFar + 1;      // deadline <= now_
  static constexpr uint32_t kCascade = kFar + 2;  // taken from a higher level, to be placed anew
  static constexpr uint32_t kLists = kFar + 3;
  static constexpr uint32_t kNil = UINT32_MAX;
  static constexpr uint32_t kChunkBits = 12;
  static constexpr uint32_t kChunkEntries = 1u << kChunkBits;
  static constexpr size_t kChunksKept = 4;  // when the last timer ends

  struct Entry {
    uint64_t deadline_slot;   //  0  deadline << 16 | slot >> 32
    uint32_t slot_low;        //  8
    uint32_t partition_kind;  // 12  partition << 1 | kind
    uint32_t previous;        // 16  entry, or kListBit | list for the first; kNil: not in use
    uint32_t next;            // 20  entry or kNil
  };
  static_assert(sizeof(Entry) == 24);

  bool pop(TimeMs now, TimerTarget* target, TimeMs* deadline);
  Entry& entry(uint32_t i) { return chunks_.data()[i >> kChunkBits][i & (kChunkEntries - 1)]; }
  const Entry& entry(uint32_t i) const {
    return chunks_.data()[i >> kChunkBits][i & (kChunkEntries - 1)];
  }
  Entry& used_entry(TimerId timer) {
    const auto i = static_cast<uint32_t>(timer);
    MR_ASSERT(i < untouched_);
    Entry& e = entry(i);
    MR_ASSERT(e.previous != kNil);
    return e;
  }
  uint32_t take_entry();
  void free_entry(uint32_t i);
  void place(uint32_t i, Entry& e, uint64_t deadline);
  void link(uint32_t list, uint32_t i, Entry& e);
  void unlink(Entry& e);
  void move_list(uint32_t from, uint32_t to);
  bool cascade();
  uint32_t next_list() const;  // kNil: none
  uint64_t start_of(uint32_t list) const;

  uint64_t now_;
  uint64_t size_ = 0;
  uint32_t free_ = kNil;    // linked by Entry::next
  uint32_t untouched_ = 0;  // entries from here on were never used
  uint32_t cascade_left_ = kCascadeMax;
  uint16_t occupied_words_ = 0;                               // which words of occupied_ are not 0
  std::array<uint64_t, kLevels * kBuckets / 64> occupied_{};  // by list
  std::array<uint32_t, kLists> heads_;
  std::vector<std::unique_ptr<Entry[]>> chunks_;
};

}  // namespace millrace::engine

// SlotIndex: which messages of one partition are alive, which are ready, and where each lies in the
// log.
//
// Pages of kPageSlots slots, one slot per message in log order, 64 pages to a group, groups in a
// sorted vector. Per page: each position as 32 bits in 8-byte units from the page's base (a page
// whose messages were carried out of that range, 32 GiB, switches to 64 bits), a bitmap of live
// slots, a bitmap of ready slots, and four arrays that exist only while needed: receive counts and
// when the last receive was (from the first lease in the page on; counts of 8 bits, larger ones in
// a side table), when the first was (from the first second lease in the page on) and timers, each
// with who holds the lease (while a slot in the page is leased or delayed). Dead pages and groups
// are freed, wherever they are: one straggler holds its own page and nothing else.
//
// Ready means: alive, not delayed, not leased. The next ready slot is a find-first-set from a hint
// that only moves back when a slot becomes ready again; a bitmap per group says which pages have
// one. Leased against delayed: both have a timer; the wheel's entry says which.
//
// Threads: shard-local.  Memory: 4.31 bytes a ready message never leased, 17.31 a leased one
// without its timer entry (timer_wheel.h: 24). Invariants: ready is a subset of live; a slot with a
// timer is alive and not ready; slots are never reused; each page but the last has a live slot.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "base/assert.h"
#include "engine/received_times.h"
#include "engine/timer_wheel.h"
#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace::engine {

class SlotIndex {
  struct Page;

 public:
  static constexpr uint32_t kPageSlots = 1024;

  SlotIndex();
  ~SlotIndex();
  SlotIndex(const SlotIndex&) = delete;
  SlotIndex& operator=(const SlotIndex&) = delete;

  Slot end() const { return Slot{end_}; }  // the slot the next append gets
  Slot first_live() const { return next_live(Slot{0}).value_or(end()); }  // end() if none
  // Appends `position` (8-byte aligned) as slot end(). Not ready, no timer: the caller says which
  // next.
  Slot append(Position position) {
    MR_ASSERT((position.value & 7) == 0);
    if (tail_ == nullptr || end_ / kPageSlots != tail_number_) open_tail();
    const auto i = static_cast<uint32_t>(end_ % kPageSlots);
    if (tail_->live_count == 0) tail_->base = position.value / 8;
    put(*tail_, i, position.value / 8);
    tail_->live[i / 64] |= bit(i);
    ++tail_->live_count;
    ++live_count_;
    return Slot{end_++};
  }
  // Appends a message for each offset, at base + offset (both 8-byte aligned): a SEND's run.
  // Returns the first slot.
  Slot append_run(Position base, std::span<const uint32_t> offsets);
  // Starts at `slot` (only while empty): the slots before it are gone. For checkpoints and for
  // replay from a later head.
  void start_at(Slot slot);
  // A message met in replay whose earlier neighbours are gone: slots end()..slot-1 are dead, then
  // appends.
  void append_at(Slot slot, Position position);

  // Brings a dead slot below end() to life: replay of a carry whose first record is gone, met after
  // younger slots. Not ready, no timer, receive count 0.
  void insert(Slot slot, Position position);
  // Slots end()..slot-1 are dead: replay of a record that tells how far slots were given out.
  void skip_to(Slot slot) {
    MR_ASSERT(raw(slot) >= end_);
    end_ = raw(slot);
  }

  // A live slot, found once: what is asked and said of it then costs no search. Good until a slot
  // is erased.
  class Entry {
   public:
    Slot slot() const { return slot_; }

   private:
    friend class SlotIndex;
    Entry(Page& page, Slot slot) : page_(&page), slot_(slot) {}
    Page* page_;
    Slot slot_;
  };
  Entry entry(Slot slot) const { return {page_of_live(slot), slot}; }  // requires live

  // False for slots past end() and before the first page too.
  bool live(Slot slot) const {
    const Page* page = find(slot);
    return page != nullptr && test(page->live, index(slot));
  }
  bool ready(Slot slot) const {
    const Page* page = find(slot);
    return page != nullptr && test(page->ready, index(slot));
  }
  Position position(Entry at) const {
    const Page& page = *at.page_;
    const uint32_t i = index(at.slot_);
    return {(page.wide ? page.wide[i] : page.base + page.narrow[i]) * 8};
  }
  Position position(Slot slot) const { return position(entry(slot)); }  // requires live
  void move(Slot slot, Position position) {                             // carry; requires live
    MR_ASSERT((position.value & 7) == 0);
    put(page_of_live(slot), index(slot), position.value / 8);
  }
  uint32_t receive_count(Entry at) const {
    const Page& page = *at.page_;
    const uint32_t count = page.counts ? page.counts[index(at.slot_)] : 0;
    return count < kManyReceives ? count : many_receives_.find(raw(at.slot_))->second;
  }
  uint32_t receive_count(Slot slot) const { return receive_count(entry(slot)); }  // requires live
  void set_receive_count(Entry at, uint32_t count) {
    if (at.page_->counts == nullptr) {
      if (count == 0) return;
      make_counts(*at.page_);
    }
    uint8_t& small = at.page_->counts[index(at.slot_)];
    if (std::max<uint32_t>(small, count) >= kManyReceives) [[unlikely]]
      return set_many_receives(at, count);
    small = static_cast<uint8_t>(count);
  }
  void set_receive_count(Slot slot, uint32_t count) {  // requires live
    set_receive_count(entry(slot), count);
  }
  ReceivedTimes received(Entry at) const {
    const Page& page = *at.page_;
    if (page.last_received == nullptr) return {};
    const int32_t last = page.last_received[index(at.slot_)];
    return {page.first_received ? page.first_received[index(at.slot_)] : last, last};
  }
  ReceivedTimes received(Slot slot) const { return received(entry(slot)); }  // requires live
  void set_received(Entry at, ReceivedTimes times) {
    Page& page = *at.page_;
    if (page.last_received == nullptr) {
      if (times == ReceivedTimes{}) return;
      make_last_received(page);
    }
    if (page.first_received == nullptr && times.first_ms != times.last_ms)
      make_first_received(page);
    page.last_received[index(at.slot_)] = times.last_ms;
    if (page.first_received) page.first_received[index(at.slot_)] = times.first_ms;
  }
  void set_received(Slot slot, ReceivedTimes times) {  // requires live
    set_received(entry(slot), times);
  }
  TimerId timer(Entry at) const {
    return at.page_->timers ? at.page_->timers[index(at.slot_)].timer : kNoTimer;
  }
  TimerId timer(Slot slot) const {  // kNoTimer: none
    const Page* page = find(slot);
    return page != nullptr && page->timers ? page->timers[index(slot)].timer : kNoTimer;
  }
  uint32_t holder(Slot slot) const {  // 0: no timer, or as it was set
    const Page* page = find(slot);
    return page != nullptr && page->timers ? page->timers[index(slot)].holder : 0;
  }
  // kNoTimer clears; requires live, and not ready to set.
  void set_timer(Entry at, TimerId timer, uint32_t holder = 0);
  void set_timer(Slot slot, TimerId timer, uint32_t holder = 0) {
    set_timer(entry(slot), timer, holder);
  }
  // Requires no timer to set.
  void set_ready(Entry at, bool ready);
  void set_ready(Slot slot, bool ready) { set_ready(entry(slot), ready); }  // requires live
  // Of the slots [first, first + count) those that are alive and have no timer become ready;
  // returns how many were not ready before. For a run that became durable, of which some may be
  // delayed or purged.
  uint32_t set_ready_run(Slot first, uint32_t count);
  // Requires no timer. No entry is good after it.
  void erase(Entry at);
  void erase(Slot slot) { erase(entry(slot)); }  // requires live
  // Erases every live slot below `below`, whatever its state, and returns how many. Calls either
  // gone(TimerId) for each timer to stop (cost: the pages), or gone(Slot, Position, TimerId) for
  // each slot (kNoTimer: none). `gone` must not change the index. Purges; erase a stretch per turn
  // to bound a turn's time.
  template <class F>
  uint64_t clear_to(Slot below, F&& gone);

  // Lowest ready slot in [from, below); nullopt if none. With from == Slot{0} amortised O(1)
  // (hint), else O(groups).
  std::optional<Slot> next_ready(Slot from, Slot below) const;
  // Number of consecutive ready slots from `slot` on, at most `max`, below `below`.
  uint32_t ready_run(Slot slot, uint32_t max, Slot below) const;
  // Lowest live slot >= from; nullopt if none.
  std::optional<Slot> next_live(Slot from) const;
  // Calls f(Slot) for every live slot in order; f must not change the index.
  template <class F>
  void for_each_live(F&& f) const {
    for (auto s = next_live(Slot{0}); s; s = next_live(*s + 1))
      f(*s);
  }

  // Calls f(Entry) for every live slot in [first, end), in order; f may erase it. Slots that are
  // gone cost nothing, however many.
  template <class F>
  void for_each_live(Slot first, Slot end, F&& f) const {
    for (Slot slot = first; slot < end; slot = slot + 1) {
      const Page* page = find(slot);
      if (page == nullptr || !test(page->live, index(slot))) {
        const std::optional<Slot> next = next_live(slot);
        if (!next || *next >= end) return;
        slot = *next;
      }
      f(Entry(*find(slot), slot));
    }
  }
  // The least and the greatest position of `count` live slots from `first` on.
  struct Stretch {
    Position first, last;
  };
  Stretch stretch_of(Slot first, uint32_t count) const;

  uint64_t live_count() const { return live_count_; }
  uint64_t ready_count() const { return ready_count_; }
  uint64_t memory_bytes() const;  // anonymous memory held, pages and directory

  // Checkpoints: about 1.1 bytes a message of even size, 5 to 8 with a receive. Timers are
  // not in it: the caller stores the deadlines and sets the timers again. `v` is a varint (LEB128),
  // `z` a zigzag varint, B a page's slots in a bitmap of 128 bytes.
  //   "slotidx3"  v end  v live slots  v pages, then for each page with a live slot, rising:
  //   v page number - 1 - the previous one's   u8 flags: 1 every slot live, 2 each live slot ready,
  //   4 receive counts, 8 received times   [B live]   [B ready]   z position / 8 - the previous
  //   one's, for each live slot (the first page starts from 0)   [v receive count, for each live
  //   slot] [z last received, z that - first received, for each live slot]
  void save(std::vector<std::byte>& out) const;  // appends
  // Replaces the state, and moves `in` past what save() wrote. Error corrupt: cut short or
  // contradicting itself; the index is empty then. Allocates at most in proportion to in.size().
  [[nodiscard]] Status load(Bytes& in);

 private:
  static constexpr uint32_t kWords = kPageSlots / 64;
  static constexpr uint32_t kGroupPages = 64;
  static constexpr uint32_t kGroupSlots = kGroupPages * kPageSlots;
  static constexpr uint64_t kNoPage = UINT64_MAX;
  static constexpr uint32_t kManyReceives = 255;  // the count is in many_receives_
  using Bitmap = std::array<uint64_t, kWords>;

  struct Timed {
    TimerId timer = kNoTimer;
    uint32_t holder = 0;
  };
  struct Page {
    uint64_t base = 0;                          // 8-byte units
    std::unique_ptr<uint32_t[]> narrow;         // units from base
    std::unique_ptr<uint64_t[]> wide;           // units from 0; replaces narrow
    std::unique_ptr<uint8_t[]> counts;          // null: all 0
    std::unique_ptr<int32_t[]> last_received;   // null: all 0
    std::unique_ptr<int32_t[]> first_received;  // null: all as the last
    std::unique_ptr<Timed[]> timers;            // null: no timer
    uint16_t live_count = 0;
    uint16_t timer_count = 0;
    uint16_t ready_words = 0;  // which words of `ready` are not 0
    Bitmap live{};
    Bitmap ready{};
  };
  struct Group {
    uint64_t number = 0;       // of its first slot, / kGroupSlots
    uint64_t pages_held = 0;   // bit per page
    uint64_t pages_ready = 0;  // bit per page: has a ready slot
    std::unique_ptr<std::array<std::unique_ptr<Page>, kGroupPages>> pages;
  };

  static constexpr uint32_t index(Slot slot) {
    return static_cast<uint32_t>(raw(slot) % kPageSlots);
  }
  static constexpr uint64_t bit(uint32_t i) { return uint64_t{1} << (i % 64); }
  static bool test(const Bitmap& bits, uint32_t i) { return (bits[i / 64] & bit(i)) != 0; }
  static uint32_t page_in_group(uint64_t page_number) {
    return static_cast<uint32_t>(page_number % kGroupPages);
  }

  // Null if there is none. Counted from the back, a group is where it would be if none were missing
  // above it, as is so for the traffic of the day; else it is searched for.
  Group* group(uint64_t number) const {
    const size_t size = groups_.size();
    if (size == 0) return nullptr;
    Group* last = const_cast<Group*>(groups_.data()) + (size - 1);
    const uint64_t back = last->number - number;
    if (back < size && (last - back)->number == number) [[likely]]
      return last - back;
    return search_group(number);
  }
  Page* find(Slot slot) const {
    const uint64_t number = raw(slot) / kPageSlots;
    if (number == recent_number_) [[likely]]
      return recent_;
    const Group* g = group(number / kGroupPages);
    if (g == nullptr) return nullptr;
    Page* page = (*g->pages)[page_in_group(number)].get();
    if (page != nullptr) {
      recent_ = page;
      recent_number_ = number;
    }
    return page;
  }
  Page& page_of_live(Slot slot) const {
    Page* page = find(slot);
    MR_ASSERT(page != nullptr && test(page->live, index(slot)));
    return *page;
  }
  void put(Page& page, uint32_t i, uint64_t units) {
    if (page.wide == nullptr) [[likely]] {
      if (units - page.base <= UINT32_MAX) [[likely]] {
        page.narrow[i] = static_cast<uint32_t>(units - page.base);
        return;
      }
      widen(page);
    }
    page.wide[i] = units;
  }
  // First page at or after `number` (of those that exist); null if none.
  const Page* page_from(uint64_t number, uint64_t* found) const;
  Group* search_group(uint64_t number) const;
  Page& make_page(uint64_t number);
  void drop_page(uint64_t number);
  void open_tail();
  void widen(Page& page);
  void make_counts(Page& page);
  void make_last_received(Page& page);
  void make_first_received(Page& page);
  void set_many_receives(Entry at, uint32_t count);
  void release_timers(Page& page);
  void page_became_ready(uint64_t number);
  uint32_t erase_below(uint64_t page_number, Slot below);
  void reset(uint64_t end);
  Status load_pages(Bytes& in);
  Status load_page(Bytes& in, uint64_t number, uint64_t* units);

  uint64_t end_ = 0;
  uint64_t live_count_ = 0;
  uint64_t ready_count_ = 0;
  Page* tail_ = nullptr;  // the page appended to; kept though it may be dead
  uint64_t tail_number_ = 0;
  mutable uint64_t ready_hint_ = 0;  // no page before it has a ready slot
  // The page last found: the five questions about one slot, and its neighbours, find it at once.
  mutable Page* recent_ = nullptr;
  mutable uint64_t recent_number_ = kNoPage;
  std::vector<Group> groups_;  // by number
  std::unordered_map<uint64_t, uint32_t> many_receives_;
  std::unique_ptr<Timed[]> spare_timers_;  // no timer: one lease at a time allocates nothing
  uint64_t pages_ = 0;
  uint64_t wide_pages_ = 0;
  uint64_t count_arrays_ = 0;
  uint64_t received_arrays_ = 0;
  uint64_t timer_arrays_ = 0;
};

template <class F>
uint64_t SlotIndex::clear_to(Slot below, F&& gone) {
  uint64_t erased = 0;
  uint64_t number = 0;
  while (const Page* page = page_from(number, &number)) {
    if (number * kPageSlots >= raw(below)) break;
    constexpr bool kEverySlot = std::is_invocable_v<F, Slot, Position, TimerId>;
    if (kEverySlot || page->timer_count > 0) {
      for (uint32_t w = 0; w < kWords; ++w) {
        for (uint64_t bits = page->live[w]; bits != 0; bits &= bits - 1) {
          const uint32_t i = w * 64 + static_cast<uint32_t>(std::countr_zero(bits));
          const Slot slot{number * kPageSlots + i};
          if (slot >= below) break;
          const TimerId timer = page->timers ? page->timers[i].timer : kNoTimer;
          if constexpr (kEverySlot) {
            gone(slot, position(slot), timer);
          } else if (timer != kNoTimer) {
            gone(timer);
          }
        }
      }
    }
    erased += erase_below(number, below);
    ++number;
  }
  return erased;
}

}  // namespace millrace::engine

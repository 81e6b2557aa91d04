#include "engine/slot_index.h"

#include <algorithm>

namespace millrace::engine {
namespace {

// Bits [from, to) of a word; from < 64, from < to <= 64.
constexpr uint64_t bits_between(uint32_t from, uint32_t to) {
  return (~uint64_t{0} << from) & (~uint64_t{0} >> (64 - to));
}

uint32_t ones(uint64_t word) {
  return static_cast<uint32_t>(std::popcount(word));
}

uint32_t first_bit(uint64_t word) {
  return static_cast<uint32_t>(std::countr_zero(word));
}

}  // namespace

SlotIndex::SlotIndex() = default;
SlotIndex::~SlotIndex() = default;

Slot SlotIndex::append_run(Position base, std::span<const uint32_t> offsets) {
  const Slot first{end_};
  for (size_t done = 0; done < offsets.size();) {
    append(base + offsets[done++]);
    // The rest of this page in one go, unless the positions leave the page's range.
    Page& page = *tail_;
    auto i = static_cast<uint32_t>(end_ % kPageSlots);
    const uint64_t start = base.value / 8 - page.base;
    if (i == 0 || page.wide || start > UINT32_MAX / 2) continue;
    const auto stop =
        static_cast<uint32_t>(std::min<size_t>(kPageSlots, i + offsets.size() - done));
    const uint32_t count = stop - i;
    uint32_t low_bits = 0;
    uint32_t* narrow = page.narrow.get() + i;
    for (uint32_t n = 0; n < count; ++n) {
      const uint32_t offset = offsets[done + n];
      low_bits |= offset;
      narrow[n] = static_cast<uint32_t>(start) + offset / 8;
    }
    MR_ASSERT((low_bits & 7) == 0);
    while (i < stop) {
      const uint32_t end = std::min(stop, (i / 64 + 1) * 64);
      page.live[i / 64] |= bits_between(i % 64, end - i / 64 * 64);
      i = end;
    }
    page.live_count = static_cast<uint16_t>(page.live_count + count);
    live_count_ += count;
    end_ += count;
    done += count;
  }
  return first;
}

void SlotIndex::start_at(Slot slot) {
  MR_ASSERT(live_count_ == 0);
  reset(raw(slot));
}

void SlotIndex::append_at(Slot slot, Position position) {
  MR_ASSERT(raw(slot) >= end_);
  end_ = raw(slot);
  append(position);
}

void SlotIndex::insert(Slot slot, Position position) {
  MR_ASSERT((position.value & 7) == 0);
  MR_ASSERT(raw(slot) < end_ && !live(slot));
  Page* page = find(slot);
  if (page == nullptr) page = &make_page(raw(slot) / kPageSlots);
  const uint32_t i = index(slot);
  if (page->live_count == 0) page->base = position.value / 8;
  put(*page, i, position.value / 8);
  if (page->counts) page->counts[i] = 0;
  page->live[i / 64] |= bit(i);
  ++page->live_count;
  ++live_count_;
  set_received(slot, {});
}

void SlotIndex::make_counts(Page& page) {
  page.counts = std::make_unique<uint8_t[]>(kPageSlots);
  ++count_arrays_;
}

void SlotIndex::set_many_receives(Entry at, uint32_t count) {
  uint8_t& small = at.page_->counts[index(at.slot_)];
  if (count < kManyReceives) {
    many_receives_.erase(raw(at.slot_));
    small = static_cast<uint8_t>(count);
  } else {
    small = kManyReceives;
    many_receives_[raw(at.slot_)] = count;
  }
}

void SlotIndex::make_last_received(Page& page) {
  page.last_received = std::make_unique<int32_t[]>(kPageSlots);
  ++received_arrays_;
}

void SlotIndex::make_first_received(Page& page) {
  page.first_received = std::make_unique_for_overwrite<int32_t[]>(kPageSlots);
  std::copy_n(page.last_received.get(), kPageSlots, page.first_received.get());
  ++received_arrays_;
}

void SlotIndex::set_timer(Entry at, TimerId timer, uint32_t holder) {
  Page& page = *at.page_;
  const uint32_t i = index(at.slot_);
  if (timer == kNoTimer) {
    if (page.timers == nullptr || page.timers[i].timer == kNoTimer) return;
    page.timers[i] = {};
    if (--page.timer_count == 0) release_timers(page);
    return;
  }
  MR_ASSERT(!test(page.ready, i));
  if (page.timers == nullptr) {
    if (spare_timers_ != nullptr) {
      page.timers = std::move(spare_timers_);
    } else {
      page.timers = std::make_unique<Timed[]>(kPageSlots);
      ++timer_arrays_;
    }
  }
  if (page.timers[i].timer == kNoTimer) ++page.timer_count;
  page.timers[i] = {timer, holder};
}

void SlotIndex::set_ready(Entry at, bool ready) {
  Page& page = *at.page_;
  const uint32_t i = index(at.slot_);
  uint64_t& word = page.ready[i / 64];
  if (((word & bit(i)) != 0) == ready) return;
  word ^= bit(i);
  const uint64_t number = raw(at.slot_) / kPageSlots;
  if (ready) {
    MR_ASSERT(page.timers == nullptr || page.timers[i].timer == kNoTimer);
    ++ready_count_;
    if (page.ready_words == 0) page_became_ready(number);
    page.ready_words = static_cast<uint16_t>(page.ready_words | 1u << (i / 64));
    return;
  }
  --ready_count_;
  if (word != 0) return;
  page.ready_words = static_cast<uint16_t>(page.ready_words & ~(1u << (i / 64)));
  if (page.ready_words != 0) return;
  group(number / kGroupPages)->pages_ready &= ~(uint64_t{1} << page_in_group(number));
}

uint32_t SlotIndex::set_ready_run(Slot first, uint32_t count) {
  uint32_t changed = 0;
  const uint64_t stop = std::min(raw(first) + count, end_);
  for (uint64_t s = raw(first); s < stop;) {
    const uint64_t number = s / kPageSlots;
    const uint64_t page_stop = std::min(stop, (number + 1) * kPageSlots);
    Page* page = find(Slot{s});
    if (page == nullptr) {
      s = page_stop;
      continue;
    }
    while (s < page_stop) {
      const uint32_t w = index(Slot{s}) / 64;
      const uint64_t word_start = number * kPageSlots + w * 64;
      const auto end = static_cast<uint32_t>(std::min<uint64_t>(64, page_stop - word_start));
      uint64_t fresh =
          page->live[w] & ~page->ready[w] & bits_between(static_cast<uint32_t>(s % 64), end);
      if (page->timer_count > 0) {
        for (uint64_t rest = fresh; rest != 0; rest &= rest - 1) {
          if (page->timers[w * 64 + first_bit(rest)].timer != kNoTimer) fresh ^= rest & (~rest + 1);
        }
      }
      if (fresh != 0) {
        if (page->ready_words == 0) page_became_ready(number);
        page->ready_words = static_cast<uint16_t>(page->ready_words | 1u << w);
        page->ready[w] |= fresh;
        changed += ones(fresh);
      }
      s = word_start + end;
    }
  }
  ready_count_ += changed;
  return changed;
}

void SlotIndex::erase(Entry at) {
  Page& page = *at.page_;
  const uint32_t i = index(at.slot_);
  MR_ASSERT(page.timers == nullptr || page.timers[i].timer == kNoTimer);
  if (test(page.ready, i)) set_ready(at, false);
  if (page.counts && page.counts[i] == kManyReceives) many_receives_.erase(raw(at.slot_));
  page.live[i / 64] &= ~bit(i);
  --live_count_;
  if (--page.live_count == 0 && &page != tail_) drop_page(raw(at.slot_) / kPageSlots);
}

SlotIndex::Stretch SlotIndex::stretch_of(Slot first, uint32_t count) const {
  uint64_t least = UINT64_MAX;
  uint64_t greatest = 0;
  for (uint64_t s = raw(first), end = s + count; s < end;) {
    const Page& page = page_of_live(Slot{s});
    const uint32_t i = index(Slot{s});
    const auto here = static_cast<uint32_t>(std::min<uint64_t>(end - s, kPageSlots - i));
    if (page.wide) {
      const auto [low, high] = std::minmax_element(page.wide.get() + i, page.wide.get() + i + here);
      least = std::min(least, *low);
      greatest = std::max(greatest, *high);
    } else {
      uint32_t low = UINT32_MAX;
      uint32_t high = 0;
      for (uint32_t n = i; n < i + here; ++n) {
        low = std::min(low, page.narrow[n]);
        high = std::max(high, page.narrow[n]);
      }
      least = std::min(least, page.base + low);
      greatest = std::max(greatest, page.base + high);
    }
    s += here;
  }
  return {{least * 8}, {greatest * 8}};
}

uint32_t SlotIndex::erase_below(uint64_t page_number, Slot below) {
  Group& g = *group(page_number / kGroupPages);
  Page& page = *(*g.pages)[page_in_group(page_number)];
  uint32_t erased = 0;
  for (uint32_t w = 0; w < kWords; ++w) {
    const uint64_t word_start = page_number * kPageSlots + w * 64;
    if (word_start >= raw(below)) break;
    const auto end = static_cast<uint32_t>(std::min<uint64_t>(64, raw(below) - word_start));
    const uint64_t dead = page.live[w] & bits_between(0, end);
    if (page.counts || page.timers) {
      for (uint64_t rest = dead; rest != 0; rest &= rest - 1) {
        const uint32_t i = w * 64 + first_bit(rest);
        if (page.counts && page.counts[i] == kManyReceives) {
          many_receives_.erase(page_number * kPageSlots + i);
        }
        if (page.timers && page.timers[i].timer != kNoTimer) {
          page.timers[i] = {};
          --page.timer_count;
        }
      }
    }
    ready_count_ -= ones(page.ready[w] & dead);
    page.live[w] &= ~dead;
    page.ready[w] &= ~dead;
    if (page.ready[w] == 0) {
      page.ready_words = static_cast<uint16_t>(page.ready_words & ~(1u << w));
    }
    erased += ones(dead);
  }
  if (page.ready_words == 0) g.pages_ready &= ~(uint64_t{1} << page_in_group(page_number));
  if (page.timers && page.timer_count == 0) release_timers(page);
  live_count_ -= erased;
  page.live_count = static_cast<uint16_t>(page.live_count - erased);
  if (page.live_count == 0 && &page != tail_) drop_page(page_number);
  return erased;
}

std::optional<Slot> SlotIndex::next_ready(Slot from, Slot below) const {
  if (ready_count_ == 0) return std::nullopt;
  const uint64_t hint_slot = ready_hint_ * kPageSlots;
  const bool from_hint = raw(from) <= hint_slot;
  const uint64_t start = from_hint ? hint_slot : raw(from);
  uint64_t number = start / kPageSlots;
  const Page* page = find(Slot{start});
  std::optional<Slot> slot;
  if (page != nullptr && page->ready_words != 0) {
    const uint32_t i = index(Slot{start});
    uint32_t w = i / 64;
    uint64_t word = page->ready[w] & (~uint64_t{0} << (i % 64));
    if (word == 0) {
      const uint32_t later = page->ready_words & ~((2u << w) - 1);
      if (later != 0) {
        w = first_bit(later);
        word = page->ready[w];
      }
    }
    if (word != 0) slot = Slot{number * kPageSlots + w * 64 + first_bit(word)};
  }
  if (!slot) {
    ++number;
    const auto at_or_after = [](const Group& g, uint64_t n) { return g.number < n; };
    auto g = std::lower_bound(groups_.begin(), groups_.end(), number / kGroupPages, at_or_after);
    for (; g != groups_.end(); ++g) {
      uint64_t pages = g->pages_ready;
      if (g->number == number / kGroupPages) pages &= ~uint64_t{0} << page_in_group(number);
      if (pages == 0) continue;
      const uint32_t p = first_bit(pages);
      number = g->number * kGroupPages + p;
      const Page& found = *(*g->pages)[p];
      const uint32_t w = first_bit(found.ready_words);
      slot = Slot{number * kPageSlots + w * 64 + first_bit(found.ready[w])};
      break;
    }
    if (!slot) return std::nullopt;
  }
  if (from_hint) ready_hint_ = number;
  if (*slot >= below) return std::nullopt;
  return slot;
}

uint32_t SlotIndex::ready_run(Slot slot, uint32_t max, Slot below) const {
  if (slot >= below) return 0;
  const uint64_t stop = raw(slot) + std::min<uint64_t>(max, raw(below) - raw(slot));
  uint64_t s = raw(slot);
  const Page* page = nullptr;
  while (s < stop) {
    if (page == nullptr || s % kPageSlots == 0) page = find(Slot{s});
    if (page == nullptr) break;
    const uint32_t i = index(Slot{s});
    const auto run = static_cast<uint32_t>(std::countr_one(page->ready[i / 64] >> (i % 64)));
    s += run;
    if (i % 64 + run < 64) break;
  }
  return static_cast<uint32_t>(std::min(s, stop) - raw(slot));
}

std::optional<Slot> SlotIndex::next_live(Slot from) const {
  uint64_t number = raw(from) / kPageSlots;
  uint32_t i = index(from);
  for (uint64_t wanted = number; const Page* page = page_from(wanted, &number);
       wanted = number + 1) {
    if (number != raw(from) / kPageSlots) i = 0;
    for (uint32_t w = i / 64; w < kWords; ++w) {
      uint64_t word = page->live[w];
      if (w == i / 64) word &= ~uint64_t{0} << (i % 64);
      if (word != 0) return Slot{number * kPageSlots + w * 64 + first_bit(word)};
    }
  }
  return std::nullopt;
}

uint64_t SlotIndex::memory_bytes() const {
  constexpr uint64_t kMapNode = 32;  // key, value, link, padding
  return pages_ * (sizeof(Page) + kPageSlots * sizeof(uint32_t)) +
         wide_pages_ * kPageSlots * (sizeof(uint64_t) - sizeof(uint32_t)) +
         count_arrays_ * kPageSlots + received_arrays_ * kPageSlots * sizeof(int32_t) +
         timer_arrays_ * kPageSlots * sizeof(Timed) + groups_.capacity() * sizeof(Group) +
         groups_.size() * kGroupPages * sizeof(std::unique_ptr<Page>) +
         many_receives_.size() * kMapNode + many_receives_.bucket_count() * sizeof(void*);
}

const SlotIndex::Page* SlotIndex::page_from(uint64_t number, uint64_t* found) const {
  const uint64_t first = number / kGroupPages;
  const Group* g = group(first);
  if (g == nullptr) {
    g = groups_.data() +
        (std::lower_bound(groups_.begin(), groups_.end(), first,
                          [](const Group& a, uint64_t n) { return a.number < n; }) -
         groups_.begin());
  }
  for (; g != groups_.data() + groups_.size(); ++g) {
    uint64_t pages = g->pages_held;
    if (g->number == first) pages &= ~uint64_t{0} << page_in_group(number);
    if (pages == 0) continue;
    *found = g->number * kGroupPages + first_bit(pages);
    return (*g->pages)[first_bit(pages)].get();
  }
  return nullptr;
}

SlotIndex::Group* SlotIndex::search_group(uint64_t number) const {
  const auto at_or_after = [](const Group& g, uint64_t n) { return g.number < n; };
  const auto g = std::lower_bound(groups_.begin(), groups_.end(), number, at_or_after);
  if (g == groups_.end() || g->number != number) return nullptr;
  return const_cast<Group*>(&*g);
}

// Pages are made in rising order, so a new group is the last, but for insert().
SlotIndex::Page& SlotIndex::make_page(uint64_t number) {
  const uint64_t group_number = number / kGroupPages;
  auto at = groups_.end();
  if (!groups_.empty() && groups_.back().number >= group_number)
    at = std::lower_bound(groups_.begin(), groups_.end(), group_number,
                          [](const Group& g, uint64_t n) { return g.number < n; });
  if (at == groups_.end() || at->number != group_number) {
    Group fresh{group_number, 0, 0,
                std::make_unique<std::array<std::unique_ptr<Page>, kGroupPages>>()};
    at = groups_.insert(at, std::move(fresh));
  }
  Group& g = *at;
  auto& page = (*g.pages)[page_in_group(number)];
  MR_ASSERT(page == nullptr);
  page = std::make_unique<Page>();
  page->narrow = std::make_unique_for_overwrite<uint32_t[]>(kPageSlots);
  g.pages_held |= uint64_t{1} << page_in_group(number);
  ++pages_;
  return *page;
}

void SlotIndex::drop_page(uint64_t number) {
  Group* g = group(number / kGroupPages);
  auto& page = (*g->pages)[page_in_group(number)];
  MR_ASSERT(page->live_count == 0 && page->timer_count == 0 && page->ready_words == 0);
  if (page->wide) --wide_pages_;
  if (page->counts) --count_arrays_;
  if (page->last_received) --received_arrays_;
  if (page->first_received) --received_arrays_;
  --pages_;
  if (number == recent_number_) recent_number_ = kNoPage;
  page.reset();
  g->pages_held &= ~(uint64_t{1} << page_in_group(number));
  if (g->pages_held == 0) groups_.erase(groups_.begin() + (g - groups_.data()));
}

void SlotIndex::open_tail() {
  if (tail_ != nullptr && tail_->live_count == 0) drop_page(tail_number_);
  tail_number_ = end_ / kPageSlots;
  Page* held = find(Slot{end_});  // insert() may have made it
  tail_ = held != nullptr ? held : &make_page(tail_number_);
}

void SlotIndex::widen(Page& page) {
  page.wide = std::make_unique_for_overwrite<uint64_t[]>(kPageSlots);
  for (uint32_t i = 0; i < kPageSlots; ++i) {
    if (test(page.live, i)) page.wide[i] = page.base + page.narrow[i];
  }
  page.narrow.reset();
  ++wide_pages_;
}

void SlotIndex::release_timers(Page& page) {
  if (spare_timers_ == nullptr) {
    spare_timers_ = std::move(page.timers);
  } else {
    page.timers.reset();
    --timer_arrays_;
  }
}

void SlotIndex::page_became_ready(uint64_t number) {
  group(number / kGroupPages)->pages_ready |= uint64_t{1} << page_in_group(number);
  ready_hint_ = std::min(ready_hint_, number);
}

void SlotIndex::reset(uint64_t end) {
  groups_.clear();
  many_receives_.clear();
  spare_timers_.reset();
  tail_ = nullptr;
  tail_number_ = 0;
  recent_ = nullptr;
  recent_number_ = kNoPage;
  ready_hint_ = 0;
  end_ = end;
  live_count_ = ready_count_ = 0;
  pages_ = wide_pages_ = count_arrays_ = received_arrays_ = timer_arrays_ = 0;
}

}  // namespace millrace::engine

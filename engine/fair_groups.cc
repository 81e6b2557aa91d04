#include "engine/fair_groups.h"

#include <algorithm>
#include <functional>

#include "base/assert.h"
#include "base/planted.h"

namespace millrace::engine {

// --- messages come, hide and go ---

void FairGroups::join(Slot slot, const GroupKey& key, std::optional<TimerKind> hidden) {
  const uint32_t i = table_.find_or_add(key);
  Entry& group = table_[i];
  owners_.make(slot) = i + 1;
  ++group.messages;
  if (hidden) {
    group.in_flight += *hidden == TimerKind::lease;
    return;
  }
  MR_ASSERT(group.ready.empty() || group.ready.last < raw(slot));
  links_.push_back(group.ready, i, slot);
  index_.set_ready(slot, group.ready.first == raw(slot) && !group.aside);
}

void FairGroups::lease_began(Slot slot) {
  if (const uint32_t o = owner(slot); o != 0) ++table_[o - 1].in_flight;
}

void FairGroups::lease_ended(Slot slot) {
  const uint32_t o = owner(slot);
  if (o == 0) return;
  MR_ASSERT(table_[o - 1].in_flight > 0);
  --table_[o - 1].in_flight;
}

void FairGroups::hide(Slot slot) {
  if (const uint32_t o = owner(slot); o != 0 && links_.holds(slot)) unlink(slot, table_[o - 1]);
}

bool FairGroups::show(Slot slot) {
  const uint32_t o = owner(slot);
  if (o == 0) return false;
  if (links_.holds(slot)) return true;
  Entry& group = table_[o - 1];
  if (group.ready.empty() || raw(slot) > group.ready.last) {
    // In its place, as if it had never been away.
    links_.push_back(group.ready, o - 1, slot);
  } else if (group.returned != SlotLinks::kNoSlot) {
    links_.insert_after(group.ready, o - 1, slot, group.returned);
    group.returned = raw(slot);
  } else {
    if (!group.aside) mark_first(group, false);
    links_.push_front(group.ready, o - 1, slot);
    group.returned = raw(slot);
  }
  if (group.ready.first == raw(slot) && !group.aside) mark_first(group, true);
  return true;
}

void FairGroups::leave(Slot slot) {
  uint32_t* const o = owners_.find(slot);
  if (o == nullptr || *o == 0) return;
  const uint32_t i = *o - 1;
  Entry& group = table_[i];
  if (links_.holds(slot)) unlink(slot, group);
  owners_.drop(slot, *o);
  if (--group.messages > 0) return;
  if (group.aside) std::erase(aside_, i);
  table_.remove(i);
}

// Its ready bit is the caller's.
void FairGroups::unlink(Slot slot, Entry& group) {
  const SlotLinks::Removed removed = links_.remove(slot);
  if (removed.was_end()) removed.leave(group.ready);
  if (group.returned == raw(slot)) group.returned = removed.before;
  if (removed.was_first() && !group.ready.empty() && !group.aside) mark_first(group, true);
}

// --- whose turn it is ---

void FairGroups::begin(Slot end, uint64_t in_flight) {
  end_ = end;
  in_flight_ = in_flight;
  take_back();
  followers_.clear();
  noisy_.clear();
  noisy_began_ = false;
  marked_ = index_.next_ready(Slot{0}, end_);
}

std::optional<Slot> FairGroups::next() {
  if (!noisy_began_)
    if (const auto slot = next_of_quiet()) return slot;
  return next_of_noisy();
}

// The oldest, be it the first of its group or one that follows such a one taken before.
std::optional<Slot> FairGroups::next_of_quiet() {
  for (;;) {
    Slot slot{};
    if (marked_ && (followers_.empty() || *marked_ < followers_.front())) {
      slot = *marked_;
      marked_ = index_.next_ready(slot + 1, end_);
      const uint32_t o = owner(slot);
      if (o == 0) return slot;
      if (is_noisy(table_[o - 1]) && !base::planted(base::Bug::noisy_not_told_apart)) {
        set_aside(o - 1);
        continue;
      }
    } else if (!followers_.empty()) {
      std::ranges::pop_heap(followers_, std::greater{});
      slot = followers_.back();
      followers_.pop_back();
    } else {
      return std::nullopt;
    }
    if (const auto follower = links_.next(slot); follower && *follower < end_) {
      followers_.push_back(*follower);
      std::ranges::push_heap(followers_, std::greater{});
    }
    return slot;
  }
}

// Of the group that has the fewest in flight, counting what was taken by now.
std::optional<Slot> FairGroups::next_of_noisy() {
  if (!noisy_began_) {
    noisy_began_ = true;
    for (const uint32_t i : aside_)
      if (const Entry& group = table_[i]; !group.ready.empty() && group.ready.first < raw(end_))
        noisy_.push_back({Slot{group.ready.first}, group.in_flight});
  }
  if (noisy_.empty()) return std::nullopt;
  const auto turn = std::ranges::min_element(noisy_, {}, &Served::in_flight);
  const Slot slot = turn->next;
  ++turn->in_flight;
  const auto follower = links_.next(slot);
  if (follower && *follower < end_)
    turn->next = *follower;
  else
    noisy_.erase(turn);
  return slot;
}

void FairGroups::set_aside(uint32_t i) {
  Entry& group = table_[i];
  mark_first(group, false);
  group.aside = 1;
  aside_.push_back(i);
}

// Those that are quiet again.
void FairGroups::take_back() {
  std::erase_if(aside_, [&](uint32_t i) {
    Entry& group = table_[i];
    if (is_noisy(group)) return false;
    group.aside = 0;
    if (!group.ready.empty()) mark_first(group, true);
    return true;
  });
}

bool FairGroups::something_aside(Slot end) const {
  return std::ranges::any_of(aside_, [&](uint32_t i) {
    return !table_[i].ready.empty() && table_[i].ready.first < raw(end);
  });
}

uint64_t FairGroups::memory_bytes() const {
  return links_.memory_bytes() + owners_.memory_bytes() + table_.memory_bytes();
}

}  // namespace millrace::engine

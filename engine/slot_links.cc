#include "engine/slot_links.h"

#include <algorithm>

#include "base/assert.h"

namespace millrace::engine {
namespace {

// Near ones either way are small numbers, and no two slots are 0 apart.
constexpr uint64_t word_of(uint64_t distance) {
  const auto d = static_cast<int64_t>(distance);
  return (static_cast<uint64_t>(d) << 1) ^ static_cast<uint64_t>(d >> 63);
}
constexpr uint64_t distance_of(uint64_t v) {
  return (v >> 1) ^ (~(v & 1) + 1);
}

}  // namespace

uint64_t SlotLinks::neighbour_after(uint64_t slot, const Link& link) const {
  return link.next == kFar ? far_next_.at(slot) : slot + distance_of(link.next);
}

uint64_t SlotLinks::neighbour_before(uint64_t slot, const Link& link) const {
  return link.previous == kFar ? far_previous_.at(slot) : slot - distance_of(link.previous);
}

void SlotLinks::link_after(uint64_t slot, Link& link, uint64_t next) {
  if (link.next == kFar) far_next_.erase(slot);
  link.next = static_cast<uint32_t>(std::min<uint64_t>(kFar, word_of(next - slot)));
  if (link.next == kFar) far_next_[slot] = next;
}

void SlotLinks::link_before(uint64_t slot, Link& link, uint64_t previous) {
  if (link.previous == kFar) far_previous_.erase(slot);
  link.previous = static_cast<uint32_t>(std::min<uint64_t>(kFar, word_of(slot - previous)));
  if (link.previous == kFar) far_previous_[slot] = previous;
}

void SlotLinks::end_after(uint64_t slot, Link& link, uint32_t owner) {
  if (link.next == kFar) far_next_.erase(slot);
  link.next = kEnd | owner;
}

void SlotLinks::end_before(uint64_t slot, Link& link, uint32_t owner) {
  if (link.previous == kFar) far_previous_.erase(slot);
  link.previous = kEnd | owner;
}

void SlotLinks::push_back(List& list, uint32_t owner, Slot slot) {
  MR_ASSERT(owner < kOwnersMax);
  if (list.empty()) {
    links_.make(slot) = {kEnd | owner, kEnd | owner};
    list = {raw(slot), raw(slot)};
    return;
  }
  Link& link = links_.make(slot);
  link.next = kEnd | owner;
  link_before(raw(slot), link, list.last);
  link_after(list.last, *links_.find(Slot{list.last}), raw(slot));
  list.last = raw(slot);
}

void SlotLinks::push_front(List& list, uint32_t owner, Slot slot) {
  if (list.empty()) return push_back(list, owner, slot);
  Link& link = links_.make(slot);
  link.previous = kEnd | owner;
  link_after(raw(slot), link, list.first);
  link_before(list.first, *links_.find(Slot{list.first}), raw(slot));
  list.first = raw(slot);
}

void SlotLinks::insert_after(List& list, uint32_t owner, Slot slot, uint64_t before) {
  if (before == list.last) return push_back(list, owner, slot);
  const auto after = next(Slot{before});
  MR_ASSERT(after.has_value());
  Link& link = links_.make(slot);
  link_before(raw(slot), link, before);
  link_after(raw(slot), link, raw(*after));
  link_after(before, *links_.find(Slot{before}), raw(slot));
  link_before(raw(*after), *links_.find(*after), raw(slot));
}

SlotLinks::Removed SlotLinks::remove(Slot slot) {
  const uint64_t s = raw(slot);
  Link* link = links_.find(slot);
  MR_ASSERT(link != nullptr && link->previous != 0);
  const Link was = *link;
  Removed removed;
  if ((was.previous & kEnd) == 0) removed.before = neighbour_before(s, was);
  if ((was.next & kEnd) == 0) removed.after = neighbour_after(s, was);
  if (was.previous == kFar) far_previous_.erase(s);
  if (was.next == kFar) far_next_.erase(s);
  links_.drop(slot, *link);
  if (removed.was_end()) removed.owner = (removed.was_first() ? was.previous : was.next) & ~kEnd;
  if (removed.after != kNoSlot) {
    Link& after = *links_.find(Slot{removed.after});
    if (removed.was_first())
      end_before(removed.after, after, removed.owner);
    else
      link_before(removed.after, after, removed.before);
  }
  if (removed.before != kNoSlot) {
    Link& before = *links_.find(Slot{removed.before});
    if (removed.after == kNoSlot)
      end_after(removed.before, before, removed.owner);
    else
      link_after(removed.before, before, removed.after);
  }
  return removed;
}

void SlotLinks::clear() {
  links_.clear();
  far_next_.clear();
  far_previous_.clear();
}

std::optional<Slot> SlotLinks::next(Slot slot) const {
  const Link* link = links_.find(slot);
  if (link == nullptr || link->next == 0 || (link->next & kEnd) != 0) return std::nullopt;
  return Slot{neighbour_after(raw(slot), *link)};
}

uint64_t SlotLinks::memory_bytes() const {
  constexpr uint64_t kMapNode = 32;  // key, value, link, padding
  return links_.memory_bytes() + (far_next_.size() + far_previous_.size()) * kMapNode;
}

}  // namespace millrace::engine

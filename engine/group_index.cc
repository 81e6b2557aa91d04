#include "engine/group_index.h"

#include <utility>

#include "base/assert.h"

namespace millrace::engine {

GroupIndex::GroupIndex() : table_(0, Hash{this}, Equal{this}) {}
GroupIndex::~GroupIndex() = default;

// --- links ---

GroupIndex::Link* GroupIndex::find(Slot slot) {
  const uint64_t number = raw(slot) / kPageSlots;
  if (number != recent_number_) {
    const auto found = pages_.find(number);
    if (found == pages_.end()) return nullptr;
    recent_number_ = number;
    recent_ = found->second.get();
  }
  return &recent_->links[raw(slot) % kPageSlots];
}

GroupIndex::Link& GroupIndex::make(Slot slot) {
  Link* link = find(slot);
  if (link == nullptr) {
    auto& page = pages_[raw(slot) / kPageSlots];
    page = spare_ != nullptr ? std::move(spare_) : std::make_unique<Page>();
    link = find(slot);
  }
  MR_ASSERT(link->previous == 0 && link->next == 0);
  ++recent_->held;
  return *link;
}

// `link` is that of `slot`; its page goes with the last one.
void GroupIndex::drop(Slot slot, Link& link) {
  link = {};
  MR_ASSERT(recent_number_ == raw(slot) / kPageSlots || find(slot) == &link);
  if (--recent_->held > 0) return;
  const auto page = pages_.find(recent_number_);
  spare_ = std::move(page->second);
  pages_.erase(page);
  recent_ = nullptr;
  recent_number_ = UINT64_MAX;
}

uint64_t GroupIndex::neighbour_after(uint64_t slot, const Link& link) const {
  return link.next == kFar ? far_next_.at(slot) : slot + link.next;
}

uint64_t GroupIndex::neighbour_before(uint64_t slot, const Link& link) const {
  return link.previous == kFar ? far_previous_.at(slot) : slot - link.previous;
}

void GroupIndex::link_after(uint64_t slot, Link& link, uint64_t next) {
  if (link.next == kFar) far_next_.erase(slot);
  const uint64_t distance = next - slot;
  link.next = distance < kFar ? static_cast<uint32_t>(distance) : kFar;
  if (link.next == kFar) far_next_[slot] = next;
}

void GroupIndex::link_before(uint64_t slot, Link& link, uint64_t previous) {
  if (link.previous == kFar) far_previous_.erase(slot);
  const uint64_t distance = slot - previous;
  link.previous = distance < kFar ? static_cast<uint32_t>(distance) : kFar;
  if (link.previous == kFar) far_previous_[slot] = previous;
}

// --- entries ---

uint32_t GroupIndex::take_entry() {
  ++used_entries_;
  if (free_ != 0) {
    const uint32_t i = free_ - 1;
    free_ = static_cast<uint32_t>(entry(i).tail);
    return i;
  }
  if (untouched_ == chunks_.size() * kChunkEntries) {
    MR_ASSERT(untouched_ < kFar - kChunkEntries);
    chunks_.push_back(std::make_unique<Entry[]>(kChunkEntries));
  }
  return untouched_++;
}

void GroupIndex::give_entry(uint32_t i) {
  table_.erase(i);
  entry(i) = {};
  entry(i).tail = free_;
  free_ = i + 1;
  if (--used_entries_ > 0) return;
  // All are free: give back what many groups took.
  free_ = untouched_ = 0;
  if (chunks_.size() > 1) chunks_.resize(1);
  if (table_.bucket_count() > kChunkEntries) table_.rehash(0);
}

// --- lists ---

bool GroupIndex::append(Slot slot, const GroupKey& group) {
  const uint64_t s = raw(slot);
  const auto found = table_.find(group);
  if (found == table_.end()) {
    const uint32_t i = take_entry();
    entry(i) = {group, s, s};
    table_.insert(i);
    make(slot) = {kEnd | i, kEnd | i};
    return true;
  }
  const uint32_t i = *found;
  const uint64_t last = entry(i).tail;
  MR_ASSERT(last < s);
  Link& link = make(slot);
  link.next = kEnd | i;
  link_before(s, link, last);
  link_after(last, *find(Slot{last}), s);
  entry(i).tail = s;
  return false;
}

std::optional<Slot> GroupIndex::remove(Slot slot) {
  const uint64_t s = raw(slot);
  Link* link = find(slot);
  MR_ASSERT(link != nullptr && link->previous != 0);
  const Link was = *link;
  const bool first = (was.previous & kEnd) != 0;
  const bool last = (was.next & kEnd) != 0;
  const uint64_t before = first ? 0 : neighbour_before(s, was);
  const uint64_t after = last ? 0 : neighbour_after(s, was);
  if (was.previous == kFar) far_previous_.erase(s);
  if (was.next == kFar) far_next_.erase(s);
  drop(slot, *link);
  if (first && last) {
    give_entry(was.previous & ~kEnd);
    return std::nullopt;
  }
  if (first) {
    Link& next = *find(Slot{after});
    if (next.previous == kFar) far_previous_.erase(after);
    next.previous = was.previous;
    entry(was.previous & ~kEnd).head = after;
    return Slot{after};
  }
  Link& previous = *find(Slot{before});
  if (last) {
    if (previous.next == kFar) far_next_.erase(before);
    previous.next = was.next;
    entry(was.next & ~kEnd).tail = before;
    return std::nullopt;
  }
  link_after(before, previous, after);
  link_before(after, *find(Slot{after}), before);
  return std::nullopt;
}

void GroupIndex::clear() {
  pages_.clear();
  recent_ = nullptr;
  recent_number_ = UINT64_MAX;
  spare_.reset();
  far_next_.clear();
  far_previous_.clear();
  table_.clear();
  chunks_.clear();
  untouched_ = free_ = 0;
  used_entries_ = 0;
}

bool GroupIndex::holds(Slot slot) const {
  const Link* link = find(slot);
  return link != nullptr && link->previous != 0;
}

bool GroupIndex::is_head(Slot slot) const {
  const Link* link = find(slot);
  return link != nullptr && (link->previous & kEnd) != 0;
}

std::optional<Slot> GroupIndex::next(Slot slot) const {
  const Link* link = find(slot);
  if (link == nullptr || link->next == 0 || (link->next & kEnd) != 0) return std::nullopt;
  return Slot{neighbour_after(raw(slot), *link)};
}

std::optional<Slot> GroupIndex::head(const GroupKey& group) const {
  const auto found = table_.find(group);
  if (found == table_.end()) return std::nullopt;
  return Slot{entry(*found).head};
}

uint64_t GroupIndex::memory_bytes() const {
  constexpr uint64_t kMapNode = 32;  // key, value, link, padding
  return (pages_.size() + (spare_ != nullptr)) * (sizeof(Page) + kMapNode) +
         chunks_.size() * kChunkEntries * sizeof(Entry) +
         table_.bucket_count() * (sizeof(uint32_t) + 1) +
         (far_next_.size() + far_previous_.size()) * kMapNode;
}

}  // namespace millrace::engine

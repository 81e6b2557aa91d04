#include "storage/segment.h"

#include <algorithm>
#include <utility>

namespace millrace::storage {

Segment* SegmentTable::add(std::unique_ptr<Segment> segment) {
  if (slots_.empty()) first_ = segment->sequence;
  MR_ASSERT(segment->sequence >= first_ + slots_.size());
  slots_.resize(segment->sequence - first_);
  slots_.push_back(std::move(segment));
  ++count_;
  return slots_.back().get();
}

std::unique_ptr<Segment> SegmentTable::remove_head() {
  MR_ASSERT(count_ > 1);
  std::unique_ptr<Segment> head = std::move(slots_.front());
  const auto next = std::ranges::find_if(slots_, [](const auto& slot) { return slot != nullptr; });
  first_ = (*next)->sequence;
  slots_.erase(slots_.begin(), next);
  --count_;
  return head;
}

Segment* SegmentTable::at_or_after(uint64_t sequence) const {
  uint64_t index = sequence < first_ ? 0 : sequence - first_;
  for (; index < slots_.size(); ++index)
    if (slots_[index]) return slots_[index].get();
  return nullptr;
}

}  // namespace millrace::storage

#include "engine/group_index.h"

#include "base/assert.h"

namespace millrace::engine {

bool GroupIndex::append(Slot slot, const GroupKey& group) {
  const uint32_t i = table_.find_or_add(group);
  SlotLinks::List& slots = table_[i].slots;
  const bool fresh = slots.empty();
  MR_ASSERT(fresh || slots.last < raw(slot));
  links_.push_back(slots, i, slot);
  return fresh;
}

std::optional<Slot> GroupIndex::remove(Slot slot) {
  const SlotLinks::Removed removed = links_.remove(slot);
  if (!removed.was_end()) return std::nullopt;
  SlotLinks::List& slots = table_[removed.owner].slots;
  removed.leave(slots);
  if (slots.empty()) {
    table_.remove(removed.owner);
    return std::nullopt;
  }
  if (!removed.was_first()) return std::nullopt;
  return Slot{slots.first};
}

void GroupIndex::clear() {
  links_.clear();
  table_.clear();
}

std::optional<Slot> GroupIndex::head(const GroupKey& group) const {
  const uint32_t i = table_.find(group);
  if (i == table_.kNone) return std::nullopt;
  return Slot{table_[i].slots.first};
}

}  // namespace millrace::engine

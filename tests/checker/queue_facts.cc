#include "tests/checker/queue_facts.h"

#include <algorithm>

namespace millrace::checker {

void QueueFacts::add_move_task(Nanoseconds inv, std::optional<QueueId> target) {
  moved_from = std::min(moved_from, inv);
  if (target && std::find(moved_to.begin(), moved_to.end(), *target) == moved_to.end())
    moved_to.push_back(*target);
}

void QueueFacts::seal() {
  const auto by_inv = [](const auto& a, const auto& b) { return a.inv < b.inv; };
  std::sort(removals.begin(), removals.end(), by_inv);
  std::sort(empties.begin(), empties.end(), by_inv);
  std::sort(drains.begin(), drains.end(), by_inv);
  std::sort(attributes.begin(), attributes.end(), by_inv);
  hidden_receives.seal();
  for (const Removal& removal : removals) {
    if (removal.outcome != Outcome::fail) {
      last_removal_end_ = std::max(last_removal_end_, removal.done);
    }
  }
  soonest_.resize(empties.size());
  for (size_t at = empties.size(); at-- > 0;) {
    const auto own = static_cast<uint32_t>(at);
    const bool last = at + 1 == empties.size();
    soonest_[at] =
        last || empties[at].done <= empties[soonest_[at + 1]].done ? own : soonest_[at + 1];
  }
}

const EmptyReceive* QueueFacts::empty_within(Nanoseconds begin, Nanoseconds end) const {
  const auto first =
      std::lower_bound(empties.begin(), empties.end(), begin,
                       [](const EmptyReceive& empty, Nanoseconds t) { return empty.inv < t; });
  if (first == empties.end()) return nullptr;
  const EmptyReceive& soonest = empties[soonest_[static_cast<size_t>(first - empties.begin())]];
  return soonest.done <= end ? &soonest : nullptr;
}

uint32_t QueueFacts::visibility_ms(uint32_t own, Nanoseconds t) const {
  if (own != kAbsentMs) return own;
  const Attributes* set = attributes_at(t);
  return set == nullptr || set->visibility_ms == kAbsentMs ? kVisibilityMsDefault
                                                           : set->visibility_ms;
}

uint32_t QueueFacts::delay_ms(uint32_t own, Nanoseconds t) const {
  if (own != kAbsentMs) return own;
  const Attributes* set = attributes_at(t);
  return set == nullptr || set->delay_ms == kAbsentMs ? 0 : set->delay_ms;
}

const Attributes* QueueFacts::attributes_at(Nanoseconds t) const {
  const auto next =
      std::upper_bound(attributes.begin(), attributes.end(), t,
                       [](Nanoseconds at, const Attributes& set) { return at < set.inv; });
  return next == attributes.begin() ? nullptr : &*(next - 1);
}

}  // namespace millrace::checker

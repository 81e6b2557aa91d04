#include "tests/sim/reference_order.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::sim {

void ReferenceOrder::put(uint32_t queue, uint64_t group, uint64_t place, Key key) {
  places_[{queue, place}] = key;
  if (group != 0) groups_[{queue, group, place >> 48}][place] = key;
}

std::string ReferenceOrder::sent(uint32_t queue, uint64_t group, uint64_t place, Key key,
                                 uint64_t asked_event, uint64_t shown_event) {
  std::vector<Shown>& shown = shown_[{queue, group}];
  if (!shown.empty() && shown.front().place >> 48 != place >> 48)
    return fmt::format("C6: group {} of queue {} has messages on two shards", group, queue);
  const auto later = std::partition_point(
      shown.begin(), shown.end(), [&](const Shown& one) { return one.event < asked_event; });
  if (later != shown.begin() && std::prev(later)->place > place)
    return fmt::format("C6: key {} has a smaller sequence number than one of its group before it",
                       key);
  shown.push_back({shown_event, shown.empty() ? place : std::max(place, shown.back().place)});
  return {};
}

}  // namespace millrace::sim

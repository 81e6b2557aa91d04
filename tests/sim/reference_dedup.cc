#include "tests/sim/reference_dedup.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::sim {

TimeMs ReferenceDedup::Place::accepted_from() const {
  TimeMs from = candidates.front().asked_at;
  for (const Attempt& one : candidates)
    from = std::min(from, one.asked_at);
  return from;
}

bool ReferenceDedup::Place::may_be(Key key) const {
  return std::any_of(candidates.begin(), candidates.end(),
                     [key](const Attempt& one) { return one.key == key; });
}

void ReferenceDedup::closed(const DedupId& id, Key key) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  std::erase_if(found->second, [key](const Attempt& one) { return one.key == key; });
  if (found->second.empty()) open_.erase(found);
}

ReferenceDedup::Place* ReferenceDedup::find(const DedupId& id, uint64_t at) {
  const auto found = places_.find(id);
  if (found == places_.end()) return nullptr;
  for (Place& place : found->second)
    if (place.at == at) return &place;
  return nullptr;
}

std::vector<Key> ReferenceDedup::in_its_place(const DedupId& id, Key key) {
  std::vector<Key> others;
  for (Place& place : places_[id]) {
    if (place.candidates.size() < 2 || !place.may_be(key)) continue;
    place.certain = false;
    for (const Attempt& one : place.candidates)
      if (one.key != key) others.push_back(one.key);
  }
  return others;
}

std::string ReferenceDedup::accepted(const DedupId& id, const Attempt& attempt, uint64_t at,
                                     bool sure, TimeMs now, uint64_t event) {
  Place place{.at = at, .candidates = {attempt}, .accepted_by = now, .shown_event = event};
  place.candidates.front().answered = true;
  closed(id, attempt.key);
  // Others whose outcome is open may be what lies there. Those of one request come in order.
  if (const auto found = open_.find(id); !sure && found != open_.end())
    for (const Attempt& one : found->second)
      if (one.asked_event != attempt.asked_event) place.candidates.push_back(one);
  std::vector<Place>& places = places_[id];
  for (const Place& other : places) {
    if (!other.certain) continue;
    const TimeMs from = std::min(other.accepted_from(), place.accepted_from());
    const TimeMs to = std::max(other.accepted_by, place.accepted_by);
    if (to - from < kWindowMs && !purged_between(id.queue, from, to))
      return fmt::format(
          "C7: keys {} and {} have one deduplication id, are {} ms apart, and both are "
          "stored",
          other.candidates.front().key, attempt.key, to - from);
  }
  places.push_back(std::move(place));
  return {};
}

std::string ReferenceDedup::repeated(const Place& place, const Attempt& attempt) {
  const int64_t since = attempt.asked_at - place.accepted_by;
  if (since < kWindowMs) return {};
  return fmt::format("C7: key {} is called a duplicate of key {}, {} ms after that", attempt.key,
                     place.candidates.front().key, since);
}

void ReferenceDedup::purge_ended(uint32_t queue, TimeMs now) {
  for (Purge& purge : purges_[queue])
    purge.to = std::min(purge.to, now);
}

bool ReferenceDedup::purged_between(uint32_t queue, TimeMs from, TimeMs to) const {
  const auto found = purges_.find(queue);
  return found != purges_.end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [&](const Purge& purge) { return purge.from <= to && purge.to >= from; });
}

void ReferenceDedup::doubt() {
  for (auto& [id, places] : places_)
    for (Place& place : places)
      place.certain = false;
}

}  // namespace millrace::sim

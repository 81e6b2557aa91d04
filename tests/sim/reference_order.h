// ReferenceOrder: which place each message has, and what that means for order (promises.md a4, C6):
// no place twice, places rise in the order of sends to a group, and each group's messages by place.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/sim/reference_message.h"

namespace millrace::sim {

class ReferenceOrder {
 public:
  // The key whose message has this place, or 0.
  Key at(uint32_t queue, uint64_t place) const {
    const auto found = places_.find({queue, place});
    return found == places_.end() ? 0 : found->second;
  }
  void put(uint32_t queue, uint64_t group, uint64_t place, Key key);

  // A send to `group` got this place; it was asked at one event and its place first shown at
  // another. Whoever had a place before it was asked has a smaller one, on the same shard.
  std::string sent(uint32_t queue, uint64_t group, uint64_t place, Key key, uint64_t asked_event,
                   uint64_t shown_event);

  // Places shown so far may be given out again.
  void doubt() { shown_.clear(); }

  // Calls gone(key, place) for each message of the group that stands before `place`, first to last,
  // until stop(key) says so. What is gone is not called again.
  template <class Gone, class Stop>
  void before(uint32_t queue, uint64_t group, uint64_t place, Gone&& gone, Stop&& stop) {
    auto& line = groups_[{queue, group, place >> 48}];
    for (auto it = line.begin(); it != line.end() && it->first < place;) {
      if (gone(it->second, it->first)) {
        it = line.erase(it);
        continue;
      }
      if (stop(it->second)) return;
      ++it;
    }
  }

 private:
  struct PairHash {
    size_t operator()(const std::pair<uint32_t, uint64_t>& p) const {
      return p.second * 0x9E3779B97F4A7C15u + p.first;
    }
  };
  struct Shown {
    uint64_t event = 0;  // by then
    uint64_t place = 0;  // the highest
  };
  std::unordered_map<std::pair<uint32_t, uint64_t>, Key, PairHash> places_;
  std::map<std::tuple<uint32_t, uint64_t, uint64_t>, std::map<uint64_t, Key>> groups_;
  std::map<std::pair<uint32_t, uint64_t>, std::vector<Shown>> shown_;
};

}  // namespace millrace::sim

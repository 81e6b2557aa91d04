// take_each(): calls f with every value of a map of jobs, each taken out of the map first.
//
// For answering all that is under way: a sink may ask or cancel from inside its callback, which
// changes the map. What comes in meanwhile is left alone, what is cancelled meanwhile is seen so.
#pragma once

#include <utility>
#include <vector>

namespace millrace::engine {

template <class Map, class F>
void take_each(Map& jobs, F&& f) {
  std::vector<typename Map::key_type> keys;
  keys.reserve(jobs.size());
  for (const auto& [key, job] : jobs)
    keys.push_back(key);
  for (const auto& key : keys) {
    const auto found = jobs.find(key);
    if (found == jobs.end()) continue;
    typename Map::mapped_type job = std::move(found->second);
    jobs.erase(found);
    f(job);
  }
}

}  // namespace millrace::engine

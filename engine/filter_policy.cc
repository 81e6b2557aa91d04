#include "engine/filter_policy.h"

#include <algorithm>

#include "engine/filter_fields.h"

namespace millrace::engine {

bool FilterLeaf::accepts(const FilterFields& fields, uint32_t key_number) const {
  return std::any_of(conditions.begin(), conditions.end(), [&](const FilterCondition& condition) {
    return fields.meets(key_number, condition);
  });
}

bool FilterPolicy::accepts(const FilterFields& fields) const {
  if (accepts_all()) return true;
  return fields.readable() &&
         std::any_of(ways.begin(), ways.end(), [&](const std::vector<uint32_t>& way) {
           return std::all_of(way.begin(), way.end(),
                              [&](uint32_t leaf) { return leaves[leaf].accepts(fields); });
         });
}

}  // namespace millrace::engine

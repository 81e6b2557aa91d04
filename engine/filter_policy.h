// FilterPolicy: which messages of a topic a subscription wants, read once from its JSON text.
//
//   {"store": ["a", "b"], "$or": [{"price": [{"numeric": [">", 9]}]}, {"sale": [true]}]}
//
// Keys are all to be met, each by any of its conditions, and of each $or one branch. Nested keys
// are joined by dots: {"a": {"b": [..]}} is the key "a.b", as it is in a message. Choosing one
// branch of every $or in all ways gives `ways`; a message matches if some way has all its leaves
// met.
//
// Limits: 256 KiB of text, 5 keys, 150 combinations (filter_policy_parser.h). Threads: immutable.
// Source: the filter policies of Amazon SNS.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/filter_condition.h"
#include "millrace/topics.h"

namespace millrace::engine {

class FilterFields;

// A key and its conditions, of which one is to be met.
struct FilterLeaf {
  uint32_t key = 0;  // in FilterPolicy::keys
  std::vector<FilterCondition> conditions;

  bool accepts(const FilterFields& fields) const { return accepts(fields, key); }
  // The same where the key has another number.
  bool accepts(const FilterFields& fields, uint32_t key_number) const;
};

struct FilterPolicy {
  static constexpr size_t kTextBytesMax = 256u << 10;
  static constexpr size_t kKeysMax = 5;
  static constexpr uint32_t kCombinationsMax = 150;

  FilterScope scope = FilterScope::attributes;
  std::vector<std::string> keys;
  std::vector<FilterLeaf> leaves;
  std::vector<std::vector<uint32_t>> ways;  // of leaves; one without any for the policy {}

  bool accepts_all() const { return leaves.empty(); }
  // `fields` were read for `keys`: FilterKeys(policy.keys).
  bool accepts(const FilterFields& fields) const;
};

}  // namespace millrace::engine

// FilterIndex: the policies of one topic and one scope, asked together which of them a message
// meets.
//
// Conditions that are the same under the same key are one. Each value of a message is looked up in
// what its key has of them: equal texts and numbers by hash, prefixes and suffixes by hash for each
// length there is, ranges in a tree of bounds, networks by hash for each mask. That gives the
// conditions that are met, each once. A way of a policy hangs at the conditions of one of its
// leaves, the one that the fewest messages are expected to meet, and only the ways at conditions
// that are met are looked at. What has no index (anything-but, wildcard) is evaluated when such a
// way needs it, at most once a message.
//
// So a message costs its values, plus the policies that it nearly meets, and not the policies.
// Bound: a value of n bytes costs n times the number of different prefix and suffix lengths.
//
// Threads: shard-local.   Memory: some 100 bytes a condition beside the policies, which outlive it.
// Source: access predicates, Fabret et al. 2001, "Filtering algorithms and implementation for very
// fast publish/subscribe systems".
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "engine/filter_fields.h"
#include "engine/filter_policy.h"
#include "millrace/topics.h"

namespace millrace::engine {

// Which ranges a number is in.
class RangeIndex {
 public:
  void add(const NumberRange& range, uint32_t condition) { ranges_.push_back({range, condition}); }
  // After the last add().
  void build();

  // Calls take(condition) for each range that contains the number.
  template <class Take>
  void each_containing(double number, Take take) const {
    if (number != number || ranges_.empty()) return;
    // Nodes of a complete tree over ranges_ by lower bound, each with its greatest upper bound.
    std::array<std::pair<uint32_t, uint32_t>, 64> open;  // node, first range below it
    size_t count = 0;
    open[count++] = {1, 0};
    while (count > 0) {
      const auto [node, first] = open[--count];
      if (first >= ranges_.size() || ranges_[first].range.lower > number ||
          greatest_[node] < number)
        continue;
      if (node >= width_) {
        if (ranges_[first].range.contains(number)) take(ranges_[first].condition);
        continue;
      }
      open[count++] = {node * 2, first};
      open[count++] = {node * 2 + 1, first + ranges_below(node) / 2};
    }
  }

 private:
  struct Entry {
    NumberRange range;
    uint32_t condition;
  };
  uint32_t ranges_below(uint32_t node) const;

  std::vector<Entry> ranges_;
  std::vector<double> greatest_;
  uint32_t width_ = 0;  // ranges_ rounded up to a power of two
};

class FilterIndex {
 public:
  struct Entry {
    SubscriptionId id;
    const FilterPolicy* policy;  // of the same scope, and not one that accepts all
  };

  FilterIndex(std::span<const Entry> entries, FilterJson& json);
  FilterIndex(const FilterIndex&) = delete;
  FilterIndex& operator=(const FilterIndex&) = delete;

  // What to read the message into before match().
  FilterFields& fields() { return fields_; }
  // Appends the subscriptions whose policies accept what fields() has, in no order.
  void match(std::vector<SubscriptionId>& matches);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Condition {
    const FilterCondition* what;
    uint32_t key;
    uint32_t popularity = 0;  // ways that have it
    bool indexed = false;
    std::vector<uint32_t> ways;      // those that hang here
    std::vector<uint32_t> excluded;  // conditions of anything-but that name this one
  };
  struct Way {
    uint32_t entry;
    std::vector<uint32_t> leaves;
  };
  using ConditionMap = boost::unordered_flat_map<std::string_view, uint32_t, TextHash>;
  struct Affixes {
    ConditionMap conditions;
    std::vector<size_t> lengths;  // ascending
    void add(std::string_view affix, uint32_t condition);
  };
  struct Networks {
    bool six;
    uint8_t bits;
    ConditionMap conditions;  // by the network's bytes
  };
  struct Key {
    ConditionMap texts;
    ConditionMap any_case;
    boost::unordered_flat_map<double, uint32_t, std::hash<double>> numbers;
    std::array<uint32_t, 2> truths{kNone, kNone};
    uint32_t null = kNone;
    uint32_t exists = kNone;
    uint32_t absent = kNone;
    Affixes prefixes;
    Affixes suffixes;
    RangeIndex ranges;
    std::vector<Networks> networks;
    std::vector<uint32_t> evaluated;  // anything-but and wildcard at which ways hang
  };
  class Builder;

  static std::vector<std::string> keys_of(std::span<const Entry> entries);
  void index(uint32_t number);
  void look_up(const Key& key, const FilterValue& value);
  void look_up_text(const Key& key, std::string_view text);
  // A value meets it, or the key's being there or not does.
  void meet(uint32_t condition);
  bool evaluate(uint32_t condition);
  bool is_met(uint32_t condition);
  bool leaf_is_met(uint32_t leaf);

  const FilterKeys keys_;
  FilterFields fields_;
  std::vector<Entry> entries_;
  std::vector<Condition> conditions_;
  std::vector<std::vector<uint32_t>> leaves_;  // conditions
  std::vector<Way> ways_;
  std::vector<Key> by_key_;
  std::vector<uint32_t> keys_with_absent_;

  // Of one message: a number is of it if it is message_.
  uint32_t message_ = 0;
  std::vector<uint32_t> met_;
  std::vector<uint32_t> evaluated_;
  struct Excluded {
    uint32_t message = 0;
    uint32_t values = 0;
  };
  std::vector<Excluded> excluded_;
  std::vector<std::pair<uint32_t, bool>> leaf_met_;
  std::vector<uint32_t> matched_;
  std::vector<uint32_t> reached_;  // conditions that are met and at which ways hang
};

}  // namespace millrace::engine

#include "engine/filter_index.h"

#include <algorithm>
#include <bit>
#include <map>
#include <string>

namespace millrace::engine {
namespace {

// How many messages may be expected to meet a condition, against one that is equal to a text.
uint64_t expected_share(FilterCondition::Kind kind) {
  switch (kind) {
    case FilterCondition::Kind::truth:
      return 16;
    case FilterCondition::Kind::prefix:
    case FilterCondition::Kind::suffix:
    case FilterCondition::Kind::address:
      return 2;
    case FilterCondition::Kind::numeric:
      return 8;
    // These are evaluated for each message that has the key, or lacks it.
    case FilterCondition::Kind::anything_but:
    case FilterCondition::Kind::wildcard:
    case FilterCondition::Kind::exists:
      return 1'000;
    default:
      return 1;
  }
}

// Is whether it is met told by counting what it excludes?
bool is_counted(const FilterCondition& condition) {
  return condition.kind == FilterCondition::Kind::anything_but &&
         condition.except.front().kind != FilterCondition::Kind::wildcard;
}

}  // namespace

void RangeIndex::build() {
  if (ranges_.empty()) return;
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Entry& a, const Entry& b) { return a.range.lower < b.range.lower; });
  width_ = std::bit_ceil(static_cast<uint32_t>(ranges_.size()));
  greatest_.assign(size_t{width_} * 2, -std::numeric_limits<double>::infinity());
  for (size_t i = 0; i < ranges_.size(); ++i)
    greatest_[width_ + i] = ranges_[i].range.upper;
  for (size_t node = width_ - 1; node > 0; --node)
    greatest_[node] = std::max(greatest_[node * 2], greatest_[node * 2 + 1]);
}

uint32_t RangeIndex::ranges_below(uint32_t node) const {
  return width_ >> (std::bit_width(node) - 1);
}

void FilterIndex::Affixes::add(std::string_view affix, uint32_t condition) {
  conditions.emplace(affix, condition);
  const auto at = std::lower_bound(lengths.begin(), lengths.end(), affix.size());
  if (at == lengths.end() || *at != affix.size()) lengths.insert(at, affix.size());
}

// Makes one of what is the same: conditions under one key, and leaves.
class FilterIndex::Builder {
 public:
  explicit Builder(FilterIndex& index) : index_(index) {}

  void add(uint32_t entry) {
    const FilterPolicy& policy = *index_.entries_[entry].policy;
    std::vector<uint32_t> leaves;
    for (const FilterLeaf& leaf : policy.leaves)
      leaves.push_back(leaf_number(index_.keys_.find(policy.keys[leaf.key])->key, leaf));
    for (const std::vector<uint32_t>& way : policy.ways) {
      Way& added = index_.ways_.emplace_back(Way{entry, {}});
      for (const uint32_t leaf : way)
        added.leaves.push_back(leaves[leaf]);
      for (const uint32_t leaf : added.leaves)
        for (const uint32_t condition : index_.leaves_[leaf])
          ++index_.conditions_[condition].popularity;
    }
  }

  // When all are added: only now is known what is rare.
  void hang() {
    for (uint32_t way = 0; way < index_.ways_.size(); ++way) {
      const std::vector<uint32_t>& leaves = index_.ways_[way].leaves;
      const uint32_t rarest = *std::min_element(
          leaves.begin(), leaves.end(), [&](uint32_t a, uint32_t b) { return cost(a) < cost(b); });
      for (const uint32_t condition : index_.leaves_[rarest])
        index_.conditions_[condition].ways.push_back(way);
    }
  }

 private:
  uint32_t leaf_number(uint32_t key, const FilterLeaf& leaf) {
    std::vector<uint32_t> conditions;
    for (const FilterCondition& condition : leaf.conditions)
      conditions.push_back(condition_number(key, condition));
    std::sort(conditions.begin(), conditions.end());
    conditions.erase(std::unique(conditions.begin(), conditions.end()), conditions.end());
    const auto [known, added] =
        leaves_.emplace(conditions, static_cast<uint32_t>(index_.leaves_.size()));
    if (added) index_.leaves_.push_back(std::move(conditions));
    return known->second;
  }

  uint32_t condition_number(uint32_t key, const FilterCondition& condition) {
    const auto [known, added] = conditions_.emplace(
        std::pair(key, condition.identity()), static_cast<uint32_t>(index_.conditions_.size()));
    if (!added) return known->second;
    const uint32_t number = known->second;
    index_.conditions_.push_back({&condition, key, 0, false, {}, {}});
    if (is_counted(condition)) name_excluded(key, condition, number);
    return number;
  }

  // A value meets one of them at most, once each is there once: so they can be counted.
  void name_excluded(uint32_t key, const FilterCondition& condition, uint32_t number) {
    std::vector<uint32_t> named;
    for (const FilterCondition& one : condition.except)
      named.push_back(condition_number(key, one));
    std::sort(named.begin(), named.end());
    named.erase(std::unique(named.begin(), named.end()), named.end());
    for (const uint32_t one : named)
      index_.conditions_[one].excluded.push_back(number);
  }

  uint64_t cost(uint32_t leaf) const {
    uint64_t cost = 0;
    for (const uint32_t number : index_.leaves_[leaf]) {
      const Condition& condition = index_.conditions_[number];
      cost += expected_share(condition.what->kind) * condition.popularity;
    }
    return cost;
  }

  FilterIndex& index_;
  std::map<std::pair<uint32_t, std::string>, uint32_t> conditions_;
  std::map<std::vector<uint32_t>, uint32_t> leaves_;
};

std::vector<std::string> FilterIndex::keys_of(std::span<const Entry> entries) {
  std::vector<std::string> keys;
  for (const Entry& entry : entries)
    keys.insert(keys.end(), entry.policy->keys.begin(), entry.policy->keys.end());
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

FilterIndex::FilterIndex(std::span<const Entry> entries, FilterJson& json)
    : keys_(keys_of(entries)),
      fields_(keys_, json),
      entries_(entries.begin(), entries.end()),
      by_key_(keys_.size()) {
  Builder builder(*this);
  for (uint32_t entry = 0; entry < entries_.size(); ++entry)
    builder.add(entry);
  builder.hang();
  for (uint32_t number = 0; number < conditions_.size(); ++number)
    index(number);
  for (uint32_t key = 0; key < by_key_.size(); ++key) {
    by_key_[key].ranges.build();
    if (by_key_[key].absent != kNone) keys_with_absent_.push_back(key);
  }
  met_.resize(conditions_.size());
  evaluated_.resize(conditions_.size());
  excluded_.resize(conditions_.size());
  leaf_met_.resize(leaves_.size());
  matched_.resize(entries_.size());
}

void FilterIndex::index(uint32_t number) {
  Condition& condition = conditions_[number];
  const FilterCondition& what = *condition.what;
  Key& key = by_key_[condition.key];
  condition.indexed = true;
  switch (what.kind) {
    case FilterCondition::Kind::text:
      key.texts.emplace(what.text, number);
      break;
    case FilterCondition::Kind::any_case:
      key.any_case.emplace(what.text, number);
      break;
    case FilterCondition::Kind::number:
      key.numbers.emplace(what.range.lower, number);
      break;
    case FilterCondition::Kind::truth:
      key.truths[what.truth ? 1 : 0] = number;
      break;
    case FilterCondition::Kind::null:
      key.null = number;
      break;
    case FilterCondition::Kind::exists:
      (what.truth ? key.exists : key.absent) = number;
      break;
    case FilterCondition::Kind::prefix:
      key.prefixes.add(what.text, number);
      break;
    case FilterCondition::Kind::suffix:
      key.suffixes.add(what.text, number);
      break;
    case FilterCondition::Kind::numeric:
      key.ranges.add(what.range, number);
      break;
    case FilterCondition::Kind::address: {
      const bool six = what.network.six;
      auto group = std::find_if(key.networks.begin(), key.networks.end(), [&](const Networks& one) {
        return one.six == six && one.bits == what.bits;
      });
      if (group == key.networks.end())
        group = key.networks.insert(group, Networks{six, what.bits, {}});
      group->conditions.emplace(as_text(std::as_bytes(std::span(what.network.bytes))), number);
      break;
    }
    case FilterCondition::Kind::anything_but:
    case FilterCondition::Kind::wildcard:
      condition.indexed = false;
      if (!condition.ways.empty()) key.evaluated.push_back(number);
      break;
  }
}

void FilterIndex::match(std::vector<SubscriptionId>& matches) {
  if (!fields_.readable()) return;
  if (++message_ == 0) {
    std::fill(met_.begin(), met_.end(), 0);
    std::fill(evaluated_.begin(), evaluated_.end(), 0);
    std::fill(excluded_.begin(), excluded_.end(), Excluded{});
    std::fill(leaf_met_.begin(), leaf_met_.end(), std::pair(0u, false));
    std::fill(matched_.begin(), matched_.end(), 0);
    message_ = 1;
  }
  reached_.clear();
  for (const uint32_t number : fields_.present_keys()) {
    const Key& key = by_key_[number];
    meet(key.exists);
    fields_.any_value(number, [&](const FilterValue& value) {
      look_up(key, value);
      return false;
    });
    for (const uint32_t condition : key.evaluated)
      if (is_met(condition)) reached_.push_back(condition);
  }
  for (const uint32_t key : keys_with_absent_)
    if (!fields_.present(key)) meet(by_key_[key].absent);

  for (const uint32_t condition : reached_) {
    for (const uint32_t number : conditions_[condition].ways) {
      const Way& way = ways_[number];
      if (matched_[way.entry] == message_) continue;
      if (!std::all_of(way.leaves.begin(), way.leaves.end(),
                       [&](uint32_t leaf) { return leaf_is_met(leaf); }))
        continue;
      matched_[way.entry] = message_;
      matches.push_back(entries_[way.entry].id);
    }
  }
}

void FilterIndex::meet(uint32_t condition) {
  if (condition == kNone) return;
  for (const uint32_t number : conditions_[condition].excluded) {
    Excluded& excluded = excluded_[number];
    if (excluded.message != message_) excluded = {message_, 0};
    ++excluded.values;
  }
  if (met_[condition] == message_) return;
  met_[condition] = message_;
  if (!conditions_[condition].ways.empty()) reached_.push_back(condition);
}

bool FilterIndex::is_met(uint32_t number) {
  const Condition& condition = conditions_[number];
  if (!condition.indexed && evaluated_[number] != message_) {
    evaluated_[number] = message_;
    if (evaluate(number)) met_[number] = message_;
  }
  return met_[number] == message_;
}

bool FilterIndex::evaluate(uint32_t number) {
  const Condition& condition = conditions_[number];
  if (!is_counted(*condition.what)) return fields_.meets(condition.key, *condition.what);
  const Excluded& excluded = excluded_[number];
  return fields_.value_count(condition.key) > (excluded.message == message_ ? excluded.values : 0);
}

bool FilterIndex::leaf_is_met(uint32_t leaf) {
  auto& [of, met] = leaf_met_[leaf];
  if (of != message_) {
    of = message_;
    met = std::any_of(leaves_[leaf].begin(), leaves_[leaf].end(),
                      [&](uint32_t condition) { return is_met(condition); });
  }
  return met;
}

void FilterIndex::look_up(const Key& key, const FilterValue& value) {
  switch (value.kind) {
    case FilterValue::Kind::null:
      return meet(key.null);
    case FilterValue::Kind::truth:
      return meet(key.truths[value.truth ? 1 : 0]);
    case FilterValue::Kind::number: {
      const auto equal = key.numbers.find(value.number);
      if (equal != key.numbers.end()) meet(equal->second);
      key.ranges.each_containing(value.number, [&](uint32_t condition) { meet(condition); });
      return;
    }
    case FilterValue::Kind::text:
      return look_up_text(key, value.text);
  }
}

void FilterIndex::look_up_text(const Key& key, std::string_view text) {
  const auto meet_found = [&](const ConditionMap& map, std::string_view wanted) {
    const auto found = map.find(wanted);
    if (found != map.end()) meet(found->second);
  };
  if (!key.texts.empty()) meet_found(key.texts, text);
  if (!key.any_case.empty()) meet_found(key.any_case, in_lower_case(text));
  for (const size_t length : key.prefixes.lengths) {
    if (length > text.size()) break;
    meet_found(key.prefixes.conditions, text.substr(0, length));
  }
  for (const size_t length : key.suffixes.lengths) {
    if (length > text.size()) break;
    meet_found(key.suffixes.conditions, text.substr(text.size() - length));
  }
  if (key.networks.empty()) return;
  const auto address = IpAddress::parse(text);
  if (!address) return;
  for (const Networks& group : key.networks) {
    if (group.six != address->six) continue;
    const IpAddress network = address->network(group.bits);
    meet_found(group.conditions, as_text(std::as_bytes(std::span(network.bytes))));
  }
}

}  // namespace millrace::engine

#include "engine/filter_policy_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <simdjson.h>

#include <fmt/format.h>

#include "engine/filter_fields.h"

namespace millrace::engine {
namespace {

namespace dom = simdjson::dom;
using Kind = FilterCondition::Kind;

constexpr double kFilterNumberMax = 1e9;
constexpr uint64_t kCombinationsCounted = 1'000'000;  // more are as many
// Objects in objects and branches in branches. One of two thirds of these is past what the
// combinations allow: depth is a factor, and each $or adds a way.
constexpr size_t kPolicyLevelsMax = 2 * FilterPolicy::kCombinationsMax;
// A way has some leaf of its own, so more leaves have too many keys or combinations.
constexpr size_t kLeavesMax = FilterPolicy::kCombinationsMax * FilterPolicy::kKeysMax;

constexpr std::array<std::string_view, 8> kOperators{
    "prefix", "suffix",  "equals-ignore-case", "anything-but", "numeric", "exists",
    "cidr",   "wildcard"};

bool is_operator(std::string_view name) {
  return std::find(kOperators.begin(), kOperators.end(), name) != kOperators.end();
}

bool is_or(const dom::array& list) {
  size_t branches = 0;
  for (const dom::element branch : list) {
    dom::object object;
    if (branch.get_object().get(object) != simdjson::SUCCESS) return false;
    for (const dom::key_value_pair member : object)
      if (is_operator(member.key)) return false;
    ++branches;
  }
  return branches >= 2;
}

template <class List>
bool is_empty(const List& list) {
  return !(list.begin() != list.end());
}

std::string shown(const dom::element& element) {
  return simdjson::minify(element);
}

// The ways of a part of a policy, and how many combinations they are.
struct Ways {
  std::vector<std::vector<uint32_t>> list{{}};
  uint64_t combinations = 1;
};

class FilterPolicyReader {
 public:
  FilterPolicyReader(FilterExtensions extensions, FilterRefusal& refusal)
      : extensions_(extensions == FilterExtensions::taken), refusal_(refusal) {}

  std::optional<FilterPolicy> read(std::string_view text, FilterScope scope) {
    policy_.scope = scope;
    if (text.size() > FilterPolicy::kTextBytesMax) {
      refuse(fmt::format("Filter policy can not have more than {} bytes",
                         FilterPolicy::kTextBytesMax));
      return std::nullopt;
    }
    dom::parser parser;
    dom::element root;
    const simdjson::error_code error = parser.parse(text.data(), text.size()).get(root);
    if (error != simdjson::SUCCESS) {
      refuse(error == simdjson::DEPTH_ERROR
                 ? "Filter policy is too complex"
                 : fmt::format("failed to parse JSON. {}", simdjson::error_message(error)));
      return std::nullopt;
    }
    dom::object object;
    if (root.get_object().get(object) != simdjson::SUCCESS) {
      refuse("failed to parse JSON. Filter is not an object");
      return std::nullopt;
    }
    Ways ways;
    if (!is_empty(object) && !read_object(object, {}, 1, 1, ways)) return std::nullopt;
    if (policy_.keys.size() > FilterPolicy::kKeysMax) {
      refuse(fmt::format("Filter policy can not have more than {} keys", FilterPolicy::kKeysMax));
      return std::nullopt;
    }
    if (ways.combinations > FilterPolicy::kCombinationsMax) {
      refuse("Filter policy is too complex");
      return std::nullopt;
    }
    policy_.ways = std::move(ways.list);
    return std::move(policy_);
  }

 private:
  bool refuse(std::string_view text) {
    refusal_.text = fmt::format("FilterPolicy: {}", text);
    return false;
  }

  // Objects of a level: `prefix` is what their keys begin with.
  bool read_object(const dom::object& object, const std::string& prefix, uint64_t depth,
                   size_t level, Ways& ways) {
    if (level > kPolicyLevelsMax) return refuse("Filter policy is too complex");
    if (is_empty(object)) return refuse("Empty objects are not allowed");
    std::vector<std::string_view> names;
    for (const dom::key_value_pair member : object)
      names.push_back(member.key);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
      return refuse(fmt::format("Path `{}{}` cannot be allowed multiple times", prefix, *twice));
    for (const dom::key_value_pair member : object)
      if (!read_member(member, prefix, depth, level, ways)) return false;
    return true;
  }

  bool read_member(const dom::key_value_pair& member, const std::string& prefix, uint64_t depth,
                   size_t level, Ways& ways) {
    std::string path = prefix + std::string(member.key);
    dom::object object;
    if (member.value.get_object().get(object) == simdjson::SUCCESS) {
      if (policy_.scope == FilterScope::attributes) {
        refusal_.text =
            "Filter policy scope MessageAttributes does not support nested filter policy";
        return false;
      }
      return read_object(object, path + ".", depth + 1, level + 1, ways);
    }
    dom::array list;
    if (member.value.get_array().get(list) != simdjson::SUCCESS)
      return refuse(fmt::format("\"{}\" must be an object or an array", member.key));
    if (is_empty(list)) return refuse("Empty arrays are not allowed");
    if (member.key == "$or" && is_or(list)) return read_or(list, prefix, depth, level, ways);
    return read_leaf(list, std::move(path), depth, ways);
  }

  bool read_or(const dom::array& list, const std::string& prefix, uint64_t depth, size_t level,
               Ways& ways) {
    Ways all{{}, 0};
    for (const dom::element branch : list) {
      Ways one;
      if (!read_object(branch.get_object().value_unsafe(), prefix, depth, level + 1, one))
        return false;
      all.combinations = std::min(all.combinations + one.combinations, kCombinationsCounted);
      if (all.combinations <= FilterPolicy::kCombinationsMax)
        all.list.insert(all.list.end(), one.list.begin(), one.list.end());
    }
    multiply(ways, all);
    return true;
  }

  // Each way of the one with each of the other, as long as that may be a policy.
  static void multiply(Ways& ways, const Ways& by) {
    ways.combinations = std::min(ways.combinations * by.combinations, kCombinationsCounted);
    if (ways.combinations > FilterPolicy::kCombinationsMax) return;
    std::vector<std::vector<uint32_t>> product;
    for (const std::vector<uint32_t>& one : ways.list) {
      for (const std::vector<uint32_t>& other : by.list) {
        product.push_back(one);
        product.back().insert(product.back().end(), other.begin(), other.end());
      }
    }
    ways.list = std::move(product);
  }

  bool read_leaf(const dom::array& list, std::string path, uint64_t depth, Ways& ways) {
    FilterLeaf leaf;
    uint64_t values = 0;
    for (const dom::element element : list) {
      ++values;
      if (!read_condition(element, leaf.conditions.emplace_back())) return false;
      // Of what is refused in the end only the rest is still to be read.
      if (values > FilterPolicy::kCombinationsMax) leaf.conditions.pop_back();
    }
    const uint64_t factor = std::min(values * depth, kCombinationsCounted);
    leaf.key = key_number(std::move(path));
    if (policy_.keys.size() > FilterPolicy::kKeysMax || policy_.leaves.size() >= kLeavesMax) {
      ways.combinations = kCombinationsCounted;
      return true;
    }
    multiply(ways, {{{static_cast<uint32_t>(policy_.leaves.size())}}, factor});
    policy_.leaves.push_back(std::move(leaf));
    return true;
  }

  uint32_t key_number(std::string path) {
    const auto known = std::find(policy_.keys.begin(), policy_.keys.end(), path);
    const auto number = static_cast<uint32_t>(known - policy_.keys.begin());
    // One too many is enough to know that there are.
    if (known == policy_.keys.end() && number <= FilterPolicy::kKeysMax)
      policy_.keys.push_back(std::move(path));
    return number;
  }

  bool read_condition(const dom::element& element, FilterCondition& condition) {
    dom::object object;
    if (element.get_object().get(object) == simdjson::SUCCESS)
      return read_expression(object, condition);
    if (element.is_array())
      return refuse("Match value must be String, number, true, false, or null");
    return read_scalar(element, condition);
  }

  bool read_scalar(const dom::element& element, FilterCondition& condition) {
    switch (element.type()) {
      case dom::element_type::STRING:
        condition.kind = Kind::text;
        condition.text = element.get_string().value_unsafe();
        return true;
      case dom::element_type::BOOL:
        condition.kind = Kind::truth;
        condition.truth = element.get_bool().value_unsafe();
        return true;
      case dom::element_type::NULL_VALUE:
        condition.kind = Kind::null;
        return true;
      default:
        condition.kind = Kind::number;
        if (!read_number(element, condition.range.lower)) return false;
        condition.range.upper = condition.range.lower;
        return true;
    }
  }

  bool read_number(const dom::element& element, double& number) {
    number = element.get_double().value_unsafe();
    return (number >= -kFilterNumberMax && number <= kFilterNumberMax) ||
           refuse("Value must be between -1.0E9 and 1.0E9, inclusive");
  }

  // {operator: pattern}
  bool read_expression(const dom::object& object, FilterCondition& condition) {
    if (is_empty(object)) return refuse("Match expression name not found");
    if (object.size() != 1) return refuse("Only one key allowed in match expression");
    const dom::key_value_pair member = *object.begin();
    if (member.key == "anything-but") return read_anything_but(member.value, condition);
    if (member.key == "numeric") return read_numeric(member.value, condition);
    if (member.key == "exists") return read_exists(member.value, condition);
    if (member.key == "cidr") return read_cidr(member.value, condition);
    if (member.key == "wildcard" && !extensions_) return refuse("Unrecognized match type wildcard");
    if (is_operator(member.key)) return read_text_operator(member, condition);
    return refuse(fmt::format("Unrecognized match type {}", member.key));
  }

  bool read_text_operator(const dom::key_value_pair& member, FilterCondition& condition) {
    std::string_view pattern;
    if (member.value.get_string().get(pattern) != simdjson::SUCCESS)
      return refuse(fmt::format("{} match pattern must be a string", member.key));
    condition.text = pattern;
    if (member.key == "prefix") {
      condition.kind = Kind::prefix;
    } else if (member.key == "suffix") {
      condition.kind = Kind::suffix;
    } else if (member.key == "equals-ignore-case") {
      condition.kind = Kind::any_case;
      condition.text = in_lower_case(pattern);
    } else {
      condition.kind = Kind::wildcard;
      return read_wildcard(pattern, condition.pieces);
    }
    return true;
  }

  bool read_wildcard(std::string_view pattern, std::vector<std::string>& pieces) {
    pieces.emplace_back();
    for (size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] == '*') {
        if (i > 0 && pattern[i - 1] == '*' && pieces.back().empty())
          return refuse(fmt::format("Consecutive wildcard characters at pos {}", i - 1));
        pieces.emplace_back();
        continue;
      }
      if (pattern[i] == '\\') {
        if (i + 1 == pattern.size() || (pattern[i + 1] != '*' && pattern[i + 1] != '\\'))
          return refuse(fmt::format("Invalid escape character at pos {}", i));
        ++i;
      }
      pieces.back() += pattern[i];
    }
    return true;
  }

  bool read_anything_but(const dom::element& value, FilterCondition& condition) {
    condition.kind = Kind::anything_but;
    dom::object object;
    dom::array list;
    if (value.get_object().get(object) == simdjson::SUCCESS)
      return read_but_expression(object, condition.except.emplace_back());
    if (value.get_array().get(list) != simdjson::SUCCESS)
      return read_but_value(value,
                            "Value of anything-but must be an array or single string/number value.",
                            condition.except.emplace_back());
    if (is_empty(list)) return refuse("Empty arrays are not allowed");
    for (const dom::element element : list) {
      if (!read_but_value(element, "Inside anything but list, start|null|boolean is not supported.",
                          condition.except.emplace_back())) {
        return false;
      }
    }
    return true;
  }

  bool read_but_value(const dom::element& value, std::string_view otherwise,
                      FilterCondition& condition) {
    if (!value.is_string() && !value.is_number()) return refuse(otherwise);
    return read_scalar(value, condition);
  }

  bool read_but_expression(const dom::object& object, FilterCondition& condition) {
    if (is_empty(object)) return refuse("Anything-But expression name not found");
    const dom::key_value_pair member = *object.begin();
    const bool known = member.key == "prefix" ||
                       (extensions_ && (member.key == "suffix" || member.key == "wildcard" ||
                                        member.key == "equals-ignore-case"));
    if (!known) return refuse(fmt::format("Unsupported anything-but pattern: {}", member.key));
    if (object.size() != 1) return refuse("Only one key allowed in match expression");
    return read_text_operator(member, condition);
  }

  bool read_exists(const dom::element& value, FilterCondition& condition) {
    condition.kind = Kind::exists;
    return value.get_bool().get(condition.truth) == simdjson::SUCCESS ||
           refuse("exists match pattern must be either true or false.");
  }

  bool read_cidr(const dom::element& value, FilterCondition& condition) {
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS)
      return refuse("prefix match pattern must be a string");
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos || text.find('/', slash + 1) != std::string_view::npos)
      return refuse("Malformed CIDR, one '/' required");
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) return refuse(fmt::format("Nonstandard IP address: {}", text.substr(0, slash)));
    const std::string_view mask = text.substr(slash + 1);
    uint32_t bits = 0;
    const auto [end, error] = std::from_chars(mask.data(), mask.data() + mask.size(), bits);
    if (mask.empty() || end != mask.data() + mask.size() || error == std::errc::invalid_argument)
      return refuse("Malformed CIDR, mask bits must be an integer");
    if (error != std::errc() || bits > address->bits_max())
      return refuse(
          fmt::format("Malformed CIDR, mask bits must be at most {}", address->bits_max()));
    condition.kind = Kind::address;
    condition.text = text;
    condition.bits = static_cast<uint8_t>(bits);
    condition.network = address->network(bits);
    return true;
  }

  bool read_numeric(const dom::element& value, FilterCondition& condition) {
    dom::array list;
    if (value.get_array().get(list) != simdjson::SUCCESS)
      return refuse("Value of numeric must be an array.");
    // One more than there may be, so that it is seen.
    std::array<dom::element, 5> terms;
    size_t count = 0;
    for (const dom::element term : list)
      if (count < terms.size()) terms[count++] = term;
    return read_range(std::span(terms).first(count), condition);
  }

  bool read_range(std::span<const dom::element> terms, FilterCondition& condition) {
    std::string_view name;
    if (terms.empty()) return refuse("Invalid member in numeric match: ]");
    if (terms[0].get_string().get(name) != simdjson::SUCCESS)
      return refuse(fmt::format("Invalid member in numeric match: {}", shown(terms[0])));
    const bool equals = name == "=";
    const bool lower = name == ">" || name == ">=";
    if (!equals && !lower && name != "<" && name != "<=")
      return refuse(fmt::format("Unrecognized numeric range operator: {}", name));
    condition.kind = equals ? Kind::number : Kind::numeric;
    NumberRange& range = condition.range;
    range = {-kRangeEnd, kRangeEnd, false, false};
    double number = 0;
    if (!read_term(terms, 1, equals ? "equals" : name, number)) return false;
    if (equals || lower) range.lower = number;
    if (equals || !lower) range.upper = number;
    range.lower_open = name == ">";
    range.upper_open = name == "<";
    if (terms.size() == 2) return true;
    if (!lower) return refuse("Too many elements in numeric expression");
    return read_upper(terms, range);
  }

  bool read_upper(std::span<const dom::element> terms, NumberRange& range) {
    std::string_view name;
    if (terms[2].get_string().get(name) != simdjson::SUCCESS)
      return refuse(fmt::format("Bad value in numeric range: {}", shown(terms[2])));
    if (name != "<" && name != "<=")
      return refuse(fmt::format("Bad numeric range operator: {}", name));
    if (!read_term(terms, 3, name, range.upper)) return false;
    range.upper_open = name == "<";
    if (range.lower >= range.upper) return refuse("Bottom must be less than top");
    return terms.size() == 4 || refuse("Too many terms in numeric range expression");
  }

  bool read_term(std::span<const dom::element> terms, size_t at, std::string_view name,
                 double& number) {
    if (at >= terms.size() || !terms[at].is_number())
      return refuse(fmt::format("Value of {} must be numeric", name));
    return read_number(terms[at], number);
  }

  static constexpr double kRangeEnd = std::numeric_limits<double>::infinity();

  const bool extensions_;
  FilterRefusal& refusal_;
  FilterPolicy policy_;
};

}  // namespace

std::optional<FilterPolicy> parse_filter_policy(std::string_view text, FilterScope scope,
                                                FilterExtensions extensions,
                                                FilterRefusal* refusal) {
  return FilterPolicyReader(extensions, *refusal).read(text, scope);
}

}  // namespace millrace::engine

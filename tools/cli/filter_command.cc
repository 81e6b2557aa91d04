// millrace topic test-filter: does a message pass a filter policy, and why? Asks the library
// itself, and no broker.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/bounded_json.h"
#include "engine/filter_fields.h"
#include "engine/filter_policy.h"
#include "engine/filter_policy_parser.h"
#include "millrace/properties.h"
#include "tools/cli/command.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using engine::FilterCondition;
using engine::FilterFields;
using engine::FilterLeaf;
using engine::FilterPolicy;
using engine::FilterValue;

struct TestFilterOptions {
  std::string policy;
  std::string message;
  std::string scope = "MessageAttributes";
  bool extensions = false;
};

constexpr size_t kValuesShown = 5;

// Whole numbers without ".0".
Json json_number(double number) {
  if (number == static_cast<double>(static_cast<int64_t>(number)))
    return static_cast<int64_t>(number);
  return number;
}

Json json_range(const FilterCondition& condition) {
  const engine::NumberRange& range = condition.range;
  Json terms = Json::array();
  if (range.lower > -HUGE_VAL) {
    terms.push_back(range.lower_open ? ">" : ">=");
    terms.push_back(json_number(range.lower));
  }
  if (range.upper < HUGE_VAL) {
    terms.push_back(range.upper_open ? "<" : "<=");
    terms.push_back(json_number(range.upper));
  }
  return {{"numeric", terms}};
}

Json json_except(const FilterCondition& condition);

// As it stands in the policy, or the same in other words.
Json json_condition(const FilterCondition& condition) {
  switch (condition.kind) {
    case FilterCondition::Kind::text:
      return condition.text;
    case FilterCondition::Kind::number:
      return json_number(condition.range.lower);
    case FilterCondition::Kind::truth:
      return condition.truth;
    case FilterCondition::Kind::null:
      return nullptr;
    case FilterCondition::Kind::prefix:
      return {{"prefix", condition.text}};
    case FilterCondition::Kind::suffix:
      return {{"suffix", condition.text}};
    case FilterCondition::Kind::any_case:
      return {{"equals-ignore-case", condition.text}};
    case FilterCondition::Kind::wildcard:
      return {{"wildcard", condition.text}};
    case FilterCondition::Kind::numeric:
      return json_range(condition);
    case FilterCondition::Kind::exists:
      return {{"exists", condition.truth}};
    case FilterCondition::Kind::address:
      return {{"cidr", condition.text}};
    case FilterCondition::Kind::anything_but:
      return {{"anything-but", json_except(condition)}};
  }
  return nullptr;
}

Json json_except(const FilterCondition& condition) {
  if (condition.except.size() == 1) return json_condition(condition.except.front());
  Json list = Json::array();
  for (const FilterCondition& one : condition.except)
    list.push_back(json_condition(one));
  return list;
}

Json json_value(const FilterValue& value) {
  switch (value.kind) {
    case FilterValue::Kind::text:
      return std::string(value.text);
    case FilterValue::Kind::number:
      return json_number(value.number);
    case FilterValue::Kind::truth:
      return value.truth;
    case FilterValue::Kind::null:
      return nullptr;
  }
  return nullptr;
}

std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// "a", "b" and 3 more
std::string shown_list(const Json& list, size_t count) {
  std::string text;
  for (size_t i = 0; i < list.size() && i < kValuesShown; ++i)
    text += (i == 0 ? "" : ", ") + json_text(list[i]);
  if (count > kValuesShown) text += fmt::format(" and {} more", count - kValuesShown);
  return text;
}

// A key that a message passes or does not, in one way of the policy.
struct AskedKey {
  size_t branch;
  const FilterLeaf* leaf;
};

Json json_conditions(const FilterLeaf& leaf) {
  Json list = Json::array();
  for (const FilterCondition& condition : leaf.conditions)
    list.push_back(json_condition(condition));
  return list;
}

Json json_values(const FilterFields& fields, uint32_t key) {
  Json list = Json::array();
  fields.any_value(key, [&](const FilterValue& value) {
    list.push_back(json_value(value));
    return false;
  });
  return list;
}

// Those of the first way that it passes; of one that passes none, what refuses it in each.
std::vector<AskedKey> keys_that_decide(const FilterPolicy& policy, const FilterFields& fields,
                                       bool matches) {
  std::vector<AskedKey> keys;
  const auto passes = [&](uint32_t leaf) { return policy.leaves[leaf].accepts(fields); };
  for (size_t way = 0; way < policy.ways.size() && fields.readable(); ++way) {
    const auto& leaves = policy.ways[way];
    if (matches && !std::all_of(leaves.begin(), leaves.end(), passes)) continue;
    for (const uint32_t leaf : leaves)
      if (passes(leaf) == matches) keys.push_back({way + 1, &policy.leaves[leaf]});
    if (matches) break;
  }
  return keys;
}

std::string line_of(const AskedKey& asked, const FilterPolicy& policy, const FilterFields& fields) {
  const FilterLeaf& leaf = *asked.leaf;
  const Json values = json_values(fields, leaf.key);
  const Json conditions = json_conditions(leaf);
  const std::string branch = policy.ways.size() > 1 ? fmt::format("branch {}: ", asked.branch) : "";
  const std::string here = !fields.present(leaf.key) ? "is absent"
                           : values.empty()          ? "has no value to compare"
                                                     : "is " + shown_list(values, values.size());
  return fmt::format("{}{} {}, wanted {}{}\n", branch, json_text(policy.keys[leaf.key]), here,
                     conditions.size() > 1 ? "one of " : "",
                     shown_list(conditions, conditions.size()));
}

// JSON itself, or the file that has it. False after the one line was written.
bool read_json_argument(const std::string& argument, std::string& text) {
  const size_t first = argument.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || argument[first] == '{' || argument[first] == '[') {
    text = argument;
    return true;
  }
  errno = 0;
  std::ifstream file(argument, std::ios::binary);
  std::ostringstream content;
  if (file) content << file.rdbuf();
  // Without an error it failed because the file is empty.
  if ((!file || !content) && errno != 0) {
    refuse(fmt::format("'{}': {}", argument, std::strerror(errno)));
    return false;
  }
  text = content.str();
  return true;
}

bool refuse_attribute(const std::string& name) {
  refuse(
      fmt::format("attribute '{}': not a text, a number, a list, or an object with DataType and "
                  "StringValue",
                  printable(name)));
  return false;
}

// {"a": "x"}, {"a": 1}, {"a": ["x", 1]}; or as the AWS CLI takes them:
// {"a": {"DataType": "String", "StringValue": "x"}}.
bool read_attribute(const std::string& name, const Json& value, std::string& properties) {
  std::string type = "String";
  std::string text;
  if (value.is_string()) {
    text = value.get<std::string>();
  } else if (value.is_number()) {
    type = "Number";
    text = value.dump();
  } else if (value.is_array()) {
    type = "String.Array";
    text = json_text(value);
  } else {
    if (!value.is_object() || !value.contains("DataType") || !value["DataType"].is_string())
      return refuse_attribute(name);
    type = value["DataType"].get<std::string>();
    const char* const key = value.contains("BinaryValue") ? "BinaryValue" : "StringValue";
    if (!value.contains(key) || !value[key].is_string()) return refuse_attribute(name);
    text = value[key].get<std::string>();
  }
  if (name.size() > kPropertyNameBytesMax || type.size() > kPropertyTypeBytesMax) {
    refuse(fmt::format("attribute '{}': its name or type is too long", printable(name)));
    return false;
  }
  append_property(properties, PropertyTag::attribute, name, type, as_bytes(text));
  return true;
}

bool read_attributes(const std::string& text, std::string& properties) {
  const Json attributes = base::parse_bounded_json<Json>(text);
  if (!attributes.is_object()) {
    refuse("the message: not a JSON object of attributes; --scope MessageBody takes a body");
    return false;
  }
  for (const auto& [name, value] : attributes.items())
    if (!read_attribute(name, value, properties)) return false;
  return true;
}

int report(const Context& context, const FilterPolicy& policy, const FilterFields& fields) {
  const bool matches = policy.accepts(fields);
  const std::vector<AskedKey> keys = keys_that_decide(policy, fields, matches);
  if (context.json) {
    Json rows = Json::array();
    for (const AskedKey& one : keys)
      rows.push_back({{"branch", one.branch},
                      {"key", policy.keys[one.leaf->key]},
                      {"present", fields.present(one.leaf->key)},
                      {"values", json_values(fields, one.leaf->key)},
                      {"conditions", json_conditions(*one.leaf)}});
    print_text(json_text({{"matches", matches}, {matches ? "accepted" : "refused", rows}}) + "\n");
  } else {
    if (matches) print_text("matches\n");
    for (const AskedKey& one : keys)
      print_text(line_of(one, policy, fields));
  }
  if (matches) return kDone;
  if (fields.readable()) return refuse("the message does not match");
  return refuse(policy.scope == FilterScope::body
                    ? "the message does not match: its body is no JSON object"
                    : "the message does not match: it has no attributes");
}

int test_filter(const Context& context, const TestFilterOptions& options) {
  std::string text;
  std::string message;
  if (!read_json_argument(options.policy, text) || !read_json_argument(options.message, message))
    return kRefused;
  const FilterScope scope =
      options.scope == "MessageBody" ? FilterScope::body : FilterScope::attributes;
  engine::FilterRefusal refusal;
  const auto policy = engine::parse_filter_policy(
      text, scope,
      options.extensions ? engine::FilterExtensions::taken : engine::FilterExtensions::refused,
      &refusal);
  if (!policy) return refuse(printable(refusal.text));
  engine::FilterJson json;
  const engine::FilterKeys keys(policy->keys);
  FilterFields fields(keys, json);
  std::string properties;
  if (scope == FilterScope::body) {
    fields.read_body(message);
  } else {
    if (!read_attributes(message, properties)) return kRefused;
    fields.read_attributes(as_bytes(properties));
  }
  return report(context, *policy, fields);
}

}  // namespace

void add_filter_command(Parser& parser, Context& context) {
  auto options = std::make_shared<TestFilterOptions>();
  parser
      .command("topic test-filter", "does a message match a filter policy, and why",
               [&context, options] { return test_filter(context, *options); })
      .argument("POLICY", options->policy, "JSON, or a file of it")
      .argument("MESSAGE", options->message,
                "its attributes as a JSON object, or its body; or a file of that")
      .option("--scope", "SCOPE", options->scope,
              "MessageAttributes or MessageBody [MessageAttributes]",
              one_of({"MessageAttributes", "MessageBody"}))
      .flag("--extensions", options->extensions, "take wildcard, as Amazon SNS does not");
}

}  // namespace millrace::tools

// Fuzzes filter policies, and compares what is understood with the naive matcher.
//
// The first byte's low bits choose the scope and whether extensions are taken; the rest is a policy
// and a message, divided by a zero. For the body the message is one; for attributes each line is a
// name, a type and a value with tabs between. Checked: no crash; what is refused has a reason;
// alone, among others and by the naive matcher a policy accepts the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "engine/filter_matcher.h"
#include "engine/filter_policy_parser.h"
#include "millrace/properties.h"
#include "tests/engine/naive_filter.h"

namespace {

using namespace millrace;
using namespace millrace::engine;

// The naive matcher is recursive and keeps one of two members with the same name.
constexpr size_t kBodyLevelsMax = 1'000;

std::string_view take(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

std::vector<NaiveAttribute> attributes_of(std::string_view text) {
  std::vector<NaiveAttribute> attributes;
  while (!text.empty() && attributes.size() < 100) {
    std::string_view line = take(text, '\n');
    NaiveAttribute one;
    one.name = take(line, '\t').substr(0, kPropertyNameBytesMax);
    one.type = take(line, '\t').substr(0, kPropertyTypeBytesMax);
    one.value = line;
    const bool known =
        std::any_of(attributes.begin(), attributes.end(),
                    [&](const NaiveAttribute& other) { return other.name == one.name; });
    if (!known) attributes.push_back(std::move(one));
  }
  return attributes;
}

bool is_deep(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
           return c == '[' || c == '{';
         })) > kBodyLevelsMax;
}

bool is_comparable(const std::vector<NaiveAttribute>& attributes) {
  return std::none_of(attributes.begin(), attributes.end(),
                      [](const NaiveAttribute& one) { return is_deep(one.value); });
}

std::string properties_of(const std::vector<NaiveAttribute>& attributes) {
  std::string properties;
  for (const NaiveAttribute& one : attributes)
    append_property(properties, PropertyTag::attribute, one.name, one.type, as_bytes(one.value));
  return properties;
}

void compare(const FilterPolicy& policy, std::string_view text, std::string_view message) {
  const bool body = policy.scope == FilterScope::body;
  const std::vector<NaiveAttribute> attributes = attributes_of(message);
  const std::string properties = properties_of(attributes);

  FilterJson json;
  const FilterKeys keys(policy.keys);
  FilterFields fields(keys, json);
  if (body)
    fields.read_body(message);
  else
    fields.read_attributes(as_bytes(properties));
  const bool accepts = policy.accepts(fields);

  FilterMatcher matcher(json);
  FilterRefusal refusal;
  auto other = parse_filter_policy(R"({"a": ["x"], "b": [{"anything-but": "x"}]})", policy.scope,
                                   FilterExtensions::refused, &refusal);
  matcher.add(SubscriptionId{2}, std::move(*other));
  matcher.add(SubscriptionId{1}, policy);
  std::vector<SubscriptionId> matches;
  matcher.match({as_bytes(properties), message}, matches);
  MR_ASSERT(accepts == (!matches.empty() && matches.front() == SubscriptionId{1}));

  bool twice = false;
  const nlohmann::json plain = naive_json(text, &twice);
  MR_ASSERT(!twice);
  if (body && is_deep(message)) return;
  if (!body && !is_comparable(attributes)) return;
  if (body) naive_json(message, &twice);
  if (twice) return;
  MR_ASSERT(accepts ==
            naive_accepts(plain, body ? naive_body(message) : naive_attributes(attributes)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const FilterScope scope = data[0] % 2 == 0 ? FilterScope::attributes : FilterScope::body;
  const FilterExtensions extensions =
      data[0] / 2 % 2 == 0 ? FilterExtensions::refused : FilterExtensions::taken;
  std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view text = take(message, '\0');
  FilterRefusal refusal;
  const auto policy = parse_filter_policy(text, scope, extensions, &refusal);
  if (policy)
    compare(*policy, text, message);
  else
    MR_ASSERT(!refusal.text.empty());
  return 0;
}

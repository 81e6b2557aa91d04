// The policies of a topic together, beside a naive matcher that reads each policy for each message.
#include "engine/filter_matcher.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/filter_policy_parser.h"
#include "millrace/properties.h"
#include "tests/engine/filter_cases.h"
#include "tests/engine/naive_filter.h"

namespace millrace::engine {
namespace {

FilterPolicy parsed(const std::string& text, FilterScope scope) {
  FilterRefusal refusal;
  auto policy = parse_filter_policy(text, scope, FilterExtensions::taken, &refusal);
  EXPECT_TRUE(policy) << text << ": " << refusal.text;
  return policy ? std::move(*policy) : FilterPolicy();
}

std::string properties_of(const std::vector<NaiveAttribute>& attributes) {
  std::string properties;
  for (const NaiveAttribute& one : attributes)
    append_property(properties, PropertyTag::attribute, one.name, one.type, as_bytes(one.value));
  return properties;
}

std::vector<uint32_t> matches_of(FilterMatcher& matcher, const std::string& properties,
                                 std::string_view body) {
  std::vector<SubscriptionId> found;
  matcher.match({as_bytes(properties), body}, found);
  std::vector<uint32_t> numbers;
  for (const SubscriptionId id : found)
    numbers.push_back(static_cast<uint32_t>(id));
  return numbers;
}

std::string order(const char* region, const char* price) {
  return properties_of({{"region", "String", region}, {"price", "Number", price}});
}

TEST(FilterMatcher, GivesTheSubscriptionsThatWantAMessageInOrder) {
  FilterJson json;
  FilterMatcher matcher(json);
  const auto add = [&](uint32_t id, const char* policy, FilterScope scope) {
    matcher.add(SubscriptionId{id}, parsed(policy, scope));
  };
  add(9, R"({"region": ["eu"]})", FilterScope::attributes);
  add(3, R"({"price": [{"numeric": [">", 5]}], "region": ["eu", "us"]})", FilterScope::attributes);
  add(5, "{}", FilterScope::attributes);
  add(4, R"({"order": {"id": [7]}})", FilterScope::body);
  using Ids = std::vector<uint32_t>;
  EXPECT_EQ(matches_of(matcher, order("eu", "6"), R"({"order": {"id": 7}})"), (Ids{3, 4, 5, 9}));
  EXPECT_EQ(matches_of(matcher, order("us", "6"), "no JSON"), (Ids{3, 5}));
  EXPECT_EQ(matches_of(matcher, order("eu", "5"), ""), (Ids{5, 9}));
  EXPECT_EQ(matches_of(matcher, "", R"({"order": {"id": 7}})"), (Ids{4, 5}));
}

TEST(FilterMatcher, FollowsWhatSubscriptionsChange) {
  FilterJson json;
  FilterMatcher matcher(json);
  using Ids = std::vector<uint32_t>;
  EXPECT_EQ(matches_of(matcher, order("eu", "1"), ""), Ids{});
  matcher.add(SubscriptionId{1}, parsed(R"({"region": ["eu"]})", FilterScope::attributes));
  matcher.add(SubscriptionId{2}, parsed(R"({"region": ["eu"]})", FilterScope::attributes));
  EXPECT_EQ(matches_of(matcher, order("eu", "1"), ""), (Ids{1, 2}));
  matcher.add(SubscriptionId{2}, parsed(R"({"region": ["us"]})", FilterScope::attributes));
  EXPECT_EQ(matches_of(matcher, order("eu", "1"), ""), Ids{1});
  matcher.add(SubscriptionId{2}, parsed("{}", FilterScope::attributes));
  EXPECT_EQ(matches_of(matcher, order("eu", "1"), ""), (Ids{1, 2}));
  matcher.remove(SubscriptionId{1});
  matcher.remove(SubscriptionId{7});
  EXPECT_EQ(matches_of(matcher, order("eu", "1"), ""), Ids{2});
  EXPECT_EQ(matcher.size(), 1u);
}

TEST(FilterMatcher, FindsARangeAmongMany) {
  FilterJson json;
  FilterMatcher matcher(json);
  for (uint32_t i = 0; i < 100; ++i) {
    const std::string from = std::to_string(i);
    const std::string to = std::to_string(i + 1 + i % 7);
    matcher.add(SubscriptionId{i},
                parsed(R"({"price": [{"numeric": [">=", )" + from + R"(, "<", )" + to + "]}]}",
                       FilterScope::attributes));
  }
  for (int price = -1; price < 110; ++price) {
    std::vector<uint32_t> expected;
    for (int i = 0; i < 100; ++i)
      if (price >= i && price < i + 1 + i % 7) expected.push_back(static_cast<uint32_t>(i));
    EXPECT_EQ(matches_of(matcher, order("eu", std::to_string(price).c_str()), ""), expected)
        << price;
  }
}

// Equal conditions are one in the index, and what is nearly equal is not.
TEST(FilterMatcher, KeepsApartConditionsThatDifferInOneThing) {
  struct Row {
    const char* condition;
    const char* type;
    const char* value;  // which this condition wants
  };
  constexpr Row kRows[] = {
      {R"({"numeric": ["<", 5]})", "Number", "4"},
      {R"({"numeric": ["<=", 5]})", "Number", "5"},
      {R"({"numeric": [">", 5]})", "Number", "6"},
      {R"({"numeric": [">=", 5]})", "Number", "5"},
      {R"({"numeric": [">", 5, "<", 6]})", "Number", "5.5"},
      {R"({"numeric": [">=", 5, "<", 6]})", "Number", "5"},
      {R"({"numeric": [">", 5, "<=", 6]})", "Number", "6"},
      {R"({"numeric": [">=", 5, "<=", 6]})", "Number", "5"},
      {"5", "Number", "5"},
      {R"("5")", "String", "5"},
      {R"({"prefix": "5"})", "String", "51"},
      {R"({"suffix": "5"})", "String", "15"},
      {R"({"equals-ignore-case": "a"})", "String", "A"},
      {R"("a")", "String", "a"},
      {R"({"wildcard": "a*"})", "String", "ab"},
      {R"({"wildcard": "a\\*"})", "String", "a*"},
      {R"({"anything-but": "a"})", "String", "b"},
      {R"({"anything-but": {"prefix": "a"}})", "String", "b"},
      {R"({"anything-but": ["a", 5]})", "String", "c"},
      {R"({"anything-but": ["a", "5"]})", "Number", "5"},
      {R"({"cidr": "10.0.0.0/8"})", "String", "10.1.0.0"},
      {R"({"cidr": "10.0.0.0/16"})", "String", "10.0.1.0"},
      {R"({"cidr": "::/8"})", "String", "::1"},
      {"true", "String.Array", "[true]"},
      {"false", "String.Array", "[false]"},
      {"null", "String.Array", "[null]"},
      {R"({"exists": true})", "Binary", "x"},
      {R"({"exists": false})", nullptr, nullptr},
  };
  FilterJson json;
  FilterMatcher matcher(json);
  std::vector<nlohmann::json> policies;
  for (const Row& row : kRows) {
    const std::string text = std::string(R"({"a": [)") + row.condition + "]}";
    matcher.add(SubscriptionId{static_cast<uint32_t>(policies.size())},
                parsed(text, FilterScope::attributes));
    policies.push_back(naive_json(text));
  }
  for (size_t wanted = 0; wanted < policies.size(); ++wanted) {
    const Row& row = kRows[wanted];
    std::vector<NaiveAttribute> attributes{{"other", "String", "x"}};
    if (row.type != nullptr) attributes.push_back({"a", row.type, row.value});
    std::vector<uint32_t> expected;
    for (uint32_t i = 0; i < policies.size(); ++i)
      if (naive_accepts(policies[i], naive_attributes(attributes))) expected.push_back(i);
    EXPECT_EQ(std::count(expected.begin(), expected.end(), wanted), 1) << row.condition;
    EXPECT_EQ(matches_of(matcher, properties_of(attributes), ""), expected) << row.condition;
  }
}

// Values that come often are counted once from some point on.
TEST(FilterMatcher, AnythingButHoldsForAnyNumberOfValues) {
  FilterJson json;
  FilterMatcher matcher(json);
  const char* const policies[] = {
      R"({"a": [{"anything-but": "x"}]})", R"({"a": [{"anything-but": ["x", "y", "x"]}]})",
      R"({"a": [{"anything-but": {"prefix": "x"}}]})", R"({"a": [{"anything-but": ["y", 1]}]})"};
  for (uint32_t id = 0; id < std::size(policies); ++id)
    matcher.add(SubscriptionId{id}, parsed(policies[id], FilterScope::body));
  using Ids = std::vector<uint32_t>;
  for (size_t count = 1; count < 40; ++count) {
    std::string list = "[";
    for (size_t i = 1; i < count; ++i)
      list += "\"x\",";
    EXPECT_EQ(matches_of(matcher, "", R"({"a": )" + list + "\"x\"]}"), Ids{3}) << count;
    EXPECT_EQ(matches_of(matcher, "", R"({"a": )" + list + "\"y\"]}"),
              count == 1 ? (Ids{0, 2}) : (Ids{0, 2, 3}))
        << count;
    EXPECT_EQ(matches_of(matcher, "", R"({"a": )" + list + "1]}"),
              count == 1 ? (Ids{0, 1, 2}) : (Ids{0, 1, 2, 3}))
        << count;
  }
}

// A topic's policies, each kept as its text too.
struct Subscribed {
  nlohmann::json policy;
  FilterPolicy compiled;
};

struct Tally {
  uint64_t pairs = 0;
  uint64_t matched = 0;
};

class Topic {
 public:
  explicit Topic(uint64_t seed) : cases_(seed), matcher_(json_) {
    for (uint32_t id = 0; id < kSubscriptions; ++id)
      subscribe(id);
  }

  void run(Tally& tally) {
    for (int message = 0; message < 50; ++message) {
      if (message % 10 == 9) {
        const auto id = static_cast<uint32_t>(cases_.below(kSubscriptions));
        if (subscribed_.count(id) != 0 && cases_.below(2) == 0) {
          matcher_.remove(SubscriptionId{id});
          subscribed_.erase(id);
        } else {
          subscribe(id);
        }
      }
      compare(cases_.attributes(), cases_.body(), tally);
    }
  }

 private:
  static constexpr uint32_t kSubscriptions = 20;

  void subscribe(uint32_t id) {
    const bool body = cases_.below(2) == 0;
    for (int attempt = 0; attempt < 1'000; ++attempt) {
      Subscribed one{cases_.policy(body), {}};
      FilterRefusal refusal;
      auto compiled =
          parse_filter_policy(one.policy.dump(), body ? FilterScope::body : FilterScope::attributes,
                              FilterExtensions::taken, &refusal);
      if (!compiled) continue;
      one.compiled = *compiled;
      subscribed_[id] = std::move(one);
      matcher_.add(SubscriptionId{id}, std::move(*compiled));
      return;
    }
    FAIL() << "no valid policy";
  }

  bool compiled_accepts(const FilterPolicy& policy, const std::string& properties,
                        const std::string& body) {
    const FilterKeys keys(policy.keys);
    FilterFields fields(keys, json_);
    if (policy.scope == FilterScope::body)
      fields.read_body(body);
    else
      fields.read_attributes(as_bytes(properties));
    return policy.accepts(fields);
  }

  void compare(const std::vector<NaiveAttribute>& attributes, const std::string& body,
               Tally& tally) {
    const std::string properties = properties_of(attributes);
    const auto by_attributes = naive_attributes(attributes);
    const auto by_body = naive_body(body);
    std::vector<uint32_t> expected;
    for (const auto& [id, one] : subscribed_) {
      const bool accepts = naive_accepts(
          one.policy, one.compiled.scope == FilterScope::body ? by_body : by_attributes);
      if (accepts) expected.push_back(id);
      ASSERT_EQ(compiled_accepts(one.compiled, properties, body), accepts)
          << one.policy << ' ' << body << ' ' << nlohmann::json(properties).dump();
    }
    const std::vector<uint32_t> found = matches_of(matcher_, properties, body);
    tally.pairs += subscribed_.size();
    tally.matched += expected.size();
    if (found == expected) return;
    for (const auto& [id, one] : subscribed_)
      if (std::count(found.begin(), found.end(), id) !=
          std::count(expected.begin(), expected.end(), id))
        ADD_FAILURE() << one.policy << ' ' << body << ' ' << nlohmann::json(properties).dump();
  }

  FilterCases cases_;
  FilterJson json_;
  FilterMatcher matcher_;
  std::map<uint32_t, Subscribed> subscribed_;
};

// MILLRACE_FILTER_PAIRS asks for more than the 50,000 of an ordinary run.
TEST(FilterMatcher, EqualsANaiveMatcherOnRandomPoliciesAndMessages) {
  const char* const asked = std::getenv("MILLRACE_FILTER_PAIRS");
  const uint64_t pairs = asked == nullptr ? 50'000 : std::strtoull(asked, nullptr, 10);
  Tally tally;
  for (uint64_t seed = 1; tally.pairs < pairs && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Topic(seed).run(tally);
  }
  RecordProperty("pairs", static_cast<int>(tally.pairs));
  // Both answers are common.
  EXPECT_GT(tally.matched, tally.pairs / 20);
  EXPECT_LT(tally.matched, tally.pairs / 2);
}

}  // namespace
}  // namespace millrace::engine

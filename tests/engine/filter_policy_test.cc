// Filter policies one at a time: which messages each kind of condition wants.
#include "engine/filter_policy.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/filter_fields.h"
#include "engine/filter_policy_parser.h"
#include "millrace/properties.h"

namespace millrace::engine {
namespace {

constexpr FilterScope kAttributes = FilterScope::attributes;
constexpr FilterScope kBody = FilterScope::body;

FilterPolicy policy_of(std::string_view text, FilterScope scope) {
  FilterRefusal refusal;
  auto policy = parse_filter_policy(text, scope, FilterExtensions::taken, &refusal);
  EXPECT_TRUE(policy) << text << ": " << refusal.text;
  return policy ? std::move(*policy) : FilterPolicy();
}

struct Attribute {
  const char* name;
  const char* type;
  const char* value;
};

bool wants(std::string_view text, const std::vector<Attribute>& attributes) {
  const FilterPolicy policy = policy_of(text, kAttributes);
  std::string properties;
  append_property(properties, PropertyTag::group, as_bytes("g"));
  for (const Attribute& one : attributes)
    append_property(properties, PropertyTag::attribute, one.name, one.type, as_bytes(one.value));
  FilterJson json;
  const FilterKeys keys(policy.keys);
  FilterFields fields(keys, json);
  fields.read_attributes(as_bytes(properties));
  return policy.accepts(fields);
}

bool wants_body(std::string_view text, std::string_view body) {
  const FilterPolicy policy = policy_of(text, kBody);
  FilterJson json;
  const FilterKeys keys(policy.keys);
  FilterFields fields(keys, json);
  fields.read_body(body);
  return policy.accepts(fields);
}

struct Wanted {
  const char* condition;
  const char* type;
  const char* value;
  bool wanted;
};
constexpr Wanted kWanted[] = {
    {R"("x")", "String", "x", true},
    {R"("x")", "String", "X", false},
    {R"("x")", "String.custom", "x", true},
    {R"("")", "String", "x", false},
    {R"("300")", "Number", "300", false},
    {"300", "Number", "300", true},
    {"300", "Number", "300.0", true},
    {"300", "Number", "3.0e2", true},
    {"300.0", "Number", "+300", true},
    {"300", "Number.int", "300", true},
    {"300", "String", "300", false},
    {"0", "Number", "-0", true},
    {"0.1", "Number", "0.10000", true},
    {"0.1", "Number", "0.10001", false},
    {"1", "Number", "one", false},
    {"true", "String", "true", false},
    {"true", "String.Array", "[true]", true},
    {"null", "String.Array", "[null]", true},
    {"null", "String", "", false},
    {R"("x")", "String.Array", R"(["y", "x"])", true},
    {R"("x")", "String.Array", R"(["y", 1])", false},
    {"1", "String.Array", R"(["y", 1.0])", true},
    {"1", "String.Array", R"(["1"])", false},
    {R"("x")", "String.Array", R"([["x"], {"x": "x"}])", false},
    {R"("x")", "String.Array", R"(["x")", false},
    {R"("[\"x\"")", "String.Array", R"(["x")", false},
    {R"("x")", "Binary", "x", false},
    {R"({"anything-but": "y"})", "Binary", "x", false},
    {R"({"exists": true})", "Binary", "x", true},
    {R"({"exists": true})", "String.Array", "[]", true},
    {R"({"exists": false})", "String", "x", false},
    {R"({"prefix": "ab"})", "String", "abc", true},
    {R"({"prefix": "ab"})", "String", "ab", true},
    {R"({"prefix": "ab"})", "String", "a", false},
    {R"({"prefix": ""})", "String", "a", true},
    {R"({"prefix": "3"})", "Number", "30", false},
    {R"({"suffix": "bc"})", "String", "abc", true},
    {R"({"suffix": "bc"})", "String", "c", false},
    {R"({"equals-ignore-case": "aBc"})", "String", "AbC", true},
    {R"({"equals-ignore-case": "aBc"})", "String", "AbCd", false},
    {R"({"anything-but": "x"})", "String", "y", true},
    {R"({"anything-but": "x"})", "String", "x", false},
    {R"({"anything-but": "300"})", "Number", "300", true},
    {R"({"anything-but": 300})", "Number", "300.0", false},
    {R"({"anything-but": 300})", "String", "300", true},
    {R"({"anything-but": 300})", "Number", "none", true},
    {R"({"anything-but": ["x", 1]})", "String", "x", false},
    {R"({"anything-but": ["x", 1]})", "Number", "1", false},
    {R"({"anything-but": ["x", 1]})", "Number", "2", true},
    {R"({"anything-but": ["x", "y"]})", "String.Array", R"(["x", "y"])", false},
    {R"({"anything-but": ["x", "y"]})", "String.Array", R"(["x", "z"])", true},
    {R"({"anything-but": ["x", "y"]})", "String.Array", "[]", false},
    {R"({"anything-but": {"prefix": "ab"}})", "String", "abc", false},
    {R"({"anything-but": {"prefix": "ab"}})", "String", "xab", true},
    {R"({"anything-but": {"suffix": "bc"}})", "String", "abc", false},
    {R"({"anything-but": {"equals-ignore-case": "ab"}})", "String", "AB", false},
    {R"({"anything-but": {"wildcard": "a*c"}})", "String", "abc", false},
    {R"({"anything-but": {"wildcard": "a*c"}})", "String", "abd", true},
    {R"({"numeric": ["=", 5]})", "Number", "5.0", true},
    {R"({"numeric": ["=", 5]})", "String", "5", false},
    {R"({"numeric": ["<", 5]})", "Number", "5", false},
    {R"({"numeric": ["<", 5]})", "Number", "-1e30", true},
    {R"({"numeric": ["<=", 5]})", "Number", "5", true},
    {R"({"numeric": [">", 5]})", "Number", "5", false},
    {R"({"numeric": [">", 5]})", "Number", "5.00001", true},
    {R"({"numeric": [">=", 5]})", "Number", "5", true},
    {R"({"numeric": [">", 0, "<=", 5]})", "Number", "0", false},
    {R"({"numeric": [">", 0, "<=", 5]})", "Number", "5", true},
    {R"({"numeric": [">", 0, "<=", 5]})", "Number", "5.1", false},
    {R"({"numeric": ["<", 5]})", "Number", "none", false},
    {R"({"numeric": [">=", 5]})", "String.Array", R"(["9", 1, 6])", true},
    {R"({"cidr": "10.0.0.0/8"})", "String", "10.255.0.1", true},
    {R"({"cidr": "10.0.0.0/8"})", "String", "11.0.0.1", false},
    {R"({"cidr": "10.9.9.9/8"})", "String", "10.0.0.1", true},
    {R"({"cidr": "10.0.0.1/32"})", "String", "10.0.0.1", true},
    {R"({"cidr": "10.0.0.1/32"})", "String", "10.0.0.2", false},
    {R"({"cidr": "0.0.0.0/0"})", "String", "1.2.3.4", true},
    {R"({"cidr": "0.0.0.0/0"})", "String", "::1", false},
    {R"({"cidr": "0.0.0.0/0"})", "String", "here", false},
    {R"({"cidr": "2001:db8::/33"})", "String", "2001:db8:7fff::1", true},
    {R"({"cidr": "2001:db8::/33"})", "String", "2001:db8:8000::1", false},
    {R"({"wildcard": "a*b"})", "String", "ab", true},
    {R"({"wildcard": "a*b"})", "String", "aXbXb", true},
    {R"({"wildcard": "a*b"})", "String", "a", false},
    {R"({"wildcard": "aa*aa"})", "String", "aaa", false},
    {R"({"wildcard": "*"})", "String", "", true},
    {R"({"wildcard": "*b*c*"})", "String", "abxc", true},
    {R"({"wildcard": "*b*c*"})", "String", "acxb", false},
    {R"({"wildcard": "a\\*b"})", "String", "a*b", true},
    {R"({"wildcard": "a\\*b"})", "String", "axb", false},
    {R"({"wildcard": "a\\\\*"})", "String", "a\\x", true},
    {R"({"wildcard": "1*"})", "Number", "11", false},
};

TEST(FilterPolicy, EachConditionWantsTheAttributesItShould) {
  for (const Wanted& row : kWanted) {
    EXPECT_EQ(wants(std::string(R"({"a": [)") + row.condition + "]}", {{"a", row.type, row.value}}),
              row.wanted)
        << row.condition << ' ' << row.type << ' ' << row.value;
  }
}

TEST(FilterPolicy, KeysAreAndedConditionsAndBranchesOred) {
  const char* policy = R"({"s": ["a", "b"], "$or": [{"p": [{"numeric": [">", 9]}]},
                                                    {"t": ["x"], "u": ["y"]}]})";
  EXPECT_TRUE(wants(policy, {{"s", "String", "b"}, {"p", "Number", "10"}}));
  EXPECT_FALSE(wants(policy, {{"s", "String", "c"}, {"p", "Number", "10"}}));
  EXPECT_FALSE(wants(policy, {{"s", "String", "a"}, {"p", "Number", "9"}}));
  EXPECT_FALSE(wants(policy, {{"s", "String", "a"}, {"t", "String", "x"}}));
  EXPECT_TRUE(wants(policy, {{"s", "String", "a"}, {"t", "String", "x"}, {"u", "String", "y"}}));
  EXPECT_FALSE(wants(policy, {{"p", "Number", "10"}}));
}

TEST(FilterPolicy, AnAbsentAttributeMeetsOnlyExistsFalse) {
  const std::vector<Attribute> other{{"b", "String", "x"}};
  EXPECT_TRUE(wants(R"({"a": [{"exists": false}]})", other));
  EXPECT_FALSE(wants(R"({"a": [{"exists": true}]})", other));
  EXPECT_FALSE(wants(R"({"a": [{"anything-but": "x"}]})", other));
  EXPECT_FALSE(wants(R"({"a": [null]})", other));
  EXPECT_TRUE(wants(R"({"a": ["x", {"exists": false}]})", other));
  // A message without any attribute meets not even that.
  EXPECT_FALSE(wants(R"({"a": [{"exists": false}]})", {}));
  EXPECT_TRUE(wants("{}", {}));
}

TEST(FilterPolicy, DotsInAttributeNamesAreJustDots) {
  EXPECT_TRUE(wants(R"({"a.b": ["x"]})", {{"a.b", "String", "x"}}));
  EXPECT_FALSE(wants(R"({"a.b": ["x"]})", {{"a", "String", "x"}}));
}

TEST(FilterPolicy, OrIsAnOrdinaryKeyWhereItIsNoListOfBranches) {
  EXPECT_TRUE(wants(R"({"$or": ["x"]})", {{"$or", "String", "x"}}));
  EXPECT_TRUE(wants(R"({"$or": [{"prefix": "x"}, {"prefix": "y"}]})", {{"$or", "String", "yy"}}));
  EXPECT_TRUE(wants_body(R"({"$or": {"a": ["x"]}})", R"({"$or": {"a": "x"}})"));
}

struct WantedBody {
  const char* policy;
  const char* body;
  bool wanted;
};
constexpr WantedBody kWantedBodies[] = {
    {R"({"a": {"b": ["x"]}})", R"({"a": {"b": "x"}})", true},
    {R"({"a": {"b": ["x"]}})", R"({"a": {"b": "y"}})", false},
    {R"({"a": {"b": ["x"]}})", R"({"b": "x"})", false},
    // A dotted key is the nested path, on both sides.
    {R"({"a": {"b": ["x"]}})", R"({"a.b": "x"})", true},
    {R"({"a.b": ["x"]})", R"({"a": {"b": "x"}})", true},
    {R"({"a": {"b.c": ["x"]}})", R"({"a.b": {"c": "x"}})", true},
    {R"({"a": {"": ["x"]}})", R"({"a": {"": "x"}})", true},
    {R"({"": {"a": ["x"]}})", R"({"": {"a": "x"}})", true},
    {R"({"": {"a": ["x"]}})", R"({"a": "x"})", false},
    // Any element of a list, at any depth.
    {R"({"a": ["x"]})", R"({"a": ["y", "x"]})", true},
    {R"({"a": ["x"]})", R"({"a": ["y", ["z", ["x"]]]})", true},
    {R"({"a": {"b": ["x"]}})", R"({"a": [{"b": "y"}, {"b": ["x"]}]})", true},
    {R"({"a": {"b": ["x"]}})", R"({"a": [[{"b": "x"}]]})", true},
    // Two keys may be met by different elements.
    {R"({"a": {"b": ["x"], "c": ["y"]}})", R"({"a": [{"b": "x"}, {"c": "y"}]})", true},
    {R"({"a": {"b": ["x"], "c": ["y"]}})", R"({"a": [{"b": "x"}, {"c": "z"}]})", false},
    {R"({"a": [{"exists": false}]})", R"({"b": 1})", true},
    {R"({"a": [{"exists": false}]})", "{}", true},
    {R"({"a": {"b": [{"exists": false}]}})", R"({"a": 1})", true},
    {R"({"a": {"b": [{"exists": false}]}})", R"({"c": 1})", true},
    {R"({"a": {"b": [{"exists": false}]}})", R"({"a": {"b": null}})", false},
    {R"({"a": [{"exists": true}]})", R"({"a": null})", true},
    {R"({"a": [{"exists": true}]})", R"({"a": []})", false},
    {R"({"a": [{"exists": false}]})", R"({"a": []})", true},
    {R"({"a": [{"exists": false}]})", R"({"a": [[]]})", true},
    {R"({"a": [{"exists": true}]})", R"({"a": {"b": 1}})", false},
    {R"({"a": {"b": [{"exists": true}]}})", R"({"a": [{"c": 1}, {"b": 1}]})", true},
    {R"({"a": [""]})", R"({"a": ""})", true},
    {R"({"a": [""]})", R"({"a": null})", false},
    {R"({"a": [true]})", R"({"a": true})", true},
    {R"({"a": [true]})", R"({"a": false})", false},
    {R"({"a": [true]})", R"({"a": "true"})", false},
    {R"({"a": [null]})", R"({"a": null})", true},
    {R"({"a": [null]})", "{}", false},
    {R"({"a": [300]})", R"({"a": 3.0e2})", true},
    {R"({"a": [300]})", R"({"a": "300"})", false},
    {R"({"a": ["300"]})", R"({"a": 300})", false},
    {R"({"a": [{"numeric": [">", 5]}]})", R"({"a": 123456789012345678901234567890})", true},
    {R"({"a": [{"numeric": [">", 5]}]})", R"({"a": -123456789012345678901234567890})", false},
    {R"({"a": ["x"]})", R"({"a": "x", "b": [123456789012345678901, "\"1234567890123456789012"]})",
     true},
    {R"({"a": ["\"12345678901234567890123"]})",
     R"({"a": "\"12345678901234567890123", "b": 12345678901234567890123})", true},
    {R"({"a": [{"anything-but": "x"}]})", R"({"a": null})", true},
    {R"({"a": [{"anything-but": "x"}]})", R"({"a": ["x", "x"]})", false},
    {R"({"a": [{"anything-but": "x"}]})", R"({"a": ["x", 1]})", true},
    {R"({"a": ["x"]})", R"(["a", "x"])", false},
    {R"({"a": ["x"]})", R"("a")", false},
    {R"({"a": ["x"]})", "", false},
    {R"({"a": ["x"]})", R"({"a": "x")", false},
    {R"({"a": ["x"]})", R"({"a": "x"} x)", false},
    {R"({"a": ["x"]})", R"({"a": "x", "b": tru})", false},
    {R"({"a": ["x"]})", R"({"a": "x", "b": 012})", false},
    {R"({"a": ["x"]})", R"({"a": "x", "b": 0123456789012345678901234})", false},
    {R"({"a": [{"exists": false}]})", "[]", false},
    {R"({"a": ["\u00e9"]})", R"({"\u0061": "é"})", true},
    {"{}", "no JSON", true},
    {R"({"a": {"$or": [{"b": ["x"]}, {"c": {"d": ["y"]}}]}})", R"({"a": {"c": {"d": "y"}}})", true},
    {R"({"a": {"$or": [{"b": ["x"]}, {"c": {"d": ["y"]}}]}})", R"({"a": {"b": "x"}})", true},
    {R"({"a": {"$or": [{"b": ["x"]}, {"c": {"d": ["y"]}}]}})", R"({"b": "x"})", false},
};

TEST(FilterPolicy, LooksIntoBodies) {
  for (const WantedBody& row : kWantedBodies)
    EXPECT_EQ(wants_body(row.policy, row.body), row.wanted) << row.policy << ' ' << row.body;
}

TEST(FilterPolicy, ABodyMayBeDeep) {
  const auto deep = [](size_t levels) {
    return R"({"a": "x", "b": )" + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  EXPECT_TRUE(wants_body(R"({"a": ["x"]})", deep(1'000)));
  EXPECT_FALSE(wants_body(R"({"a": ["x"]})", deep(100'000)));
  EXPECT_TRUE(wants_body(R"({"b": [{"exists": false}]})", deep(1'000)));
}

// Each star gone back to would make this the length to the power of the stars.
TEST(FilterPolicy, AWildcardOfManyStarsOnAMebibyteTakesNoTime) {
  std::string pattern;
  for (size_t i = 0; i < 50'000; ++i)
    pattern += "s*";
  const std::string body = R"({"a": ")" + std::string(1u << 20, 's') + "t\"}";
  EXPECT_FALSE(wants_body(R"({"a": [{"wildcard": ")" + pattern + "u\"}]}", body));
  EXPECT_TRUE(wants_body(R"({"a": [{"wildcard": ")" + pattern + "t\"}]}", body));
  // A piece that nearly fits everywhere.
  const std::string piece = std::string(100'000, 's') + "u";
  EXPECT_FALSE(wants_body(R"({"a": [{"wildcard": "*)" + piece + "*\"}]}", body));
}

}  // namespace
}  // namespace millrace::engine

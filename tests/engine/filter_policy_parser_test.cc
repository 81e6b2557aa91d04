// What is refused as a filter policy, with which text, and how large one may be.
#include "engine/filter_policy_parser.h"

#include <string>

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

// "" or the text that it is refused with.
std::string filter_refusal(std::string_view policy, FilterScope scope = FilterScope::body,
                           FilterExtensions extensions = FilterExtensions::refused) {
  FilterRefusal refusal;
  const bool taken = parse_filter_policy(policy, scope, extensions, &refusal).has_value();
  EXPECT_EQ(taken, refusal.text.empty()) << policy;
  return refusal.text;
}

std::string list_of(size_t count) {
  std::string list = "[";
  for (size_t i = 0; i < count; ++i)
    list += (i == 0 ? "\"v" : ",\"v") + std::to_string(i) + "\"";
  return list + "]";
}

struct Refused {
  const char* policy;
  const char* text;  // after "FilterPolicy: "
};
constexpr Refused kRefused[] = {
    {R"({"a": []})", "Empty arrays are not allowed"},
    {R"({"$or": []})", "Empty arrays are not allowed"},
    {R"({"a": [{"anything-but": []}]})", "Empty arrays are not allowed"},
    {R"({"a": {}})", "Empty objects are not allowed"},
    {R"({"$or": [{}, {"a": ["x"]}]})", "Empty objects are not allowed"},
    {R"({"a": [["x"]]})", "Match value must be String, number, true, false, or null"},
    {R"({"a": [{"like": "x"}]})", "Unrecognized match type like"},
    {R"({"a": [{"wildcard": "x*"}]})", "Unrecognized match type wildcard"},
    {R"({"a": [{"prefix": "x", "suffix": "y"}]})", "Only one key allowed in match expression"},
    {R"({"a": [{}]})", "Match expression name not found"},
    {R"({"a": "x"})", R"("a" must be an object or an array)"},
    {R"({"a": 1})", R"("a" must be an object or an array)"},
    {R"({"a": null})", R"("a" must be an object or an array)"},
    {R"({"$or": "x"})", R"("$or" must be an object or an array)"},
    {R"({"n": {"a": true}})", R"("a" must be an object or an array)"},
    {R"({"a": [{"prefix": 1}]})", "prefix match pattern must be a string"},
    {R"({"a": [{"suffix": ["x"]}]})", "suffix match pattern must be a string"},
    {R"({"a": [{"equals-ignore-case": null}]})",
     "equals-ignore-case match pattern must be a string"},
    {R"({"a": [{"cidr": ["10.0.0.0/8"]}]})", "prefix match pattern must be a string"},
    {R"({"a": [{"cidr": "10.0.0.0"}]})", "Malformed CIDR, one '/' required"},
    {R"({"a": [{"cidr": "10.0.0.0/8/8"}]})", "Malformed CIDR, one '/' required"},
    {R"({"a": [{"cidr": "10.0.0/8"}]})", "Nonstandard IP address: 10.0.0"},
    {R"({"a": [{"cidr": "10.0.0.256/8"}]})", "Nonstandard IP address: 10.0.0.256"},
    {R"({"a": [{"cidr": "::g/8"}]})", "Nonstandard IP address: ::g"},
    {R"({"a": [{"cidr": "10.0.0.0/"}]})", "Malformed CIDR, mask bits must be an integer"},
    {R"({"a": [{"cidr": "10.0.0.0/x"}]})", "Malformed CIDR, mask bits must be an integer"},
    {R"({"a": [{"cidr": "10.0.0.0/-1"}]})", "Malformed CIDR, mask bits must be an integer"},
    {R"({"a": [{"cidr": "10.0.0.0/33"}]})", "Malformed CIDR, mask bits must be at most 32"},
    {R"({"a": [{"cidr": "::/129"}]})", "Malformed CIDR, mask bits must be at most 128"},
    {R"({"a": [{"cidr": "::/99999999999"}]})", "Malformed CIDR, mask bits must be at most 128"},
    {R"({"a": [{"numeric": []}]})", "Invalid member in numeric match: ]"},
    {R"({"a": [{"numeric": [5]}]})", "Invalid member in numeric match: 5"},
    {R"({"a": [{"numeric": [true, 5]}]})", "Invalid member in numeric match: true"},
    {R"({"a": [{"numeric": 5}]})", "Value of numeric must be an array."},
    {R"({"a": [{"numeric": ["!=", 5]}]})", "Unrecognized numeric range operator: !="},
    {R"({"a": [{"numeric": [">="]}]})", "Value of >= must be numeric"},
    {R"({"a": [{"numeric": ["<", "5"]}]})", "Value of < must be numeric"},
    {R"({"a": [{"numeric": ["="]}]})", "Value of equals must be numeric"},
    {R"({"a": [{"numeric": ["=", "5"]}]})", "Value of equals must be numeric"},
    {R"({"a": [{"numeric": ["<", 5, ">", 1]}]})", "Too many elements in numeric expression"},
    {R"({"a": [{"numeric": ["=", 5, "<", 9]}]})", "Too many elements in numeric expression"},
    {R"({"a": [{"numeric": [">", 5, ">", 9]}]})", "Bad numeric range operator: >"},
    {R"({"a": [{"numeric": [">", 5, "=", 9]}]})", "Bad numeric range operator: ="},
    {R"({"a": [{"numeric": [">", 5, 30]}]})", "Bad value in numeric range: 30"},
    {R"({"a": [{"numeric": [">", 5, "<"]}]})", "Value of < must be numeric"},
    {R"({"a": [{"numeric": [">", 5, "<", "9"]}]})", "Value of < must be numeric"},
    {R"({"a": [{"numeric": [">", 5, "<", 5]}]})", "Bottom must be less than top"},
    {R"({"a": [{"numeric": [">=", 9, "<=", 5]}]})", "Bottom must be less than top"},
    {R"({"a": [{"numeric": [">", 5, "<", 9, "<", 10]}]})",
     "Too many terms in numeric range expression"},
    {R"({"a": [{"exists": "true"}]})", "exists match pattern must be either true or false."},
    {R"({"a": [{"exists": 1}]})", "exists match pattern must be either true or false."},
    {R"({"a": [{"anything-but": {"suffix": "x"}}]})", "Unsupported anything-but pattern: suffix"},
    {R"({"a": [{"anything-but": {"wildcard": "x"}}]})",
     "Unsupported anything-but pattern: wildcard"},
    {R"({"a": [{"anything-but": {"numeric": ["=", 1]}}]})",
     "Unsupported anything-but pattern: numeric"},
    {R"({"a": [{"anything-but": {"prefix": 1}}]})", "prefix match pattern must be a string"},
    {R"({"a": [{"anything-but": {"prefix": "x", "suffix": "y"}}]})",
     "Only one key allowed in match expression"},
    {R"({"a": [{"anything-but": {}}]})", "Anything-But expression name not found"},
    {R"({"a": [{"anything-but": true}]})",
     "Value of anything-but must be an array or single string/number value."},
    {R"({"a": [{"anything-but": null}]})",
     "Value of anything-but must be an array or single string/number value."},
    {R"({"a": [{"anything-but": ["x", null]}]})",
     "Inside anything but list, start|null|boolean is not supported."},
    {R"({"a": [{"anything-but": [["x"]]}]})",
     "Inside anything but list, start|null|boolean is not supported."},
    {R"({"a": [1000000000.1]})", "Value must be between -1.0E9 and 1.0E9, inclusive"},
    {R"({"a": [{"numeric": ["<", -1000000001]}]})",
     "Value must be between -1.0E9 and 1.0E9, inclusive"},
    {R"({"a": [{"anything-but": 1e300}]})", "Value must be between -1.0E9 and 1.0E9, inclusive"},
    {R"({"a": ["x"], "a": ["y"]})", "Path `a` cannot be allowed multiple times"},
    {R"({"n": {"a": ["x"], "a": ["y"]}})", "Path `n.a` cannot be allowed multiple times"},
    // A list of one branch, and one with an operator among its keys, are lists of conditions.
    {R"({"$or": [{"a": ["x"]}]})", "Unrecognized match type a"},
    {R"({"$or": [{"a": ["x"]}, {"prefix": ["x"]}]})", "Unrecognized match type a"},
    {R"({"$or": [{"prefix": ["x"]}, {"b": ["x"]}]})", "prefix match pattern must be a string"},
    {R"([])", "failed to parse JSON. Filter is not an object"},
    {R"("a")", "failed to parse JSON. Filter is not an object"},
};

TEST(FilterPolicyParser, IsRefusedWithTheTextThatClientsKnow) {
  for (const Refused& row : kRefused)
    EXPECT_EQ(filter_refusal(row.policy), std::string("FilterPolicy: ") + row.text) << row.policy;
}

TEST(FilterPolicyParser, WhatIsNoJsonIsRefusedAsSuch) {
  for (const char* text : {"", "x", "{", R"({"a": ["x"]} x)", R"({a: ["x"]})", R"({"a": ["x",]})",
                           "{\"a\": [\"\xFF\"]}"}) {
    EXPECT_EQ(filter_refusal(text).rfind("FilterPolicy: failed to parse JSON. ", 0), 0u) << text;
  }
}

TEST(FilterPolicyParser, NestsOnlyWhenItIsAboutTheBody) {
  EXPECT_EQ(filter_refusal(R"({"a": {"b": ["x"]}})", FilterScope::attributes),
            "Filter policy scope MessageAttributes does not support nested filter policy");
  EXPECT_EQ(filter_refusal(R"({"a": {"b": ["x"]}})", FilterScope::body), "");
  EXPECT_EQ(filter_refusal(R"({"$or": [{"a": ["x"]}, {"b": ["x"]}]})", FilterScope::attributes),
            "");
  EXPECT_EQ(filter_refusal(R"({"$or": {"b": ["x"]}})", FilterScope::body), "");
}

TEST(FilterPolicyParser, HasFiveKeysAtMostWhichAreTheLeaves) {
  const std::string text = "FilterPolicy: Filter policy can not have more than 5 keys";
  EXPECT_EQ(filter_refusal(R"({"a":[1],"b":[1],"c":[1],"d":[1],"e":[1]})"), "");
  EXPECT_EQ(filter_refusal(R"({"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]})"), text);
  EXPECT_EQ(filter_refusal(R"({"n":{"a":[1],"b":[1],"c":[1],"d":[1],"m":{"e":[1]}}})"), "");
  EXPECT_EQ(filter_refusal(R"({"n":{"a":[1],"b":[1],"c":[1],"d":[1],"m":{"e":[1],"f":[1]}}})"),
            text);
  EXPECT_EQ(filter_refusal(R"({"a":[1],"b":[1],"c":[1],"$or":[{"d":[1]},{"e":[1]}]})"), "");
  EXPECT_EQ(filter_refusal(R"({"a":[1],"b":[1],"c":[1],"$or":[{"d":[1]},{"e":[1],"f":[1]}]})"),
            text);
  // A name that several branches have is one key.
  EXPECT_EQ(filter_refusal(R"({"a":[1],"b":[1],"c":[1],
                              "$or":[{"d":[1],"e":[1]},{"e":[2],"d":[2]}]})"),
            "");
}

TEST(FilterPolicyParser, Has150CombinationsAtMost) {
  const std::string text = "FilterPolicy: Filter policy is too complex";
  EXPECT_EQ(filter_refusal("{\"a\":" + list_of(150) + "}"), "");
  EXPECT_EQ(filter_refusal("{\"a\":" + list_of(151) + "}"), text);
  EXPECT_EQ(filter_refusal("{\"a\":" + list_of(100) + ",\"b\":" + list_of(51) + "}"), text);
  EXPECT_EQ(filter_refusal("{\"a\":" + list_of(10) + ",\"b\":" + list_of(15) + "}"), "");
  EXPECT_EQ(filter_refusal("{\"a\":" + list_of(10) + ",\"b\":" + list_of(16) + "}"), text);
  // Depth is a factor: 3x4 x 2x3 x 1x3 = 216, 3x4 x 2x3 x 1x2 = 144.
  const std::string nested = R"({"key_a":{"key_b":{"key_c":["1","2","3","4"]}},
                                 "key_d":{"key_e":["1","2","3"]},"key_f":)";
  EXPECT_EQ(filter_refusal(nested + list_of(3) + "}"), text);
  EXPECT_EQ(filter_refusal(nested + list_of(2) + "}"), "");
}

std::string policy_with_or(size_t source, size_t name, size_t type, size_t id, size_t space) {
  return "{\"source\":" + list_of(source) + ",\"$or\":[{\"metricName\":" + list_of(name) +
         "},{\"metricType\":" + list_of(type) + ",\"$or\":[{\"metricId\":" + list_of(id) +
         "},{\"spaceId\":" + list_of(space) + "}]}]}";
}

TEST(FilterPolicyParser, CombinationsOfBranchesAreAddedUp) {
  // 4x6 + 4x4x4 + 4x4x4 = 152; 3x6 + 3x4x4 + 3x4x7 = 150.
  EXPECT_EQ(filter_refusal(policy_with_or(4, 6, 4, 4, 4)),
            "FilterPolicy: Filter policy is too complex");
  EXPECT_EQ(filter_refusal(policy_with_or(3, 6, 4, 4, 7)), "");
  EXPECT_EQ(filter_refusal(policy_with_or(3, 7, 4, 4, 7)),
            "FilterPolicy: Filter policy is too complex");
}

TEST(FilterPolicyParser, DepthAndBranchesWithoutEndAreTooComplexAndCostLittle) {
  const std::string text = "FilterPolicy: Filter policy is too complex";
  for (const size_t levels : {151u, 290u, 310u, 1'100u, 3'000u}) {
    std::string nested = R"(["x"])";
    for (size_t i = 0; i < levels; ++i)
      nested = R"({"a":)" + nested + "}";
    EXPECT_EQ(filter_refusal(nested), text) << levels;
  }
  for (const size_t levels : {151u, 290u, 310u, 450u, 2'000u}) {
    std::string branches = R"({"a":["x"]})";
    for (size_t i = 0; i < levels; ++i)
      branches = R"({"$or":[{"b":[1]},)" + branches + "]}";
    EXPECT_EQ(filter_refusal(branches), text) << levels;
  }
  std::string many = "{";  // 2 to the 200th
  for (size_t i = 0; i < 200; ++i)
    many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"$or":[{"a":[1]},{"a":[2]}]})";
  EXPECT_EQ(filter_refusal(many + "}"),
            "FilterPolicy: Filter policy can not have more than 5 keys");
  std::string same = R"({"$or":[{"a":[1]},{"a":[2]}]})";
  for (size_t i = 0; i < 11; ++i)
    same = R"({"$or":[)" + same + "," + same + "]}";
  EXPECT_EQ(filter_refusal(same), text);
}

TEST(FilterPolicyParser, Has256KibibytesAtMost) {
  std::string policy = R"({"a":[")";
  policy += std::string(FilterPolicy::kTextBytesMax - policy.size() - 3, 'x') + "\"]}";
  ASSERT_EQ(policy.size(), FilterPolicy::kTextBytesMax);
  EXPECT_EQ(filter_refusal(policy), "");
  EXPECT_EQ(filter_refusal(policy + " "),
            "FilterPolicy: Filter policy can not have more than 262144 bytes");
}

TEST(FilterPolicyParser, ExtensionsAreTakenOnlyWhenAskedFor) {
  for (const char* policy :
       {R"({"a":[{"wildcard":"a*b"}]})", R"({"a":[{"anything-but":{"suffix":"x"}}]})",
        R"({"a":[{"anything-but":{"wildcard":"x*"}}]})",
        R"({"a":[{"anything-but":{"equals-ignore-case":"x"}}]})"}) {
    EXPECT_NE(filter_refusal(policy), "") << policy;
    EXPECT_EQ(filter_refusal(policy, FilterScope::body, FilterExtensions::taken), "") << policy;
  }
  const auto extended = [](const char* pattern) {
    return filter_refusal(std::string(R"({"a":[{"wildcard":)") + pattern + "}]}", FilterScope::body,
                          FilterExtensions::taken);
  };
  EXPECT_EQ(extended("1"), "FilterPolicy: wildcard match pattern must be a string");
  EXPECT_EQ(extended(R"("a**b")"), "FilterPolicy: Consecutive wildcard characters at pos 1");
  EXPECT_EQ(extended(R"("a\\b")"), "FilterPolicy: Invalid escape character at pos 1");
  EXPECT_EQ(extended(R"("a\\")"), "FilterPolicy: Invalid escape character at pos 1");
  EXPECT_EQ(extended(R"("a\\**")"), "");
}

}  // namespace
}  // namespace millrace::engine

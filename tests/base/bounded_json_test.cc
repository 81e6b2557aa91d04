#include "base/bounded_json.h"

#include <string>

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

using Json = nlohmann::json;

std::string nested(size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

TEST(BoundedJson, SixtyFourLevelsAreReadAndOneMoreIsNot) {
  EXPECT_TRUE(parse_bounded_json<Json>(nested(kJsonLevelsMax)).is_array());
  EXPECT_TRUE(parse_bounded_json<Json>(nested(kJsonLevelsMax + 1)).is_discarded());
  EXPECT_TRUE(parse_bounded_json<Json>(nested(500'000)).is_discarded());
}

TEST(BoundedJson, ManyMembersSideBySideAreNotDeep) {
  std::string text = "[";
  for (int i = 0; i < 1'000; ++i)
    text += "{\"a\":[[]]},";
  text += "0]";
  EXPECT_EQ(parse_bounded_json<Json>(text).size(), 1'001u);
}

TEST(BoundedJson, BracketsInTextDoNotCount) {
  const std::string brackets(1'000, '[');
  EXPECT_EQ(parse_bounded_json<Json>("\"" + brackets + "\\\"" + brackets + "\""),
            Json(brackets + "\"" + brackets));
  // A backslash that is escaped itself does not hide the quote behind it.
  EXPECT_TRUE(nests_too_deep("\"\\\\\"" + brackets));
}

TEST(BoundedJson, WhatIsNoJsonIsDiscarded) {
  for (const char* text : {"", "]", "}}}}[", "\"", "\"\\", "{\"a\":}"})
    EXPECT_TRUE(parse_bounded_json<Json>(text).is_discarded()) << text;
}

}  // namespace
}  // namespace millrace::base

#include "engine/properties_check.h"

#include <string>

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

TEST(PropertiesCheck, AnIdIsOneTo128VisibleCharactersWhereverTheOddOneStands) {
  EXPECT_FALSE(is_id(""));
  EXPECT_FALSE(is_id(std::string(129, 'a')));
  for (const size_t length : {1u, 2u, 7u, 8u, 9u, 15u, 16u, 17u, 31u, 127u, 128u}) {
    std::string id(length, 'a');
    EXPECT_TRUE(is_id(id)) << length;
    for (size_t at = 0; at < length; ++at) {
      for (int c = 0; c < 256; ++c) {
        id[at] = static_cast<char>(c);
        ASSERT_EQ(is_id(id), c > 32 && c < 127) << length << ' ' << at << ' ' << c;
      }
      id[at] = '~';  // beside the largest that may be
    }
  }
}

}  // namespace
}  // namespace millrace::engine

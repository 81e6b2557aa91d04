// Ids and sequence numbers as texts.
#include "millrace/message_id.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(MessageId, IsAUuidThatCanBeReadBack) {
  const MessageId id{0xABCDEF01, uint64_t{0x0203} << 48 | 0x0405060708FF};
  EXPECT_EQ(message_id_text(id), "abcdef01-0203-8000-8000-0405060708ff");
  EXPECT_EQ(parse_message_id("abcdef01-0203-8000-8000-0405060708ff"), id);
  for (const char* wrong :
       {"", "abcdef01-0203-8000-8000-0405060708f", "abcdef01-0203-8000-8000-0405060708ff0",
        "ABCDEF01-0203-8000-8000-0405060708ff", "abcdef01-0203-4000-8000-0405060708ff",
        "abcdef01-0203-8000-8001-0405060708ff", "abcdef0g-0203-8000-8000-0405060708ff",
        "abcdef01x0203-8000-8000-0405060708ff"})
    EXPECT_EQ(parse_message_id(wrong), std::nullopt) << wrong;
}

TEST(MessageId, OfADeadLetteredMessageIsThatOfItsFirstSend) {
  std::string properties;
  append_property(properties, PropertyTag::group, as_bytes("g"));
  EXPECT_EQ(message_id(7, 9, as_bytes(properties)), (MessageId{7, 9}));
  const MovedFrom moved{uint64_t{1} << 48 | 5, 3, 4, 1'000};
  append_property(properties, PropertyTag::moved, std::as_bytes(std::span(&moved, 1)));
  EXPECT_EQ(message_id(7, 9, as_bytes(properties)), (MessageId{3, uint64_t{1} << 48 | 5}));
}

TEST(MessageId, SequenceNumbersHaveTwentyDigitsWhateverTheShard) {
  EXPECT_EQ(std::to_string(sequence_number(0)), "10000000000000000000");
  EXPECT_EQ(sequence_number(uint64_t{63} << 48 | 12), sequence_number(12));
  EXPECT_EQ(std::to_string(sequence_number(UINT64_MAX)).size(), 20u);
}

}  // namespace
}  // namespace millrace

// Quantities, receipts and tables, as the command line reads and writes them.
#include "tools/common/text.h"

#include <cstring>
#include <optional>

#include <gtest/gtest.h>

#include "base/prng.h"
#include "tools/common/quantity.h"
#include "tools/common/receipt_text.h"

namespace millrace::tools {
namespace {

template <class T>
std::optional<T> or_nothing(const Result<T>& result) {
  return result ? std::optional<T>(*result) : std::nullopt;
}

TEST(Quantity, ReadsSizes) {
  const struct {
    const char* text;
    std::optional<uint64_t> bytes;
  } rows[] = {{"0", 0},
              {"4096", 4096},
              {"4096B", 4096},
              {"64MiB", 64u << 20},
              {"1GiB", 1u << 30},
              {"1TiB", uint64_t{1} << 40},
              {"", {}},
              {"MiB", {}},
              {"-1", {}},
              {"64MB", {}},
              {"1.5GiB", {}},
              {"64 MiB", {}},
              {"0x10", {}},
              {"99999999999999TiB", {}},
              {"18446744073709551616", {}}};
  for (const auto& row : rows)
    EXPECT_EQ(or_nothing(parse_size(row.text)), row.bytes) << row.text;
}

TEST(Quantity, ReadsSecondsToTheMillisecond) {
  const struct {
    const char* text;
    std::optional<uint64_t> ms;
  } rows[] = {{"0", 0},    {"30", 30'000}, {"1.5", 1500}, {"0.001", 1},       {"2.25", 2250},
              {"", {}},    {".5", {}},     {"1.", {}},    {"1.0001", {}},     {"-1", {}},
              {"1e3", {}}, {"1,5", {}},    {"nan", {}},   {"99999999999", {}}};
  for (const auto& row : rows)
    EXPECT_EQ(or_nothing(parse_seconds(row.text)), row.ms) << row.text;
}

TEST(Quantity, WritesWhatItReads) {
  EXPECT_EQ(format_size(64u << 20), "64MiB");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_seconds(1500), "1.5");
  EXPECT_EQ(format_seconds(30'000), "30");
  EXPECT_EQ(format_count(1'234'567), "1,234,567");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_age(3'200), "3.2s");
  EXPECT_EQ(format_age(90'061'000), "1d 1h");
}

TEST(ReceiptText, ComesBackAsItWas) {
  base::Prng prng(1);
  for (int i = 0; i < 1000; ++i) {
    const Receipt receipt{prng.next(), static_cast<uint32_t>(prng.next()),
                          static_cast<uint32_t>(prng.next()), prng.next()};
    const std::string text = receipt_text(receipt);
    ASSERT_EQ(text.size(), 32u);
    const Result<Receipt> back = parse_receipt(text);
    ASSERT_TRUE(back);
    EXPECT_EQ(std::memcmp(&receipt, &*back, sizeof receipt), 0);
  }
}

TEST(ReceiptText, RefusesWhatIsNone) {
  const std::string good = receipt_text({1, 2, 3, 4});
  for (const std::string& text :
       {std::string(), good.substr(1), good + "A", "+" + good.substr(1), " " + good.substr(1),
        good.substr(0, 31) + "=", good.substr(0, 31) + "\xc3"})
    EXPECT_EQ(parse_receipt(text).error(), Errc::receipt_invalid) << text;
}

TEST(Base64Url, WritesTheVectorsOfRfc4648WithoutPadding) {
  const char* rows[][2] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& row : rows)
    EXPECT_EQ(base64url(row[0]), row[1]);
}

TEST(Text, TableColumnsLineUpAlsoBeyondAscii) {
  Table table({"NAME", "READY", "BODY"}, {false, true, false});
  table.add({"a", "1", "x"});
  table.add({"größe", "1,000", "y"});
  EXPECT_EQ(table.text(),
            "NAME   READY  BODY\n"
            "a          1  x\n"
            "größe  1,000  y\n");
}

TEST(Text, NothingPrintableCanMoveTheCursor) {
  EXPECT_EQ(printable("plain größe 😀"), "plain größe 😀");
  EXPECT_EQ(printable("a\nb\tc"), "a\\nb\\tc");
  EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b"
            "2J");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
}

TEST(Text, KnowsUtf8FromBytesThatOnlyLookLikeIt) {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"})
    EXPECT_TRUE(valid_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xe2\x82", "\xf8\x88\x80\x80\x80", "\xe0\x80\x80"})
    EXPECT_FALSE(valid_utf8(bad));
}

}  // namespace
}  // namespace millrace::tools

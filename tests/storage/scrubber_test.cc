// Rot is found by reading, mended where memory has a good copy, and never suspected where there is
// none.
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "storage/format.h"
#include "tests/storage/log_harness.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kPeriodMs = 60'000;

LogOptions scrubbed_options(uint64_t segment_bytes = kTestSegmentBytes) {
  LogOptions options = test_options();
  options.segment_bytes = segment_bytes;
  options.scrub_period_ms = kPeriodMs;
  return options;
}

class Scrubbing : public testing::Test {
 protected:
  explicit Scrubbing(uint64_t segment_bytes = kTestSegmentBytes)
      : log_(scrubbed_options(segment_bytes)) {
    EXPECT_TRUE(log_.open());
    write({1});  // goes to the segment made on the spot, the others to those prepared
    begin_ = log_.log->end();
  }

  // Records of these sizes, a batch each.
  void write(std::initializer_list<size_t> sizes) {
    for (const size_t bytes : sizes) {
      ASSERT_TRUE(log_.append(std::string(bytes, 'x')));
      ASSERT_TRUE(log_.write());
      log_.settle();
    }
  }
  // Some segments full.
  void write_segments(int count) {
    for (int i = 0; i < count * 14; ++i)
      write({5000});
  }
  // Ends the round under way, which does not know of the newest, and makes a whole one; false if
  // the log is fenced before.
  bool scrub() {
    if (!end_rounds(1)) return false;
    bytes_before_ = log_.log->scrubbed().bytes;
    return end_rounds(1);
  }
  uint64_t bytes_of_round() const { return log_.log->scrubbed().bytes - bytes_before_; }
  bool end_rounds(uint64_t rounds) {
    const uint64_t until = log_.log->scrubbed().rounds + rounds;
    for (int i = 0; i < 20'000 && log_.log->scrubbed().rounds < until; ++i) {
      if (log_.log->fenced()) return false;
      log_.pass(std::max<int64_t>(1, log_.log->next_deadline() - log_.now()));
      log_.settle();
    }
    EXPECT_EQ(log_.log->scrubbed().rounds, until);
    return !log_.log->fenced();
  }
  uint64_t data_bytes() const {
    uint64_t bytes = 0;
    const uint64_t segment_bytes = log_.log->segment_bytes();
    const uint64_t first = log_.log->head().value / segment_bytes;
    const uint64_t last = log_.log->durable().value / segment_bytes;
    for (uint64_t i = first; i <= last; ++i)
      bytes += segment_bytes - kSegmentDataOffset;
    return bytes;
  }

  // Of the file that holds what was written first.
  std::string file() const {
    return fmt::format("shard-0/{:08}.segment", begin_.value / log_.log->segment_bytes());
  }
  uint64_t offset_of(Position position) const { return position.value % log_.log->segment_bytes(); }

  LogHarness log_;
  Position begin_{};
  uint64_t bytes_before_ = 0;
};

TEST_F(Scrubbing, ReadsAllOfTheLogInEachRoundAndFindsItRight) {
  write_segments(4);
  write({40'000, 16, 8, 0, 55'000, 3});
  ASSERT_TRUE(scrub());
  EXPECT_GT(bytes_of_round(), data_bytes() * 8 / 10);
  EXPECT_LE(bytes_of_round(), data_bytes());
  EXPECT_EQ(log_.log->scrubbed().mended, 0u);
}

TEST_F(Scrubbing, ARoundTakesItsPeriodHoweverMuchThereIs) {
  for (const int segments : {1, 10}) {
    write_segments(segments);
    ASSERT_TRUE(scrub());
    const TimeMs begun = log_.now();
    ASSERT_TRUE(end_rounds(3));
    const int64_t took = log_.now() - begun;
    EXPECT_GE(took, 2 * static_cast<int64_t>(kPeriodMs));
    EXPECT_LE(took, 3 * static_cast<int64_t>(kPeriodMs) + 5'000);
  }
}

TEST_F(Scrubbing, WhatRottedOnTheDiskIsWrittenAgainFromMemory) {
  write_segments(3);
  uint64_t planted = 0;
  for (uint64_t offset = kSegmentDataOffset; offset < kTestSegmentBytes - 6000; offset += 7001) {
    log_.disk->rot(file(), offset);
    ++planted;
  }
  ASSERT_TRUE(scrub());
  EXPECT_EQ(log_.log->scrubbed().mended, planted);
  ASSERT_TRUE(scrub());
  EXPECT_EQ(log_.log->scrubbed().mended, planted);  // they are right now
}

// Each byte in turn, of the smallest records and of marks.
TEST_F(Scrubbing, EachRottenByteIsFound) {
  write({0, 1, 8, 100, 0});
  constexpr uint64_t kPadding = 7 + 4;  // which nothing hashes
  const uint64_t begin = offset_of(begin_);
  const uint64_t end = offset_of(log_.log->durable());
  for (uint64_t offset = begin; offset < end; ++offset) {
    log_.disk->rot(file(), offset);
    ASSERT_TRUE(scrub());
  }
  EXPECT_EQ(log_.log->scrubbed().mended, end - begin - kPadding);
}

TEST_F(Scrubbing, ALargeRecordIsReadWhole) {
  write({kTestSegmentBytes - 3 * kSegmentDataOffset, 50'000, 51'000});
  ASSERT_TRUE(scrub());
  EXPECT_GT(bytes_of_round(), kTestSegmentBytes - 3 * kSegmentDataOffset + 50'000 + 51'000);
}

TEST_F(Scrubbing, WhatIsBadInMemoryTooFencesTheLogAndIsSetAsideAtTheNextStart) {
  write_segments(3);
  log_.image->flip_bit(file(), 8 * (offset_of(begin_) + 5300));
  EXPECT_FALSE(scrub());
  EXPECT_TRUE(log_.log->fenced());
  const Result<RecoveryReport> report = log_.open();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->damaged_ranges, 1u);
  ASSERT_TRUE(scrub());  // what is known is passed over
}

TEST_F(Scrubbing, WhatTheDiskCantReadIsPassedOver) {
  write_segments(3);
  ASSERT_TRUE(end_rounds(1));
  log_.disk->inject({.call = sim::DiskCall::read, .nth = 2});
  ASSERT_TRUE(end_rounds(1));
  EXPECT_EQ(log_.log->scrubbed().unreadable, 1u);
}

class ScrubbingInPieces : public Scrubbing {
 protected:
  ScrubbingInPieces() : Scrubbing(1u << 20) {}
};

// Where reads meet, and in records of several reads.
TEST_F(ScrubbingInPieces, RotIsFoundWhereverReadsBeginAndEnd) {
  for (const size_t bytes : {5000, 300'000, 100, 600'000, 20, 65'000, 7'000, 900'000, 3, 500'000})
    write({bytes});
  ASSERT_TRUE(scrub());
  EXPECT_GT(bytes_of_round(), 2'300'000u);
  uint64_t planted = 0;
  for (uint64_t offset = offset_of(begin_) + 40; offset < 900'000; offset += 32'749) {
    log_.disk->rot(file(), offset);
    ++planted;
    ASSERT_TRUE(scrub());
    ASSERT_EQ(log_.log->scrubbed().mended, planted) << offset;
  }
}

TEST(Scrubber, IsOffWithoutAPeriod) {
  LogHarness log;
  ASSERT_TRUE(log.open());
  ASSERT_TRUE(log.append("x"));
  ASSERT_TRUE(log.write());
  log.settle();
  log.pass(1'000'000'000);
  log.settle();
  EXPECT_EQ(log.log->scrubbed().bytes, 0u);
  EXPECT_EQ(log.log->scrubbed().rounds, 0u);
}

}  // namespace
}  // namespace millrace::storage

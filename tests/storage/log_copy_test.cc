// Copies of a log, for backups: what they are made of, and what they hold back.
#include <gtest/gtest.h>

#include "storage/segment_header.h"
#include "tests/storage/log_harness.h"

namespace millrace::storage {
namespace {

const std::string kBody(4'000, 'x');

// What a directory made of the copy would hold.
std::unique_ptr<sim::SimDiskImage> image_of(LogHarness& h, const LogCopy& copy) {
  auto image = std::make_unique<sim::SimDiskImage>();
  uint32_t number = 0;
  for (const LogCopy::File& file : copy.files) {
    uint64_t bytes = 0;
    const FileId id = h.log->copied_file(file.sequence, &bytes);
    EXPECT_NE(id, kNoFile);
    EXPECT_EQ(bytes, file.bytes);
    std::vector<std::byte> content(kTestSegmentBytes);
    EXPECT_EQ(h.disk->read(id, 0, MutableBytes(content).first(file.bytes)).value_or(0), file.bytes);
    image->replace("shard-0/" + segment_file_name(++number), std::move(content));
  }
  return image;
}

std::vector<std::string> restored(LogHarness& h, const LogCopy& copy) {
  LogHarness other;
  other.use(image_of(h, copy));
  const auto report = other.open();
  EXPECT_TRUE(report) << other.message;
  EXPECT_EQ(report->damaged_ranges + report->torn_bytes_cut, 0u);
  return bodies(other.replayed);
}

// Fills `count` segments with records that nobody needs.
void fill(LogHarness& h, uint64_t count) {
  for (const uint64_t end = h.log->segment_of(h.log->end()) + count;
       h.log->segment_of(h.log->end()) < end;) {
    ASSERT_TRUE(h.append(kBody));
    h.settle();
  }
}

TEST(LogCopy, HoldsWhatWasAppendedBeforeItAndNothingElse) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("written"));
  ASSERT_TRUE(h.write());
  ASSERT_TRUE(h.append("gathered"));  // in the middle of a turn
  const auto copy = h.log->begin_copy(h.now());
  ASSERT_TRUE(copy);
  ASSERT_TRUE(h.append("later"));
  EXPECT_EQ(copy->end, h.log->written());
  h.log->sync_through(copy->end);
  h.settle();
  EXPECT_GE(h.log->durable(), copy->end);
  EXPECT_EQ(restored(h, *copy), (std::vector<std::string>{"written", "gathered"}));
  h.log->end_copy();
  h.kill();
  ASSERT_TRUE(h.open());
  EXPECT_EQ(bodies(h.replayed), (std::vector<std::string>{"written", "gathered", "later"}));
}

TEST(LogCopy, OfAnEmptyLogIsALog) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  const auto copy = h.log->begin_copy(h.now());
  ASSERT_TRUE(copy);
  EXPECT_EQ(restored(h, *copy), std::vector<std::string>{});
}

// The newest mark may be older than that.
TEST(LogCopy, NeedsNoSegmentThatWasFreedBeforeIt) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  fill(h, 3);
  ASSERT_TRUE(h.append("kept"));
  h.settle();
  h.clean();  // frees the segments; no mark says so yet
  const auto copy = h.log->begin_copy(h.now());
  ASSERT_TRUE(copy);
  ASSERT_EQ(copy->files.size(), 1u);
  EXPECT_EQ(copy->head, h.log->head());
  const std::vector<std::string> there = restored(h, *copy);
  ASSERT_FALSE(there.empty());
  EXPECT_EQ(there.back(), "kept");
}

TEST(LogCopy, FilesStayAsTheyAreWhileTheLogGoesOn) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  fill(h, 3);
  const auto copy = h.log->begin_copy(h.now());
  ASSERT_TRUE(copy);
  h.settle();
  const std::vector<std::string> before = restored(h, *copy);
  EXPECT_EQ(h.log->copy_held_bytes(), 0u);
  for (int round = 0; round < 10; ++round) {
    fill(h, 2);
    h.clean();
    h.pass(100);
    h.settle();
  }
  EXPECT_GT(h.log->head(), copy->end);
  EXPECT_EQ(h.log->copy_held_bytes(), copy->files.size() * kTestSegmentBytes);
  EXPECT_EQ(restored(h, *copy), before);
  uint64_t bytes = 0;
  EXPECT_EQ(h.log->copied_file(copy->files.back().sequence + 1, &bytes), kNoFile);

  const uint64_t disk_bytes = h.log->bytes_on_disk();
  h.log->end_copy();
  EXPECT_EQ(h.log->copy_held_bytes(), 0u);
  EXPECT_EQ(h.log->copied_file(copy->files.front().sequence, &bytes), kNoFile);
  ASSERT_TRUE(h.append("x"));
  for (int round = 0; round < 10; ++round) {
    h.pass(100);
    h.settle();
  }
  EXPECT_LT(h.log->bytes_on_disk(), disk_bytes);
}

TEST(LogCopy, IsOverWithTheLog) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  fill(h, 2);
  ASSERT_TRUE(h.log->begin_copy(h.now()));
  fill(h, 2);
  h.clean();
  EXPECT_GT(h.log->copy_held_bytes(), 0u);
  h.kill();  // closes the files that are held, too
  ASSERT_TRUE(h.open());
  EXPECT_FALSE(h.log->copying());
  EXPECT_TRUE(h.log->begin_copy(h.now()));
}

// More than the disk has room for beside a copy, in turns that are cleaned behind.
void go_on_for_long(LogHarness& h) {
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 15; ++i) {
      ASSERT_TRUE(h.append(kBody, 1, Space::grows)) << round;
      h.settle();
    }
    h.clean();
    h.pass(100);
    h.settle();
  }
}

TEST(LogCopy, GivesWayBeforeTheDiskIsFull) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  fill(h, 4);
  h.image->set_capacity(h.image->used_bytes() + 3 * kTestSegmentBytes);
  ASSERT_TRUE(h.log->begin_copy(h.now()));
  go_on_for_long(h);
  EXPECT_FALSE(h.log->copying());
  EXPECT_FALSE(h.log->disk_full());
}

TEST(LogCopy, GivesWayBeforeTheLimitOfTheLog) {
  LogOptions options = test_options();
  options.disk_bytes_max = 8 * kTestSegmentBytes;
  LogHarness h(options);
  ASSERT_TRUE(h.open());
  fill(h, 4);
  ASSERT_TRUE(h.log->begin_copy(h.now()));
  go_on_for_long(h);
  EXPECT_FALSE(h.log->copying());
}

TEST(LogCopy, OfAFencedLogIsRefused) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.disk->inject({.call = sim::DiskCall::write, .nth = 1});
  ASSERT_TRUE(h.append("x"));
  EXPECT_FALSE(h.log->begin_copy(h.now()));
  EXPECT_TRUE(h.log->fenced());
  EXPECT_EQ(h.log->begin_copy(h.now()).error(), Errc::shard_fenced);
  EXPECT_FALSE(h.log->copying());
}

}  // namespace
}  // namespace millrace::storage

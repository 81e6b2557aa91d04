#include "storage/log.h"

#include <cstring>

#include <gtest/gtest.h>

#include "storage/real_disk.h"
#include "tests/storage/log_harness.h"
#include "tests/storage/temporary_directory.h"

namespace millrace::storage {
namespace {

TEST(Log, NewLogIsCreatedAndEmpty) {
  LogHarness h;
  const auto report = h.open();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->created);
  EXPECT_EQ(report->records, 0u);
  EXPECT_EQ(h.log->end(), h.log->durable());
  EXPECT_EQ(h.log->head().value, kTestSegmentBytes + kSegmentDataOffset);
}

TEST(Log, RecordIsReadableOnceItsBatchIsWritten) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  const auto position = h.append("hello", 3);
  ASSERT_TRUE(position);
  EXPECT_GT(h.log->end(), h.log->written());
  ASSERT_TRUE(h.write());
  EXPECT_EQ(h.log->end(), h.log->written());
  const auto record = h.log->read_record(*position);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->kind, 3);
  EXPECT_EQ(as_text(record->body), "hello");
}

TEST(Log, RecordFilledInPlaceReadsBack) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  std::byte* body = nullptr;
  const auto position = h.log->begin_record(2, 11, true, &body);
  ASSERT_TRUE(position);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(body) % 8, 0u);
  std::memcpy(body, "eleven byte", 11);
  h.log->seal_record();
  ASSERT_TRUE(h.write());
  EXPECT_EQ(as_text(h.log->read_record(*position)->body), "eleven byte");
}

TEST(Log, KilledProcessLosesNothingWritten) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("one"));
  ASSERT_TRUE(h.append("two"));
  ASSERT_TRUE(h.write());
  h.kill();
  const auto report = h.open();
  ASSERT_TRUE(report) << h.message;
  EXPECT_EQ(bodies(h.replayed), (std::vector<std::string>{"one", "two"}));
  EXPECT_FALSE(report->created);
  EXPECT_FALSE(report->clean_shutdown);
}

TEST(Log, ClosedLogIsReopenedInPlace) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("one"));
  ASSERT_TRUE(h.log->close(h.now()));
  const Position end = h.log->end();
  EXPECT_EQ(h.log->durable(), end);
  for (int i = 0; i < 3; ++i) {
    const auto report = h.open();
    ASSERT_TRUE(report) << h.message;
    EXPECT_TRUE(report->clean_shutdown);
    EXPECT_EQ(report->bytes_rehomed, 0u);
    EXPECT_EQ(bodies(h.replayed), std::vector<std::string>{"one"});
    EXPECT_EQ(h.log->segment_of(h.log->end()), h.log->segment_of(end));
    ASSERT_TRUE(h.log->close(h.now()));
  }
}

TEST(Log, WorksOnTheRealDisk) {
  TemporaryDirectory directory;
  LogOptions options = test_options();
  Position end;
  for (int round = 0; round < 3; ++round) {
    auto disk = RealDisk::open_directory(directory.path(), {});
    ASSERT_TRUE(disk);
    std::string message;
    options.entropy = static_cast<uint64_t>(round);
    auto log = Log::open(**disk, options, &message);
    ASSERT_TRUE(log) << message;
    Collector collector;
    ASSERT_TRUE((*log)->recover((*log)->head(), collector, TimeMs{5}));
    EXPECT_EQ(collector.entries.size(), static_cast<size_t>(round) * 1000);
    for (int i = 0; i < 1000; ++i) {
      const std::string body = "record " + std::to_string(i);
      const Bytes parts[] = {as_bytes(body)};
      ASSERT_TRUE((*log)->append(1, parts, true));
      if (i % 10 == 0) {
        ASSERT_TRUE((*log)->write_batch(TimeMs{6}));
      }
    }
    ASSERT_TRUE((*log)->write_batch(TimeMs{6}));
    if (round == 1) {
      ASSERT_TRUE((*log)->close(TimeMs{7}));
    }
  }
}

}  // namespace
}  // namespace millrace::storage

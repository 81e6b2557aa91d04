#include "storage/log.h"

#include <cstring>

#include <gtest/gtest.h>

#include "storage/real_disk.h"
#include "tests/storage/log_harness.h"
#include "tests/support/temporary_directory.h"

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

// Its first segment is made on the spot, and each commit there would cost more.
TEST(Log, NewLogMovesToASegmentWrittenAhead) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  const uint64_t first = h.log->segment_of(h.log->end());
  const auto before = h.append("before");
  ASSERT_TRUE(before);
  h.settle();
  EXPECT_EQ(h.log->segment_of(h.log->end()), first + 1);
  ASSERT_TRUE(h.append("after"));
  h.settle();
  EXPECT_EQ(h.log->segment_of(h.log->end()), first + 1);  // once
  ASSERT_TRUE(h.log->read_record(*before));
  h.kill();
  ASSERT_TRUE(h.open());
  EXPECT_EQ(bodies(h.replayed), (std::vector<std::string>{"before", "after"}));
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
  const auto position = h.log->begin_record(2, 11, Space::frees, &body);
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

TEST(Log, LogClosedInAnEmptySegmentIsClean) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("before"));
  h.settle();
  ASSERT_EQ(h.log->end().value % kTestSegmentBytes, kSegmentDataOffset);  // it has just moved
  ASSERT_TRUE(h.log->close(h.now()));
  const auto report = h.open();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->clean_shutdown);
  EXPECT_EQ(report->bytes_rehomed, 0u);
}

TEST(Log, ClosedLogRefusesRecords) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.log->close(h.now()));
  EXPECT_EQ(h.append("late").error(), Errc::shard_fenced);
}

TEST(Log, WorksOnTheRealDisk) {
  TemporaryDirectory directory;
  LogOptions options = test_options();
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
      ASSERT_TRUE((*log)->append(1, parts, Space::frees));
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

// Appends until the log begins a new segment; returns how many records that took.
int fill_segment(LogHarness& h, Space space = Space::frees, size_t bytes = 3000) {
  const uint64_t sequence = h.log->segment_of(h.log->end());
  int count = 0;
  while (h.log->segment_of(h.log->end()) == sequence) {
    if (!h.append(std::string(bytes, 'f'), 1, space)) return count;
    ++count;
  }
  return count;
}

TEST(Log, DurableIsWhatWasWrittenWhenTheSyncWasSubmitted) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.settle();
  ASSERT_TRUE(h.append("one"));
  ASSERT_TRUE(h.write());
  const Position first = h.log->written();
  h.log->start_jobs(h.now());
  EXPECT_TRUE(h.log->sync_in_flight());
  ASSERT_TRUE(h.append("two"));
  ASSERT_TRUE(h.write());
  h.finish_jobs();
  EXPECT_EQ(h.log->durable(), first);
  h.settle();
  EXPECT_EQ(h.log->durable(), h.log->written());
}

TEST(Log, NewSegmentIsDurableOnlyAfterTheOneBefore) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.settle();
  const uint64_t first = h.log->segment_of(h.log->end());
  fill_segment(h);
  ASSERT_TRUE(h.write());
  h.log->start_jobs(h.now());
  h.finish_jobs();
  EXPECT_EQ((h.log->durable().value - 1) / kTestSegmentBytes, first);
  EXPECT_LT(h.log->durable(), h.log->written());
  h.log->start_jobs(h.now());
  h.finish_jobs();
  EXPECT_EQ(h.log->durable(), h.log->written());
}

TEST(Log, FailedSyncFencesForEver) {
  for (const bool late : {false, true}) {
    LogHarness h;
    ASSERT_TRUE(h.open());
    h.settle();
    ASSERT_TRUE(h.append("one"));
    ASSERT_TRUE(h.write());
    const Position durable = h.log->durable();
    sim::DiskFault fault;
    fault.call = sim::DiskCall::sync;
    fault.late_report = late;
    h.disk->inject(fault);
    h.settle();
    if (late) {
      ASSERT_TRUE(h.append("two"));
      h.settle();
    }
    EXPECT_TRUE(h.log->fenced());
    EXPECT_TRUE(late || h.log->durable() == durable);
    const Position fenced_at = h.log->durable();
    EXPECT_EQ(h.append("three").error(), Errc::shard_fenced);
    EXPECT_EQ(h.write().error(), Errc::shard_fenced);
    h.settle();
    EXPECT_EQ(h.log->durable(), fenced_at);
    EXPECT_EQ(h.log->close(h.now()).error(), Errc::shard_fenced);
  }
}

// Each write and each sync of a run fails once: nothing becomes durable afterwards, and what was
// is there at the next start.
TEST(Log, NothingBecomesDurableAfterAnIoError) {
  for (const sim::DiskCall call :
       {sim::DiskCall::write, sim::DiskCall::short_write, sim::DiskCall::sync}) {
    for (const sim::SyncFailure how :
         {sim::SyncFailure::keeps_content, sim::SyncFailure::reverts}) {
      for (uint64_t nth = 1; nth <= 40; ++nth) {
        LogHarness h;
        ASSERT_TRUE(h.open());
        h.disk->seed(nth);
        sim::DiskFault fault;
        fault.call = call;
        fault.nth = nth;
        fault.sync_failure = how;
        h.disk->inject(fault);
        std::vector<std::string> appended;
        size_t durable = 0;
        std::vector<uint64_t> ends;
        for (int i = 0; i < 60; ++i) {
          const std::string body = std::to_string(i) + std::string(2000, 'b');
          if (!h.append(body)) break;
          appended.push_back(body);
          ends.push_back(h.log->end().value);
          const Position before = h.log->durable();
          const bool fenced = h.log->fenced();
          h.settle();
          ASSERT_TRUE(!fenced || h.log->durable() == before);
        }
        while (durable < ends.size() && ends[durable] <= h.log->durable().value)
          ++durable;
        base::Prng prng(nth);
        h.crash(prng);
        ASSERT_TRUE(h.open()) << h.message;
        ASSERT_GE(h.replayed.size(), durable);
        for (size_t i = 0; i < h.replayed.size(); ++i)
          ASSERT_EQ(h.replayed[i].body, appended[i]);
      }
    }
  }
}

TEST(Log, FullDiskRefusesSendsAndTakesAcks) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.settle();
  h.image->set_capacity(h.image->used_bytes());
  while (h.append(std::string(3000, 's'), 1, Space::grows))
    h.settle();
  EXPECT_TRUE(h.log->disk_full());
  const Position end = h.log->end();
  EXPECT_EQ(h.append(std::string(3000, 's'), 1, Space::grows).error(), Errc::disk_full);
  EXPECT_EQ(h.log->end(), end);
  // The reserve takes a segment of acks.
  EXPECT_TRUE(h.append(std::string(3000, 'a'), 2, Space::frees));
  fill_segment(h);
  h.settle();
  EXPECT_FALSE(h.log->fenced());
  // Nothing is alive: freeing makes room again, by itself.
  h.clean();
  for (int i = 0; i < 5; ++i) {
    h.pass(200);
    h.settle();
  }
  EXPECT_FALSE(h.log->disk_full());
  EXPECT_TRUE(h.append(std::string(3000, 's'), 1, Space::grows));
}

TEST(Log, SpaceThatComesBackIsFoundWithinTheRetryTime) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.settle();
  const uint64_t used = h.image->used_bytes();
  h.image->set_capacity(used);
  while (const auto at = h.append(std::string(3000, 's'), 1, Space::grows)) {
    h.log->add_live(*at, 3000);
    h.settle();
  }
  h.image->set_capacity(used * 10);
  h.pass(100);
  h.settle();
  EXPECT_TRUE(h.append(std::string(3000, 's'), 1, Space::grows));
}

TEST(Log, DiskBytesMaxHoldsForSendsOnly) {
  LogOptions options = test_options();
  options.disk_bytes_max = 5 * kTestSegmentBytes;
  LogHarness h(options);
  ASSERT_TRUE(h.open());
  h.settle();
  while (const auto at = h.append(std::string(3000, 's'), 1, Space::grows)) {
    h.log->add_live(*at, 3000);
    h.settle();
  }
  EXPECT_LE(h.log->bytes_on_disk(), options.disk_bytes_max);
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(h.append(std::string(3000, 'a'), 2, Space::frees));
}

// ENOSPC at each Nth reserve: sends may be refused, nothing is lost, and it goes on afterwards.
TEST(Log, ReserveThatFailsOnceIsTriedAgain) {
  for (uint64_t nth = 1; nth <= 8; ++nth) {
    LogHarness h;
    ASSERT_TRUE(h.open());
    sim::DiskFault fault;
    fault.call = sim::DiskCall::reserve;
    fault.nth = nth;
    fault.error = Errc::disk_full;
    h.disk->inject(fault);
    std::vector<std::string> sent;
    for (int i = 0; i < 300; ++i) {
      const std::string body = std::to_string(i) + std::string(2000, 's');
      if (const auto at = h.append(body, 1, Space::grows)) {
        sent.push_back(body);
        h.log->add_live(*at, body.size());
      }
      h.pass(20);
      h.settle();
    }
    EXPECT_FALSE(h.log->fenced());
    EXPECT_GE(sent.size(), 290u) << nth;
    h.kill();
    ASSERT_TRUE(h.open());
    EXPECT_EQ(bodies(h.replayed), sent);
  }
}

TEST(Log, DrainedInOrderTheLogKeepsItsFiles) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  uint64_t most = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto at = h.append(std::string(1000, 'd'), 1, Space::grows);
    ASSERT_TRUE(at);
    h.log->add_live(*at, 1016);
    h.settle();
    h.log->remove_live(*at, 1016);
    h.clean();
    h.settle();
    most = std::max(most, h.log->bytes_on_disk());
  }
  EXPECT_LE(most, 3 * kTestSegmentBytes);
  EXPECT_LE(h.log->bytes_written(), 2000 * 1016 * 13 / 10);
}

TEST(Log, FreedSegmentComesBackOnlyAfterAMarkNamesTheNewHead) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.settle();
  fill_segment(h);
  h.settle();
  const uint64_t before = h.log->bytes_on_disk();
  ASSERT_TRUE(h.log->needs_cleaning());
  h.log->free_head();
  EXPECT_EQ(h.log->bytes_on_disk(), before);
  // No mark, no recycling: a power loss now still finds the segment.
  base::Prng prng(1);
  h.crash(prng);
  ASSERT_TRUE(h.open()) << h.message;
  EXPECT_FALSE(h.replayed.empty());
}

// The segment that is appended to is full to the last bytes: no mark gives the freed file back
// before the next record comes.
TEST(Log, FreedFileCountsForTheBoundWhereNoMarkFits) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.settle();
  h.clean();
  h.settle();
  fill_segment(h);
  h.settle();
  // Small messages of one record: alone they would take three times what they do.
  const auto at = h.append(std::string(10'000, 'm'));
  ASSERT_TRUE(at);
  h.log->add_live(*at, 30'000);
  h.log->add_apart(20'000);
  const uint64_t full = (h.log->segment_of(*at) + 1) * kTestSegmentBytes;
  ASSERT_TRUE(h.append(std::string(40'000, 'f')));
  h.settle();
  const uint64_t left = full - h.log->end().value - kMarkRecordBytes - sizeof(RecordHeader);
  ASSERT_TRUE(h.append(std::string(left, 'f')));
  h.settle();
  ASSERT_EQ(h.log->end().value, full);
  h.clean();
  ASSERT_EQ(h.log->segment_of(h.log->head()), h.log->segment_of(*at));
  h.settle();
  EXPECT_EQ(h.log->bytes_on_disk(), 3 * kTestSegmentBytes);
  // What is left is enough to go on with.
  ASSERT_TRUE(h.append("next"));
  h.settle();
  EXPECT_EQ(h.log->bytes_on_disk(), 3 * kTestSegmentBytes);
}

TEST(Log, IdleLogTellsTheDurablePositionOnce) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("one"));
  h.settle();
  EXPECT_NE(h.log->next_deadline(), kNever);
  const uint64_t before = h.log->bytes_written();
  h.pass(10);
  h.settle();
  EXPECT_EQ(h.log->bytes_written(), before + kMarkRecordBytes);
  h.pass(1000);
  h.settle();
  EXPECT_EQ(h.log->bytes_written(), before + kMarkRecordBytes);
  EXPECT_EQ(h.log->next_deadline(), kNever);
}

TEST(Log, IntervalSyncsWhenItsTimeHasCome) {
  LogOptions options = test_options();
  options.durability = Durability::interval;
  options.interval_ms = 50;
  LogHarness h(options);
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("one"));
  ASSERT_TRUE(h.write());
  h.log->start_jobs(h.now());
  EXPECT_FALSE(h.log->sync_in_flight());
  EXPECT_EQ(h.log->next_deadline(), h.now() + 50);
  h.pass(50);
  h.log->start_jobs(h.now());
  EXPECT_TRUE(h.log->sync_in_flight());
}

TEST(Log, CheckpointIsFoundIfWholeAndIgnoredIfNot) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("before"));
  h.settle();
  const Position position = h.log->durable();
  const std::string state = "the state";
  const Bytes bytes = as_bytes(state);
  h.log->save_checkpoint(position, {bytes.begin(), bytes.end()});
  EXPECT_TRUE(h.log->checkpoint_in_flight());
  h.finish_jobs();
  EXPECT_FALSE(h.log->checkpoint_in_flight());
  ASSERT_TRUE(h.append("after"));
  ASSERT_TRUE(h.write());
  h.kill();

  const auto open_with_checkpoint = [&](Collector& collector) {
    h.close_without_syncing();
    h.disk = std::make_unique<sim::SimDisk>(*h.image);
    h.log = std::move(*Log::open(*h.disk, h.options(), &h.message));
    auto checkpoint = h.log->load_checkpoint();
    const Position from = checkpoint ? checkpoint->first : h.log->head();
    EXPECT_TRUE(h.log->recover(from, collector, h.now()));
    return checkpoint;
  };
  const auto saved = h.image->clone();
  Collector collector;
  const auto checkpoint = open_with_checkpoint(collector);
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->first, position);
  EXPECT_EQ(as_text(checkpoint->second), state);
  EXPECT_EQ(bodies(collector.entries), std::vector<std::string>{"after"});

  h.close_without_syncing();
  saved->settle();
  const uint64_t size = saved->content("shard-0/checkpoint").size();
  for (uint64_t byte = 0; byte < size; ++byte) {
    h.close_without_syncing();
    h.use(saved->clone());
    h.image->flip_bit("shard-0/checkpoint", byte * 8 + byte % 8);
    Collector all;
    EXPECT_FALSE(open_with_checkpoint(all)) << byte;
    EXPECT_EQ(bodies(all.entries), (std::vector<std::string>{"before", "after"}));
  }
}

TEST(Log, LargestRecordFitsAnEmptySegment) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  const std::string body(h.log->body_bytes_max(), 'm');
  for (int i = 0; i < 3; ++i) {
    const auto at = h.append(body);
    ASSERT_TRUE(at);
    h.log->add_live(*at, body.size());
    h.settle();
    EXPECT_EQ(as_text(h.log->read_record(*at)->body), body);
  }
  ASSERT_TRUE(h.log->close(h.now()));
  ASSERT_TRUE(h.open());
  EXPECT_EQ(h.replayed.size(), 3u);
}

TEST(Log, KeepsTheSegmentSizeItWasMadeWith) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("one"));
  ASSERT_TRUE(h.log->close(h.now()));
  h.options().segment_bytes = 2 * kTestSegmentBytes;
  ASSERT_TRUE(h.open());
  EXPECT_EQ(h.log->segment_bytes(), kTestSegmentBytes);
  EXPECT_EQ(h.replayed.size(), 1u);
}

}  // namespace
}  // namespace millrace::storage

#include "tests/storage/disk_contract.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/aligned_memory.h"
#include "storage/disk_jobs.h"

namespace millrace::storage {

FileId DiskContract::make_file(std::string_view path, std::string_view content) {
  const Result<FileId> file = disk().open(path, OpenMode::create_new);
  EXPECT_TRUE(file) << errc_name(file.error());
  EXPECT_TRUE(write_text(*file, 0, content));
  return *file;
}

Status DiskContract::write_text(FileId file, uint64_t offset, std::string_view text) {
  const Bytes part = as_bytes(text);
  return disk().write(file, offset, {&part, 1});
}

std::string DiskContract::content_of(FileId file) {
  std::string out(disk().size(file).value_or(0), '?');
  const Result<uint64_t> got = disk().read(file, 0, std::as_writable_bytes(std::span(out)));
  EXPECT_TRUE(got);
  EXPECT_EQ(*got, out.size());
  return out;
}

std::string DiskContract::content_of(std::string_view path) {
  const Result<FileId> file = disk().open(path, OpenMode::read_only);
  if (!file) return std::string(errc_name(file.error()));
  std::string out = content_of(*file);
  disk().close(*file);
  return out;
}

std::vector<std::string> DiskContract::names_in(std::string_view directory) {
  std::vector<std::string> names;
  const Result<std::vector<DirectoryEntry>> entries = disk().list(directory);
  EXPECT_TRUE(entries);
  for (const DirectoryEntry& entry : *entries)
    names.push_back(entry.name);
  return names;
}

Completion DiskContract::run(Job job) {
  disk().submit(std::move(job));
  Completion completion{};
  while (disk().reap({&completion, 1}) == 0)
    under_test_->wait_for_jobs();
  return completion;
}

TEST_P(DiskContract, ADirectoryIsMadeOnceAndMayBeThereAlready) {
  EXPECT_TRUE(disk().make_directory("shard-0"));
  EXPECT_TRUE(disk().make_directory("shard-0"));
  EXPECT_EQ(names_in("shard-0"), std::vector<std::string>{});
}

TEST_P(DiskContract, ADirectoryInThePlaceOfAFileIsRefused) {
  disk().close(make_file("name", "x"));
  EXPECT_EQ(disk().make_directory("name").error(), Errc::not_a_directory);
  EXPECT_EQ(disk().open("name/inner", OpenMode::create_new).error(), Errc::not_a_directory);
  ASSERT_TRUE(disk().make_directory("folder"));
  EXPECT_EQ(disk().open("folder", OpenMode::read_only).error(), Errc::permission_denied);
}

TEST_P(DiskContract, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(disk().open("absent", OpenMode::read_only).error(), Errc::not_found);
  EXPECT_EQ(disk().open("absent", OpenMode::read_write).error(), Errc::not_found);
  EXPECT_EQ(disk().open("no-folder/file", OpenMode::create_new).error(), Errc::not_found);
  EXPECT_EQ(disk().list("no-folder").error(), Errc::not_found);
  EXPECT_EQ(disk().sync_directory("no-folder").error(), Errc::not_found);
  EXPECT_EQ(disk().remove("absent").error(), Errc::not_found);
  EXPECT_EQ(disk().rename("absent", "other").error(), Errc::not_found);
}

TEST_P(DiskContract, CreateNewNeverTakesAFileThatExists) {
  disk().close(make_file("file", "first"));
  EXPECT_EQ(disk().open("file", OpenMode::create_new).error(), Errc::already_exists);
  EXPECT_EQ(content_of("file"), "first");
}

TEST_P(DiskContract, ALinkIsListedAsNotRegularAndNeverOpened) {
  ASSERT_TRUE(disk().make_directory("shard-0"));
  if (!under_test_->plant_link("shard-0/planted")) GTEST_SKIP() << "this backend has no links";
  const Result<std::vector<DirectoryEntry>> entries = disk().list("shard-0");
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_FALSE((*entries)[0].regular_file);
  EXPECT_EQ(disk().open("shard-0/planted", OpenMode::read_only).error(), Errc::permission_denied);
  EXPECT_EQ(disk().open("shard-0/planted", OpenMode::create_new).error(), Errc::already_exists);
  ASSERT_TRUE(under_test_->plant_link("linked"));
  EXPECT_EQ(disk().open("linked/file", OpenMode::create_new).error(), Errc::not_a_directory);
}

TEST_P(DiskContract, AListingNamesFilesWithTheirSizesInOrder) {
  ASSERT_TRUE(disk().make_directory("shard-0"));
  disk().close(make_file("shard-0/b", "four"));
  disk().close(make_file("shard-0/a", ""));
  const Result<std::vector<DirectoryEntry>> entries = disk().list("shard-0");
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[0].bytes, 0u);
  EXPECT_EQ((*entries)[1].name, "b");
  EXPECT_EQ((*entries)[1].bytes, 4u);
  EXPECT_TRUE((*entries)[1].regular_file);
}

TEST_P(DiskContract, PartsAreWrittenOneAfterTheOtherAtTheOffset) {
  const FileId file = make_file("file", "0123456789");
  std::vector<Bytes> parts = {as_bytes("ab"), Bytes{}, as_bytes("c"), as_bytes("defghijk")};
  ASSERT_TRUE(disk().write(file, 3, parts));
  EXPECT_EQ(content_of(file), "012abcdefghijk");
  // More parts than one call into the kernel takes.
  std::vector<Bytes> many(5000, as_bytes("xy"));
  ASSERT_TRUE(disk().write(file, 0, many));
  EXPECT_EQ(disk().size(file).value(), 10000u);
  EXPECT_EQ(content_of(file).substr(9996), "xyxy");
  ASSERT_TRUE(disk().write(file, 0, {}));
  ASSERT_TRUE(disk().write(file, 0, std::vector<Bytes>(3)));
  EXPECT_EQ(disk().size(file).value(), 10000u);
}

TEST_P(DiskContract, AWritePastTheEndLeavesZerosBetween) {
  const FileId file = make_file("file", "ab");
  ASSERT_TRUE(write_text(file, 5000, "z"));
  const std::string content = content_of(file);
  ASSERT_EQ(content.size(), 5001u);
  EXPECT_EQ(content.substr(0, 2), "ab");
  EXPECT_EQ(content.find_first_not_of('\0', 2), 5000u);
}

TEST_P(DiskContract, AReadIsShorterOnlyAtTheEndOfTheFile) {
  const FileId file = make_file("file", "0123456789");
  std::string out(20, '?');
  EXPECT_EQ(disk().read(file, 4, std::as_writable_bytes(std::span(out))).value(), 6u);
  EXPECT_EQ(out.substr(0, 7), "456789?");
  EXPECT_EQ(disk().read(file, 10, std::as_writable_bytes(std::span(out))).value(), 0u);
  EXPECT_EQ(disk().read(file, 99, std::as_writable_bytes(std::span(out))).value(), 0u);
}

TEST_P(DiskContract, AReadOnlyFileIsNotWritten) {
  disk().close(make_file("file", "kept"));
  const Result<FileId> file = disk().open("file", OpenMode::read_only);
  ASSERT_TRUE(file);
  EXPECT_FALSE(write_text(*file, 0, "lost"));
  EXPECT_EQ(content_of(*file), "kept");
}

TEST_P(DiskContract, ReservedSpaceMakesTheFileAtLeastThatLongAndKeepsItsContent) {
  const FileId file = make_file("file", "kept");
  ASSERT_TRUE(disk().reserve(file, 100'000));
  EXPECT_EQ(disk().size(file).value(), 100'000u);
  ASSERT_TRUE(disk().reserve(file, 4096));
  EXPECT_EQ(disk().size(file).value(), 100'000u);
  const std::string content = content_of(file);
  EXPECT_EQ(content.substr(0, 4), "kept");
  EXPECT_EQ(content.find_first_not_of('\0', 4), std::string::npos);
}

TEST_P(DiskContract, AReservationThatDoesNotFitIsDiskFullAndChangesNothing) {
  const FileId file = make_file("file", "kept");
  const uint64_t before = disk().free_bytes().value();
  EXPECT_EQ(disk().reserve(file, uint64_t{1} << 43).error(), Errc::disk_full);
  EXPECT_EQ(content_of(file), "kept");
  EXPECT_GE(disk().free_bytes().value() + (64u << 20), before);
}

TEST_P(DiskContract, WritesShowThroughAMapUntilItIsUnmappedAlsoAfterClose) {
  const FileId file = make_file("file", std::string(10'000, 'a'));
  const Result<Bytes> mapped = disk().map(file, 10'000);
  ASSERT_TRUE(mapped);
  EXPECT_EQ(as_text(*mapped), std::string(10'000, 'a'));
  ASSERT_TRUE(write_text(file, 5000, "changed"));
  EXPECT_EQ(as_text(mapped->subspan(4999, 9)), "achangeda");
  ASSERT_TRUE(disk().reserve(file, 200'000));  // growing it moves nothing
  disk().close(file);
  EXPECT_EQ(as_text(mapped->subspan(4999, 9)), "achangeda");
  disk().unmap(*mapped);
}

TEST_P(DiskContract, AMapLongerThanTheFileIsAnError) {
  const FileId file = make_file("file", "short");
  EXPECT_EQ(disk().map(file, 4096).error(), Errc::io_error);
}

TEST_P(DiskContract, ARenameReplacesItsTargetAndOpenFilesFollowTheirContent) {
  const FileId file = make_file("new", "new");
  disk().close(make_file("old", "old"));
  const FileId old_file = disk().open("old", OpenMode::read_only).value();
  ASSERT_TRUE(disk().rename("new", "old"));
  EXPECT_EQ(content_of("old"), "new");
  EXPECT_EQ(content_of("new"), "not_found");
  EXPECT_EQ(content_of(old_file), "old");
  ASSERT_TRUE(write_text(file, 3, "er"));
  EXPECT_EQ(content_of("old"), "newer");
}

TEST_P(DiskContract, ARemovedFileStaysReadableWhileItIsOpen) {
  const FileId file = make_file("file", "content");
  ASSERT_TRUE(disk().remove("file"));
  EXPECT_EQ(content_of("file"), "not_found");
  EXPECT_EQ(content_of(file), "content");
  disk().close(make_file("file", "another"));
  EXPECT_EQ(content_of(file), "content");
}

TEST_P(DiskContract, SyncsOfFilesAndDirectoriesSucceed) {
  ASSERT_TRUE(disk().make_directory("shard-0"));
  const FileId file = make_file("shard-0/file", "content");
  EXPECT_TRUE(disk().sync(file));
  EXPECT_TRUE(disk().sync_directory("shard-0"));
  EXPECT_TRUE(disk().sync_directory(""));
}

TEST_P(DiskContract, WhatWasWrittenIsThereForTheNextProcess) {
  ASSERT_TRUE(disk().make_directory("shard-0"));
  (void)make_file("shard-0/file", "unsynced, but no power was lost");
  under_test_->reopen();
  EXPECT_EQ(content_of("shard-0/file"), "unsynced, but no power was lost");
}

TEST_P(DiskContract, TheLockIsExclusiveAndEndsWithTheDisk) {
  ASSERT_TRUE(disk().lock());
  const std::unique_ptr<Disk> second = under_test_->second();
  EXPECT_EQ(second->lock().error(), Errc::locked);
  under_test_->reopen();
  EXPECT_TRUE(second->lock());
  EXPECT_EQ(disk().lock().error(), Errc::locked);
}

TEST_P(DiskContract, APreparedSegmentIsOpenZeroedAndOfFullLength) {
  ASSERT_TRUE(disk().make_directory("shard-0"));
  constexpr uint64_t kBytes = kPrepareStepBytes * 2 + 12'345;  // not a multiple of any step
  for (const bool reserve_only : {false, true}) {
    const std::string name = reserve_only ? "reserved" : "written";
    const Completion done = run({.kind = JobKind::prepare_segment,
                                 .token = 7,
                                 .bytes = kBytes,
                                 .path = "shard-0/" + name,
                                 .content = {},
                                 .reserve_only = reserve_only});
    EXPECT_EQ(done.kind, JobKind::prepare_segment);
    EXPECT_EQ(done.token, 7u);
    ASSERT_EQ(done.error, Errc::ok);
    EXPECT_EQ(disk().size(done.file).value(), kBytes);
    EXPECT_EQ(content_of(done.file).find_first_not_of('\0'), std::string::npos);
    EXPECT_TRUE(write_text(done.file, 4096, "appended"));
  }
  EXPECT_EQ(names_in("shard-0"), (std::vector<std::string>{"reserved", "written"}));
}

TEST_P(DiskContract, APreparationThatDoesNotFitLeavesNothingBehind) {
  ASSERT_TRUE(disk().make_directory("shard-0"));
  const Completion done = run({.kind = JobKind::prepare_segment,
                               .bytes = uint64_t{1} << 43,
                               .path = "shard-0/seg",
                               .content = {}});
  EXPECT_EQ(done.error, Errc::disk_full);
  EXPECT_EQ(done.file, kNoFile);
  EXPECT_EQ(names_in("shard-0"), std::vector<std::string>{});
}

TEST_P(DiskContract, APreparationNeverTouchesAFileThatExists) {
  disk().close(make_file("seg", "kept"));
  const Completion done =
      run({.kind = JobKind::prepare_segment, .bytes = 4096, .path = "seg", .content = {}});
  EXPECT_EQ(done.error, Errc::already_exists);
  EXPECT_EQ(content_of("seg"), "kept");
}

TEST_P(DiskContract, ReplaceFileSwapsTheContentAndLeavesNoOtherName) {
  ASSERT_TRUE(disk().make_directory("shard-0"));
  disk().close(make_file(replacement_name("shard-0/checkpoint"), "left by a crash"));
  for (const std::string& content :
       {std::string("first"), std::string(3u << 20, 'b'), std::string()}) {
    const Bytes bytes = as_bytes(content);
    const Completion done = run({.kind = JobKind::replace_file,
                                 .token = 9,
                                 .path = "shard-0/checkpoint",
                                 .content = {bytes.begin(), bytes.end()}});
    ASSERT_EQ(done.error, Errc::ok);
    EXPECT_EQ(done.file, kNoFile);
    EXPECT_EQ(content_of("shard-0/checkpoint"), content);
    EXPECT_EQ(names_in("shard-0"), std::vector<std::string>{"checkpoint"});
  }
}

TEST_P(DiskContract, FinishWaitsForAllOfAKind) {
  const Bytes bytes = as_bytes("state");
  disk().submit(
      {.kind = JobKind::prepare_segment, .bytes = 4u << 20, .path = "segment", .content = {}});
  for (const char* path : {"one", "two"})
    disk().submit(
        {.kind = JobKind::replace_file, .path = path, .content = {bytes.begin(), bytes.end()}});
  disk().finish(JobKind::replace_file);
  Completion done[8];
  size_t replaced = 0;
  for (const Completion& each : std::span(done, disk().reap(done)))
    replaced += each.kind == JobKind::replace_file && each.error == Errc::ok;
  EXPECT_EQ(replaced, 2u);
  for (const char* path : {"one", "two"})
    EXPECT_EQ(content_of(path), "state");
}

TEST_P(DiskContract, RemoveJobUnlinksAndReportsWhatIsNotThere) {
  disk().close(make_file("file", "x"));
  EXPECT_EQ(run({.kind = JobKind::remove, .path = "file", .content = {}}).error, Errc::ok);
  EXPECT_EQ(run({.kind = JobKind::remove, .path = "file", .content = {}}).error, Errc::not_found);
}

TEST_P(DiskContract, ReadBackReadsAllOfARangeOrFails) {
  constexpr uint64_t kPage = 4096;
  const FileId file = make_file("file", std::string(kPage, 'a') + std::string(kPage, 'b'));
  ASSERT_TRUE(disk().sync(file));
  const std::shared_ptr<std::byte[]> into(base::take_aligned(kPage, 2 * kPage),
                                          [](std::byte* buffer) { std::free(buffer); });
  const auto read_back = [&](uint64_t offset, uint64_t bytes) {
    return run({.kind = JobKind::read_back,
                .token = 3,
                .file = file,
                .offset = offset,
                .bytes = bytes,
                .path = {},
                .content = {},
                .into = into});
  };
  const Completion done = read_back(kPage, kPage);
  EXPECT_EQ(done.error, Errc::ok);
  EXPECT_EQ(done.token, 3u);
  EXPECT_EQ(as_text(Bytes(into.get(), kPage)), std::string(kPage, 'b'));
  EXPECT_EQ(read_back(kPage, 2 * kPage).error, Errc::io_error);
  disk().close(file);
  EXPECT_EQ(read_back(0, kPage).error, Errc::canceled);
}

TEST_P(DiskContract, JobsOfOneKindCompleteInTheOrderSubmitted) {
  const FileId file = make_file("file", "content");
  constexpr uint64_t kJobs = 40;
  for (uint64_t i = 0; i < kJobs; ++i) {
    disk().submit({.kind = JobKind::sync, .token = i, .file = file, .path = {}, .content = {}});
    disk().submit({.kind = JobKind::prepare_segment,
                   .token = 1000 + i,
                   .bytes = 4096,
                   .path = "seg-" + std::to_string(i),
                   .content = {}});
  }
  uint64_t next_sync = 0;
  uint64_t next_segment = 1000;
  Completion batch[3];
  while (next_sync + next_segment < 1000 + 2 * kJobs) {
    const size_t count = disk().reap(batch);
    if (count == 0) under_test_->wait_for_jobs();
    for (const Completion& done : std::span(batch, count)) {
      EXPECT_EQ(done.error, Errc::ok);
      if (done.kind == JobKind::sync) {
        EXPECT_EQ(done.file, file);
      }
      uint64_t& next = done.kind == JobKind::sync ? next_sync : next_segment;
      ASSERT_EQ(done.token, next);
      ++next;
    }
  }
  EXPECT_EQ(disk().reap(batch), 0u);
}

TEST_P(DiskContract, ADiskWithJobsUnderWayMayBeDestroyed) {
  const FileId file = make_file("file", "content");
  for (int i = 0; i < 20; ++i) {
    disk().submit({.kind = JobKind::sync, .file = file, .path = {}, .content = {}});
    disk().submit({.kind = JobKind::prepare_segment,
                   .bytes = 4u << 20,
                   .path = "seg-" + std::to_string(i),
                   .content = {}});
  }
  under_test_->reopen();
  EXPECT_EQ(content_of("file"), "content");
}

}  // namespace millrace::storage

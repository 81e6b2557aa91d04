#include "tests/sim/sim_disk.h"

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/storage/disk_contract.h"

namespace millrace::storage {
namespace {

class SimUnderTest final : public DiskUnderTest {
 public:
  SimUnderTest() { reopen(); }
  Disk& disk() override { return *disk_; }
  void reopen() override {
    disk_.reset();
    disk_ = std::make_unique<sim::SimDisk>(image_);
  }
  std::unique_ptr<Disk> second() override { return std::make_unique<sim::SimDisk>(image_); }
  void wait_for_jobs() override { ASSERT_TRUE(disk_->step_jobs(prng_)); }
  bool plant_link(std::string_view path) override {
    image_.plant_link(std::string(path));
    return true;
  }

 private:
  sim::SimDiskImage image_;
  base::Prng prng_{7};
  std::unique_ptr<sim::SimDisk> disk_;
};

INSTANTIATE_TEST_SUITE_P(Sim, DiskContract, testing::Values([]() -> std::unique_ptr<DiskUnderTest> {
                           return std::make_unique<SimUnderTest>();
                         }),
                         [](const auto&) { return std::string("Disk"); });

}  // namespace
}  // namespace millrace::storage

namespace millrace::sim {
namespace {

using storage::FileId;
using storage::JobKind;
using storage::OpenMode;

constexpr PowerLossOptions kKeepNothing{.keep_percent = 0};
constexpr PowerLossOptions kKeepAll{.keep_percent = 100};

Status write_text(storage::Disk& disk, FileId file, uint64_t offset, std::string_view text) {
  const Bytes part = as_bytes(text);
  return disk.write(file, offset, {&part, 1});
}

std::string text_of(const SimDiskImage& image, const std::string& path) {
  return image.exists(path) ? std::string(as_text(image.content(path))) : "absent";
}

// An image with one durable file "file" of `content`, opened.
struct OneFile {
  explicit OneFile(std::string_view content) {
    file = disk.open("file", OpenMode::create_new).value();
    EXPECT_TRUE(write_text(disk, file, 0, content));
    image.settle();
  }
  void write(uint64_t offset, std::string_view text) {
    EXPECT_TRUE(write_text(disk, file, offset, text));
  }
  Status sync() { return disk.sync(file); }
  std::string after(const PowerLossOptions& options, uint64_t seed = 1) {
    base::Prng prng(seed);
    return text_of(*image.fork_crash(prng, options), "file");
  }

  SimDiskImage image;
  SimDisk disk{image};
  FileId file;
};

std::string sectors(std::string_view letters) {
  std::string out;
  for (const char letter : letters)
    out.append(kSectorBytes, letter);
  return out;
}

std::string first_letters(const std::string& content) {
  std::string out;
  for (size_t at = 0; at < content.size(); at += kSectorBytes)
    out += content[at];
  return out;
}

TEST(SimDisk, ASyncCoversWhatWasWrittenBeforeItWasSubmittedAndNothingLater) {
  OneFile one(sectors("aaa"));
  base::Prng prng(1);
  one.write(0, sectors("b"));
  one.disk.submit({.kind = JobKind::sync, .token = 5, .file = one.file, .path = {}, .content = {}});
  one.write(0, sectors("c"));
  one.write(512, sectors("c"));
  EXPECT_EQ(first_letters(one.after(kKeepNothing)), "aaa") << "submitted is not done";
  EXPECT_TRUE(one.disk.complete_one(prng));
  EXPECT_EQ(first_letters(one.after(kKeepNothing)), "baa");
  EXPECT_EQ(first_letters(one.after(kKeepAll)).substr(1), "ca");
  ASSERT_TRUE(one.sync());
  EXPECT_EQ(first_letters(one.after(kKeepNothing)), "cca");
}

TEST(SimDisk, ACrashKeepsAnySubsetOfSectorsAndAnyVersionOfEach) {
  OneFile one(sectors("aaa"));
  one.write(0, sectors("b"));
  one.write(512, sectors("bb"));
  one.write(0, sectors("c"));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 600; ++seed)
    seen.insert(first_letters(one.after({}, seed)));
  EXPECT_EQ(seen.size(), 3u * 2 * 2) << "a, b or c in the first; a or b in the others";
  for (const std::string& content : seen)
    EXPECT_EQ(content.find_first_not_of("abc"), std::string::npos);
}

TEST(SimDisk, WithPagesAsTheUnitTheSectorsOfAPageAgree) {
  OneFile one(sectors("aaaaaaaaaaaaaaaa"));
  one.write(0, sectors("bbbbbbbbbbbbbbbb"));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed)
    seen.insert(first_letters(one.after({.granularity = 4096}, seed)));
  EXPECT_EQ(seen, (std::set<std::string>{"aaaaaaaaaaaaaaaa", "aaaaaaaabbbbbbbb", "bbbbbbbbaaaaaaaa",
                                         "bbbbbbbbbbbbbbbb"}));
}

TEST(SimDisk, ATornUnitMixesTwoVersionsAtOnePlace) {
  for (const uint32_t granularity : {512u, 4096u}) {
    OneFile one(std::string(8192, 'a'));
    one.write(0, std::string(8192, 'b'));
    bool torn = false;
    for (uint64_t seed = 0; seed < 100; ++seed) {
      const std::string content = one.after({.granularity = granularity, .torn = true}, seed);
      for (size_t unit = 0; unit < content.size(); unit += granularity) {
        const std::string_view bytes = std::string_view(content).substr(unit, granularity);
        const size_t split = bytes.find_first_not_of(bytes[0]);
        if (split == std::string_view::npos) continue;
        torn = true;
        EXPECT_EQ(bytes.find_first_not_of(bytes[split], split), std::string_view::npos);
      }
    }
    EXPECT_TRUE(torn);
  }
}

TEST(SimDisk, TheSizeAfterAPowerLossIsOneTheFileHad) {
  OneFile one("0123456789");
  one.write(10, "abc");
  one.write(13, "def");
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 300; ++seed)
    sizes.insert(one.after({}, seed).size());
  EXPECT_EQ(sizes, (std::set<size_t>{10, 13, 16}));
  ASSERT_TRUE(one.sync());
  EXPECT_EQ(one.after(kKeepNothing), "0123456789abcdef");
}

TEST(SimDisk, DirectoryEntriesAreDurableOnlyAfterTheDirectoryIsSynced) {
  SimDiskImage image;
  SimDisk disk(image);
  ASSERT_TRUE(disk.make_directory("shard-0"));
  const FileId file = disk.open("shard-0/file", OpenMode::create_new).value();
  ASSERT_TRUE(write_text(disk, file, 0, "content"));
  ASSERT_TRUE(disk.sync(file));
  base::Prng prng(1);
  EXPECT_EQ(text_of(*image.fork_crash(prng, kKeepNothing), "shard-0/file"), "absent");
  EXPECT_EQ(text_of(*image.fork_crash(prng, kKeepAll), "shard-0/file"), "content");
  ASSERT_TRUE(disk.sync_directory(""));
  EXPECT_EQ(text_of(*image.fork_crash(prng, kKeepNothing), "shard-0/file"), "absent")
      << "another directory";
  ASSERT_TRUE(disk.sync_directory("shard-0"));
  EXPECT_EQ(text_of(*image.fork_crash(prng, kKeepNothing), "shard-0/file"), "content");
  ASSERT_TRUE(disk.remove("shard-0/file"));
  EXPECT_EQ(text_of(*image.fork_crash(prng, kKeepNothing), "shard-0/file"), "content");
  EXPECT_EQ(text_of(*image.fork_crash(prng, kKeepAll), "shard-0/file"), "absent");
  ASSERT_TRUE(disk.sync_directory("shard-0"));
  EXPECT_EQ(text_of(*image.fork_crash(prng, kKeepNothing), "shard-0/file"), "absent");
}

TEST(SimDisk, AnUnsyncedRenameLeavesTheOldNameOrTheNewOneAndNeverNeither) {
  OneFile one("kept");
  ASSERT_TRUE(one.disk.rename("file", "other"));
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    base::Prng prng(seed);
    const auto after = one.image.fork_crash(prng);
    ASSERT_EQ(after->paths().size(), 1u);
    EXPECT_EQ(text_of(*after, after->paths()[0]), "kept");
    ++seen[after->paths()[0]];
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(SimDisk, CrashesFallBetweenAnyTwoCallsOfAPreparation) {
  std::set<std::string> states;
  for (uint64_t steps = 0; steps < 6; ++steps) {
    SimDiskImage image;
    SimDisk disk(image);
    base::Prng prng(steps);
    disk.submit({.kind = JobKind::prepare_segment, .bytes = 4096, .path = "seg", .content = {}});
    for (uint64_t i = 0; i < steps && disk.step_jobs(prng); ++i) {
    }
    EXPECT_EQ(disk.jobs_under_way(), steps < 5 ? 1u : 0u);
    const std::string kept = text_of(*image.fork_crash(prng, kKeepAll), "seg");
    const std::string nothing = text_of(*image.fork_crash(prng, kKeepNothing), "seg");
    states.insert(std::to_string(kept.size()) + "/" + std::to_string(nothing.size()));
  }
  // absent, empty, of full length; and of those the last durable too (4096 zeros, or "absent").
  EXPECT_EQ(states, (std::set<std::string>{"6/6", "0/6", "4096/6", "4096/4096"}));
}

TEST(SimDisk, JobsOfDifferentKindsOvertakeEachOther) {
  std::set<JobKind> first;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    OneFile one("content");
    base::Prng prng(seed);
    one.disk.submit({.kind = JobKind::remove, .path = "file", .content = {}});
    one.disk.submit({.kind = JobKind::sync, .file = one.file, .path = {}, .content = {}});
    storage::Completion done{};
    while (one.disk.reap({&done, 1}) == 0)
      ASSERT_TRUE(one.disk.step_jobs(prng));
    first.insert(done.kind);
  }
  EXPECT_EQ(first.size(), 2u);
}

TEST(SimDisk, AfterAFailedSyncThatKeepsContentTheNextSyncSucceedsWithoutWritingIt) {
  OneFile one(sectors("aaaaaaaaa"));
  one.disk.inject({.call = DiskCall::sync});
  one.write(0, sectors("bb"));
  one.write(4096, sectors("b"));
  EXPECT_EQ(one.sync().error(), Errc::io_error);
  EXPECT_EQ(first_letters(text_of(one.image, "file")), "bbaaaaaab");
  EXPECT_TRUE(one.sync());
  EXPECT_EQ(first_letters(one.after(kKeepNothing)), "aaaaaaaaa");
  // A later write to the same page makes the page dirty, with all that is in it.
  one.write(1024, sectors("c"));
  EXPECT_TRUE(one.sync());
  EXPECT_EQ(first_letters(one.after(kKeepNothing)), "bbcaaaaaa");
}

TEST(SimDisk, AfterAFailedSyncThatRevertsTheOldContentIsBackAlsoInMaps) {
  OneFile one(sectors("aaa"));
  const Bytes mapped = one.disk.map(one.file, 3 * kSectorBytes).value();
  one.disk.inject({.call = DiskCall::sync, .sync_failure = SyncFailure::reverts});
  one.write(0, sectors("bb"));
  EXPECT_EQ(one.sync().error(), Errc::io_error);
  EXPECT_EQ(first_letters(text_of(one.image, "file")), "aaa");
  EXPECT_EQ(first_letters(std::string(as_text(mapped))), "aaa");
  EXPECT_TRUE(one.sync());
  EXPECT_EQ(first_letters(one.after(kKeepAll)), "aaa");
  one.disk.unmap(mapped);
}

TEST(SimDisk, AFailedSyncMayBeReportedByTheNextOne) {
  OneFile one(sectors("a"));
  one.disk.inject({.call = DiskCall::sync, .late_report = true});
  one.write(0, sectors("b"));
  EXPECT_TRUE(one.sync());
  EXPECT_EQ(first_letters(one.after(kKeepNothing)), "a");
  EXPECT_EQ(one.sync().error(), Errc::io_error);
  EXPECT_TRUE(one.sync());
}

TEST(SimDisk, PagesOfASyncThatLiedMayBeReadUntilTheyAreDroppedOrSyncedAgain) {
  for (const bool dropped : {false, true}) {
    OneFile one(sectors("a"));
    one.disk.inject({.call = DiskCall::sync,
                     .sync_failure = SyncFailure::reverts,
                     .late_report = true,
                     .pages_stay = true});
    one.write(0, sectors("b"));
    EXPECT_TRUE(one.sync());
    EXPECT_EQ(first_letters(text_of(one.image, "file")), "b");
    if (dropped)
      one.disk.drop_pages();
    else
      EXPECT_EQ(one.sync().error(), Errc::io_error);
    EXPECT_EQ(first_letters(text_of(one.image, "file")), "a");
    EXPECT_EQ(first_letters(one.after(kKeepAll)), "a");
  }
}

TEST(SimDisk, TheNthCallFailsOnceOrForEver) {
  for (const bool for_ever : {false, true}) {
    OneFile one("content");
    one.disk.inject({.call = DiskCall::write, .nth = 3, .for_ever = for_ever});
    std::string outcome;
    for (int i = 0; i < 5; ++i)
      outcome += write_text(one.disk, one.file, 0, std::to_string(i)) ? '+' : '-';
    EXPECT_EQ(outcome, for_ever ? "++---" : "++-++");
    EXPECT_EQ(one.disk.faults_hit(), for_ever ? 3u : 1u);
    EXPECT_EQ(text_of(one.image, "file")[0], for_ever ? '1' : '4');
  }
}

TEST(SimDisk, EachKindOfCallCanFailAndIsCounted) {
  OneFile one("content");
  std::string buffer(10, ' ');
  const auto each = [&](DiskCall call) -> Errc {
    switch (call) {
      case DiskCall::open:
        return one.disk.open("file", OpenMode::read_only).error();
      case DiskCall::read:
        return one.disk.read(one.file, 0, std::as_writable_bytes(std::span(buffer))).error();
      case DiskCall::map:
        return one.disk.map(one.file, 4).error();
      case DiskCall::write:
      case DiskCall::short_write:
        return write_text(one.disk, one.file, 0, "x").error();
      case DiskCall::reserve:
        return one.disk.reserve(one.file, 5000).error();
      case DiskCall::sync:
        return one.sync().error();
      case DiskCall::sync_directory:
        return one.disk.sync_directory("").error();
      case DiskCall::rename:
        return one.disk.rename("file", "other").error();
      case DiskCall::remove:
        return one.disk.remove("file").error();
    }
    return Errc::ok;
  };
  for (size_t i = 0; i < kDiskCalls; ++i) {
    const DiskCall call{static_cast<uint8_t>(i)};
    one.disk.inject({.call = call, .error = Errc::disk_full});
    const uint64_t before = one.disk.calls(call);
    EXPECT_EQ(each(call), Errc::disk_full) << i;
    EXPECT_EQ(one.disk.calls(call), before + 1) << i;
    EXPECT_EQ(text_of(one.image, "file").size(), 7u) << i;
  }
}

TEST(SimDisk, AShortWriteLeavesSomePartOfTheBytes) {
  std::set<size_t> written;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    OneFile one("aaaaaaaa");
    one.disk.seed(seed);
    one.disk.inject({.call = DiskCall::short_write});
    EXPECT_EQ(write_text(one.disk, one.file, 0, "bbbbbbbb").error(), Errc::io_error);
    written.insert(text_of(one.image, "file").find_first_not_of('b'));
  }
  EXPECT_EQ(written, (std::set<size_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(SimDisk, SpaceIsLimitedAndComesBackWithTheLastUseOfAFile) {
  SimDiskImage image(1 << 20);
  SimDisk disk(image);
  const FileId file = disk.open("file", OpenMode::create_new).value();
  EXPECT_EQ(disk.reserve(file, (1 << 20) + 1).error(), Errc::disk_full);
  ASSERT_TRUE(disk.reserve(file, 1 << 20));
  EXPECT_EQ(disk.free_bytes().value(), 0u);
  EXPECT_TRUE(write_text(disk, file, 5000, "blocks that were reserved"));
  const FileId more = disk.open("more", OpenMode::create_new).value();
  EXPECT_EQ(write_text(disk, more, 0, "x").error(), Errc::disk_full);
  disk.close(file);
  ASSERT_TRUE(disk.remove("file"));
  ASSERT_TRUE(disk.sync_directory(""));
  EXPECT_EQ(disk.free_bytes().value(), uint64_t{1} << 20);
  EXPECT_TRUE(write_text(disk, more, 0, "x"));
}

TEST(SimDisk, WhatADeadProcessStillCallsChangesNothing) {
  for (const bool power : {false, true}) {
    OneFile one("before");
    base::Prng prng(3);
    const Bytes mapped = one.disk.map(one.file, 6).value();
    one.disk.submit({.kind = JobKind::remove, .path = "file", .content = {}});
    power ? one.image.crash(prng) : one.image.kill();
    EXPECT_EQ(write_text(one.disk, one.file, 0, "after").error(), Errc::io_error);
    EXPECT_EQ(one.sync().error(), Errc::io_error);
    EXPECT_EQ(one.disk.open("new", OpenMode::create_new).error(), Errc::io_error);
    EXPECT_TRUE(one.disk.complete_one(prng));
    EXPECT_EQ(as_text(mapped), "before");
    one.disk.unmap(mapped);
    one.disk.close(one.file);
    SimDisk next(one.image);
    EXPECT_EQ(one.image.paths(), std::vector<std::string>{"file"});
    EXPECT_TRUE(next.open("file", OpenMode::read_write));
    EXPECT_EQ(text_of(one.image, "file"), "before");
  }
}

TEST(SimDisk, HaltAfterLetsThatManyCallsHappen) {
  OneFile one("0");
  one.image.halt_after(2);
  EXPECT_TRUE(write_text(one.disk, one.file, 0, "1"));
  EXPECT_TRUE(write_text(one.disk, one.file, 0, "2"));
  EXPECT_EQ(write_text(one.disk, one.file, 0, "3").error(), Errc::io_error);
  SimDisk same_process(one.image);
  EXPECT_EQ(same_process.open("file", OpenMode::read_only).error(), Errc::io_error);
  one.image.kill();
  SimDisk next(one.image);
  EXPECT_TRUE(next.open("file", OpenMode::read_only));
  EXPECT_EQ(text_of(one.image, "file"), "2");
}

TEST(SimDisk, ACloneIsEqualUnsyncedStateIncludedAndGoesItsOwnWay) {
  OneFile one(sectors("aaaa"));
  one.write(0, sectors("b"));
  one.write(1024, sectors("bbb"));
  one.disk.close(one.disk.open("unsynced", OpenMode::create_new).value());
  const auto copy = one.image.clone();
  EXPECT_EQ(copy->digest(), one.image.digest());
  EXPECT_EQ(copy->used_bytes(), one.image.used_bytes());
  for (uint64_t seed = 0; seed < 50; ++seed) {
    base::Prng a(seed);
    base::Prng b(seed);
    EXPECT_EQ(copy->fork_crash(a)->digest(), one.image.fork_crash(b)->digest());
  }
  one.write(0, sectors("c"));
  EXPECT_NE(copy->digest(), one.image.digest());
  base::Prng prng(1);
  EXPECT_EQ(first_letters(text_of(*copy->fork_crash(prng, kKeepNothing), "file")), "aaaa");
}

TEST(SimDisk, AForkedCrashLeavesTheRunningImageAlone) {
  OneFile one(sectors("aa"));
  one.write(0, sectors("bb"));
  const uint64_t before = one.image.digest();
  for (uint64_t seed = 0; seed < 20; ++seed)
    (void)one.after({.torn = true}, seed);
  EXPECT_EQ(one.image.digest(), before);
  EXPECT_TRUE(one.sync());
  EXPECT_EQ(first_letters(one.after(kKeepNothing)), "bb");
}

TEST(SimDisk, DamageAtRestIsWhereItWasAskedFor) {
  OneFile one(sectors("abcd"));
  one.image.flip_bit("file", 8 * 512 + 1);
  EXPECT_EQ(first_letters(text_of(one.image, "file")), "a`cd");
  one.image.zero("file", 1024, 512);
  EXPECT_EQ(text_of(one.image, "file").substr(1024, 512), std::string(512, '\0'));
  one.image.replace("other", std::vector<std::byte>(1024, std::byte{'x'}));
  one.image.misdirect_sector("file", 0, "other", 1);
  EXPECT_EQ(first_letters(text_of(one.image, "other")), "xa");
  EXPECT_EQ(text_of(one.image, "file")[0], '\0');
  one.image.swap_files("file", "other");
  EXPECT_EQ(first_letters(text_of(one.image, "file")), "xa");
  one.image.truncate("file", 600);
  EXPECT_EQ(text_of(one.image, "file").size(), 600u);
  one.image.erase("other");
  EXPECT_EQ(text_of(one.image, "other"), "absent");
  EXPECT_EQ(one.after(kKeepNothing), text_of(one.image, "file"));
}

// The model against a plain one: whatever is written, synced, failed and lost, each sector after a
// power loss is a version it had since its last successful sync.
TEST(SimDisk, RandomHistoriesLeaveOnlyVersionsSinceTheLastSync) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    base::Prng prng(seed);
    constexpr uint64_t kSectors = 20;
    OneFile one(std::string(kSectors * kSectorBytes, '\0'));
    std::vector<std::vector<uint8_t>> allowed(kSectors, std::vector<uint8_t>{0});
    for (uint32_t step = 1; step < 250; ++step) {
      const auto value = static_cast<uint8_t>(1 + step);
      if (prng.chance(1, 10)) {
        ASSERT_TRUE(one.sync());
        for (std::vector<uint8_t>& versions : allowed)
          versions = {versions.back()};
      } else {
        const uint64_t first = prng.below(kSectors);
        const uint64_t count = prng.between(1, std::min<uint64_t>(4, kSectors - first));
        one.write(first * kSectorBytes,
                  std::string(count * kSectorBytes, static_cast<char>(value)));
        for (uint64_t s = first; s < first + count; ++s)
          allowed[s].push_back(value);
      }
      if (!prng.chance(1, 5)) continue;
      const std::string after = one.after({}, prng.next());
      for (uint64_t s = 0; s < kSectors; ++s) {
        const std::string_view bytes =
            std::string_view(after).substr(s * kSectorBytes, kSectorBytes);
        ASSERT_EQ(bytes.find_first_not_of(bytes[0]), std::string_view::npos);
        ASSERT_NE(std::find(allowed[s].begin(), allowed[s].end(), static_cast<uint8_t>(bytes[0])),
                  allowed[s].end())
            << "seed " << seed << " step " << step << " sector " << s;
      }
    }
  }
}

}  // namespace
}  // namespace millrace::sim

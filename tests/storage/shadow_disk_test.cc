#include "storage/shadow_disk.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <semaphore>
#include <set>
#include <signal.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/prng.h"
#include "tests/blackbox/power_image.h"
#include "tests/storage/disk_contract.h"
#include "tests/support/temporary_directory.h"

namespace millrace::storage {
namespace {

using WakeUps = std::counting_semaphore<1 << 30>;

std::unique_ptr<ShadowDisk> open_shadow(const TemporaryDirectory& directory,
                                        std::function<void()> wake = {}) {
  Result<std::unique_ptr<ShadowDisk>> disk =
      ShadowDisk::open_directory(directory / "data", directory / "shadow", std::move(wake));
  EXPECT_TRUE(disk) << errc_name(disk.error());
  return std::move(disk).value();
}

class ShadowUnderTest final : public DiskUnderTest {
 public:
  ShadowUnderTest() { reopen(); }
  Disk& disk() override { return *disk_; }
  void reopen() override {
    disk_.reset();
    disk_ = open_shadow(directory_, [this] { done_.release(); });
  }
  std::unique_ptr<Disk> second() override { return open_shadow(directory_); }
  void wait_for_jobs() override { done_.acquire(); }
  bool plant_link(std::string_view path) override {
    std::filesystem::create_symlink("/", directory_ / ("data/" + std::string(path)));
    return true;
  }

 private:
  TemporaryDirectory directory_;
  WakeUps done_{0};
  std::unique_ptr<ShadowDisk> disk_;
};

INSTANTIATE_TEST_SUITE_P(Shadow, DiskContract,
                         testing::Values([]() -> std::unique_ptr<DiskUnderTest> {
                           return std::make_unique<ShadowUnderTest>();
                         }),
                         [](const auto&) { return std::string("Disk"); });

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "absent";
  return {std::istreambuf_iterator<char>(file), {}};
}

// What `path` holds in each of many images of a power loss now.
std::set<std::string> outcomes(const TemporaryDirectory& directory, const std::string& path) {
  std::set<std::string> seen;
  blackbox::PowerImages images(directory / "data", directory / "shadow");
  for (uint64_t seed = 0; seed < 60; ++seed) {
    base::Prng prng(seed);
    const std::string image = directory / "image";
    images.make(image, prng, {.granularity = 512, .torn = false});
    seen.insert(content_of(image + "/" + path));
    std::filesystem::remove_all(image);
  }
  return seen;
}

Status write_text(Disk& disk, FileId file, uint64_t offset, std::string_view text) {
  const Bytes part = as_bytes(text);
  return disk.write(file, offset, {&part, 1});
}

TEST(ShadowDisk, UnsyncedWritesAndEntriesAreInSomeImagesAndSyncedOnesInAll) {
  const TemporaryDirectory directory;
  const auto disk = open_shadow(directory);
  ASSERT_TRUE(disk->make_directory("shard-0"));
  const FileId file = disk->open("shard-0/file", OpenMode::create_new).value();
  ASSERT_TRUE(write_text(*disk, file, 0, "aaa"));
  ASSERT_TRUE(disk->sync(file));
  EXPECT_EQ(outcomes(directory, "shard-0/file"), (std::set<std::string>{"absent", "aaa"}));
  ASSERT_TRUE(disk->sync_directory("shard-0"));
  EXPECT_EQ(outcomes(directory, "shard-0/file"), (std::set<std::string>{"aaa"}));
  ASSERT_TRUE(write_text(*disk, file, 0, "bbb"));
  EXPECT_EQ(outcomes(directory, "shard-0/file"), (std::set<std::string>{"aaa", "bbb"}));
  ASSERT_TRUE(disk->sync(file));
  EXPECT_EQ(outcomes(directory, "shard-0/file"), (std::set<std::string>{"bbb"}));
  ASSERT_TRUE(disk->rename("shard-0/file", "shard-0/other"));
  EXPECT_EQ(outcomes(directory, "shard-0/file"), (std::set<std::string>{"absent", "bbb"}));
  ASSERT_TRUE(disk->sync_directory("shard-0"));
  EXPECT_EQ(outcomes(directory, "shard-0/other"), (std::set<std::string>{"bbb"}));
  ASSERT_TRUE(disk->remove("shard-0/other"));
  EXPECT_EQ(outcomes(directory, "shard-0/other"), (std::set<std::string>{"absent", "bbb"}));
  ASSERT_TRUE(disk->sync_directory("shard-0"));
  EXPECT_EQ(outcomes(directory, "shard-0/other"), (std::set<std::string>{"absent"}));
}

TEST(ShadowDisk, ASyncCoversWhatWasWrittenBeforeItWasSubmittedAndNothingLater) {
  const TemporaryDirectory directory;
  std::binary_semaphore done{0};
  const auto disk = open_shadow(directory, [&] { done.release(); });
  const FileId file = disk->open("file", OpenMode::create_new).value();
  ASSERT_TRUE(disk->sync_directory(""));
  ASSERT_TRUE(write_text(*disk, file, 0, std::string(512, 'a')));
  disk->submit({.kind = JobKind::sync, .file = file, .path = {}, .content = {}});
  ASSERT_TRUE(write_text(*disk, file, 0, std::string(512, 'b')));
  done.acquire();
  Completion completion{};
  ASSERT_EQ(disk->reap({&completion, 1}), 1u);
  ASSERT_EQ(completion.error, Errc::ok);
  EXPECT_EQ(outcomes(directory, "file"),
            (std::set<std::string>{std::string(512, 'a'), std::string(512, 'b')}));
}

TEST(ShadowDisk, AReplacedFileIsTheOldOneOrTheNewOneWhole) {
  const TemporaryDirectory directory;
  const auto disk = open_shadow(directory);
  const std::string before(2000, 'a');
  const std::string after(3000, 'b');
  const FileId file = disk->open("file", OpenMode::create_new).value();
  ASSERT_TRUE(write_text(*disk, file, 0, before));
  ASSERT_TRUE(disk->sync(file));
  ASSERT_TRUE(disk->sync_directory(""));
  const FileId replacement = disk->open("file.new", OpenMode::create_new).value();
  ASSERT_TRUE(write_text(*disk, replacement, 0, after));
  ASSERT_TRUE(disk->sync(replacement));
  ASSERT_TRUE(disk->rename("file.new", "file"));
  EXPECT_EQ(outcomes(directory, "file"), (std::set<std::string>{before, after}));
  ASSERT_TRUE(disk->sync_directory(""));
  EXPECT_EQ(outcomes(directory, "file"), (std::set<std::string>{after}));
}

TEST(ShadowDisk, AFreshShadowTakesWhatIsThereAsDurable) {
  const TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "data/shard-0");
  std::ofstream(directory / "data/shard-0/file") << "from before";
  const auto disk = open_shadow(directory);
  EXPECT_EQ(outcomes(directory, "shard-0/file"), (std::set<std::string>{"from before"}));
}

TEST(ShadowDisk, WhatAnEarlierProcessLeftUnsyncedIsDurableAfterTheNextSync) {
  const TemporaryDirectory directory;
  {
    const auto disk = open_shadow(directory);
    const FileId file = disk->open("file", OpenMode::create_new).value();
    ASSERT_TRUE(disk->sync_directory(""));
    ASSERT_TRUE(write_text(*disk, file, 0, "left"));
  }
  const auto disk = open_shadow(directory);
  EXPECT_TRUE(outcomes(directory, "file").contains(""));
  const FileId file = disk->open("file", OpenMode::read_write).value();
  EXPECT_TRUE(outcomes(directory, "file").contains(""));
  ASSERT_TRUE(disk->sync(file));
  EXPECT_EQ(outcomes(directory, "file"), (std::set<std::string>{"left"}));
}

// --- a process that appends numbered records, syncs, and is killed ---

struct Entry {
  uint64_t number;
  std::array<uint64_t, 24> filling;
  uint64_t checksum;
};
constexpr uint64_t kSegmentBytes = 16u << 10;

Entry entry_of(uint64_t number) {
  Entry entry{};
  entry.number = number;
  entry.filling.fill(base::mix(number, 1));
  entry.checksum = base::hash64(&entry, offsetof(Entry, checksum), 0);
  return entry;
}

Completion wait_for(Disk& disk, WakeUps& done, Job job) {
  Completion completion{};
  disk.submit(std::move(job));
  while (disk.reap({&completion, 1}) == 0)
    done.acquire();
  return completion;
}

// Runs until killed. Tells `out` each number that is durable; each segment ends with a new
// checkpoint, told with the top bit.
[[noreturn]] void append_for_ever(const TemporaryDirectory& directory, int life, uint64_t first,
                                  int out) {
  WakeUps done{0};
  const auto disk = open_shadow(directory, [&] { done.release(); });
  if (!disk->make_directory("log")) _exit(1);
  // As a recovery: what the killed process before left in the page cache becomes durable first.
  for (const DirectoryEntry& entry : disk->list("log").value_or({})) {
    const Result<FileId> file = disk->open("log/" + entry.name, OpenMode::read_write);
    if (!file || !disk->sync(*file)) _exit(1);
    disk->close(*file);
  }
  if (!disk->sync_directory("log")) _exit(1);
  const std::string segment_prefix = "log/segment-" + std::to_string(life) + "-";
  const auto tell = [&](uint64_t number) {
    if (write(out, &number, sizeof number) != sizeof number) _exit(1);
  };
  uint64_t submitted = first - 1;  // the newest number that the last sync submitted covers
  uint64_t synced = first - 1;
  const auto take_sync = [&](bool wait) {
    Completion completion{};
    while (submitted > synced) {
      if (disk->reap({&completion, 1}) == 1) {
        if (completion.error != Errc::ok) _exit(1);
        synced = submitted;
        tell(synced);
      } else if (wait) {
        done.acquire();
      } else {
        return;
      }
    }
  };
  for (uint64_t number = first;;) {
    const Completion made = wait_for(*disk, done,
                                     {.kind = JobKind::prepare_segment,
                                      .bytes = kSegmentBytes,
                                      .path = segment_prefix + std::to_string(number),
                                      .content = {}});
    if (made.error != Errc::ok) _exit(1);
    for (uint64_t at = 0; at + sizeof(Entry) <= kSegmentBytes; at += sizeof(Entry), ++number) {
      const Entry entry = entry_of(number);
      const Bytes part = std::as_bytes(std::span(&entry, 1));
      if (!disk->write(made.file, at, {&part, 1})) _exit(1);
      // Group commit: up to 8 more records are written while a sync is under way.
      const bool last = at + 2 * sizeof(Entry) > kSegmentBytes;
      take_sync(last || number - submitted >= 8);
      if (submitted == synced) {
        disk->submit({.kind = JobKind::sync, .file = made.file, .path = {}, .content = {}});
        submitted = number;
      }
      if (!last) continue;
      take_sync(true);
      std::vector<std::byte> state(40 * sizeof(Entry));
      for (size_t i = 0; i < 40; ++i)
        std::memcpy(state.data() + i * sizeof(Entry), &entry, sizeof entry);
      if (wait_for(*disk, done,
                   {.kind = JobKind::replace_file, .path = "log/checkpoint", .content = state})
              .error != Errc::ok)
        _exit(1);
      tell(number | uint64_t{1} << 63);
    }
    disk->close(made.file);
  }
}

std::set<uint64_t> numbers_in(const std::string& image) {
  std::set<uint64_t> numbers;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(image + "/log", error)) {
    const std::string content = content_of(file.path());
    if (file.path().filename().string().rfind("segment-", 0) != 0) continue;
    for (size_t at = 0; at + sizeof(Entry) <= content.size(); at += sizeof(Entry)) {
      Entry entry{};
      std::memcpy(&entry, content.data() + at, sizeof entry);
      const Entry expected = entry_of(entry.number);
      if (std::memcmp(&entry, &expected, sizeof entry) == 0) numbers.insert(entry.number);
    }
  }
  return numbers;
}

TEST(ShadowDisk, WhatAKilledProcessWasToldIsDurableIsInEveryImage) {
  constexpr int kKills = 12;
  constexpr int kImagesPerKill = 17;
  const TemporaryDirectory directory;
  base::Prng prng(20);
  uint64_t acked = 0;
  uint64_t checkpoint = 0;
  uint64_t next = 1;
  for (int kill_number = 0; kill_number < kKills; ++kill_number) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      append_for_ever(directory, kill_number, next, ends[1]);
    }
    close(ends[1]);
    // Some way into its work, however slow the machine is.
    uint64_t first_told = 0;
    ASSERT_EQ(read(ends[0], &first_told, sizeof first_told), ssize_t{sizeof first_told});
    acked = first_told;
    usleep(static_cast<useconds_t>(prng.between(0, 30'000)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
    for (uint64_t number = 0; read(ends[0], &number, sizeof number) == sizeof number;) {
      if (number >> 63 != 0)
        checkpoint = number & ~(uint64_t{1} << 63);
      else
        acked = number;
    }
    close(ends[0]);

    const std::set<uint64_t> written = numbers_in(directory / "data");
    blackbox::PowerImages images(directory / "data", directory / "shadow");
    for (int i = 0; i < kImagesPerKill; ++i) {
      const std::string image = directory / "image";
      images.make(image, prng,
                  {.granularity = i % 2 == 0 ? 512u : 4096u, .torn = prng.chance(1, 2)});
      const std::set<uint64_t> survived = numbers_in(image);
      for (const uint64_t number : written) {
        if (number > acked) break;
        ASSERT_TRUE(survived.contains(number)) << "kill " << kill_number << " image " << i;
      }
      if (checkpoint != 0) {
        const std::string state = content_of(image + "/log/checkpoint");
        ASSERT_EQ(state.size(), 40 * sizeof(Entry));
        Entry entry{};
        std::memcpy(&entry, state.data(), sizeof entry);
        ASSERT_GE(entry.number, checkpoint);
        const Entry expected = entry_of(entry.number);
        for (size_t k = 0; k < 40; ++k)
          ASSERT_EQ(std::memcmp(state.data() + k * sizeof entry, &expected, sizeof entry), 0);
      }
      std::filesystem::remove_all(image);
    }
    // All that was ever told is there: each number is in some segment.
    ASSERT_GT(acked, 0u);
    for (uint64_t number = 1; number <= acked; ++number)
      ASSERT_TRUE(written.contains(number)) << number;
    next = written.empty() ? 1 : *written.rbegin() + 1;
  }
}

}  // namespace
}  // namespace millrace::storage

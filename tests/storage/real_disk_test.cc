#include "storage/real_disk.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <semaphore>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "storage/disk_path.h"
#include "tests/storage/disk_contract.h"
#include "tests/support/temporary_directory.h"

namespace millrace::storage {
namespace {

class RealUnderTest final : public DiskUnderTest {
 public:
  RealUnderTest() { reopen(); }
  Disk& disk() override { return *disk_; }
  void reopen() override {
    disk_.reset();
    disk_ = open(directory_.path(), [this] { done_.release(); });
  }
  std::unique_ptr<Disk> second() override { return open(directory_.path(), {}); }
  void wait_for_jobs() override { done_.acquire(); }
  bool plant_link(std::string_view path) override {
    std::filesystem::create_symlink("/", directory_ / std::string(path));
    return true;
  }

 private:
  static std::unique_ptr<RealDisk> open(const std::string& path, std::function<void()> wake) {
    Result<std::unique_ptr<RealDisk>> disk = RealDisk::open_directory(path, std::move(wake));
    EXPECT_TRUE(disk) << errc_name(disk.error());
    return std::move(disk).value();
  }

  TemporaryDirectory directory_;
  // A wake-up for each time the completions go from none to some: if one were missing, a test
  // would hang.
  std::counting_semaphore<1 << 20> done_{0};
  std::unique_ptr<RealDisk> disk_;
};

INSTANTIATE_TEST_SUITE_P(Real, DiskContract,
                         testing::Values([]() -> std::unique_ptr<DiskUnderTest> {
                           return std::make_unique<RealUnderTest>();
                         }),
                         [](const auto&) { return std::string("Disk"); });

TEST(RealDisk, TheDataDirectoryAndItsFilesAreForTheOwnerOnly) {
  const TemporaryDirectory directory;
  const std::string data = directory / "data";
  Result<std::unique_ptr<RealDisk>> disk = RealDisk::open_directory(data, {});
  ASSERT_TRUE(disk);
  ASSERT_TRUE((*disk)->make_directory("shard-0"));
  ASSERT_TRUE((*disk)->open("shard-0/file", OpenMode::create_new));
  ASSERT_TRUE((*disk)->lock());
  struct stat info {};
  for (const char* path : {"/data", "/data/shard-0"}) {
    ASSERT_EQ(::stat((directory.path() + path).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0700u) << path;
  }
  for (const char* path : {"/data/LOCK", "/data/shard-0/file"}) {
    ASSERT_EQ(::stat((directory.path() + path).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0600u) << path;
  }
}

TEST(RealDisk, TheLockFileNamesTheProcess) {
  const TemporaryDirectory directory;
  Result<std::unique_ptr<RealDisk>> disk = RealDisk::open_directory(directory.path(), {});
  ASSERT_TRUE(disk);
  ASSERT_TRUE((*disk)->lock());
  std::ifstream file(directory / "LOCK");
  int pid = 0;
  file >> pid;
  EXPECT_EQ(pid, getpid());
}

TEST(RealDisk, ADataDirectoryThatCannotBeOneIsRefusedByName) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "file") << "x";
  EXPECT_EQ(RealDisk::open_directory(directory / "file", {}).error(), Errc::not_a_directory);
  EXPECT_EQ(RealDisk::open_directory(directory / "none/data", {}).error(), Errc::not_found);
}

TEST(RealDisk, AClosedFilesSyncIsCanceledOrDone) {
  const TemporaryDirectory directory;
  Result<std::unique_ptr<RealDisk>> disk = RealDisk::open_directory(directory.path(), {});
  ASSERT_TRUE(disk);
  for (int i = 0; i < 100; ++i) {
    const FileId file = (*disk)->open("file-" + std::to_string(i), OpenMode::create_new).value();
    (*disk)->submit({.kind = JobKind::sync, .file = file, .path = {}, .content = {}});
    (*disk)->close(file);
  }
  Completion done[100];
  for (size_t reaped = 0; reaped < 100;) {
    const size_t count = (*disk)->reap(done);
    for (const Completion& each : std::span(done, count))
      EXPECT_TRUE(each.error == Errc::ok || each.error == Errc::canceled);
    reaped += count;
    if (count == 0) usleep(100);
  }
}

TEST(DiskPath, OnlyOurOwnKindOfNameIsValid) {
  for (const char* path : {"a", "shard-0/00000001.segment", "checkpoint.new", "0"})
    EXPECT_TRUE(valid_disk_path(path)) << path;
  for (const char* path :
       {"", ".", "..", "/", "a/", "/a", "a/b/c", "../a", "a/..", "A", "a b", "a_b", "LOCK", "a//b"})
    EXPECT_FALSE(valid_disk_path(path)) << path;
}

TEST(RealDiskDeathTest, APathThatIsNotOursIsABug) {
  const TemporaryDirectory directory;
  Result<std::unique_ptr<RealDisk>> disk = RealDisk::open_directory(directory.path(), {});
  ASSERT_TRUE(disk);
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH((void)(*disk)->open("../outside", OpenMode::read_only), "valid_disk_path");
}

}  // namespace
}  // namespace millrace::storage

// Making a segment may fail, for want of space, of descriptors, or because the disk is broken: no
// data was in it, so what needs one is refused, one line says why, and nothing is fenced or lost.
#include <csignal>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "storage/real_disk.h"
#include "tests/storage/log_harness.h"
#include "tests/support/temporary_directory.h"

namespace millrace::storage {
namespace {

size_t count(const std::string& text, std::string_view part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

struct Row {
  sim::DiskCall call;
  Errc error;
};

class SegmentCreation : public testing::TestWithParam<Row> {};

TEST_P(SegmentCreation, ThatFailsRefusesWhatNeedsOneUntilItCanBeMadeAgain) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  h.settle();
  testing::internal::CaptureStderr();
  h.disk->inject({.call = GetParam().call, .for_ever = true, .error = GetParam().error});
  std::vector<std::string> sent;
  const auto send = [&] {
    const std::string body = std::to_string(sent.size()) + std::string(3000, 's');
    const auto at = h.append(body, 1, Space::grows);
    if (!at) return at.error();
    sent.push_back(body);
    h.log->add_live(*at, body.size() + 16);
    // What was written waits for no sync here: a broken disk would fence the log over it.
    EXPECT_TRUE(h.write());
    return Errc::ok;
  };
  const auto prepare = [&] {
    h.pass(200);
    h.log->start_jobs(h.now());
    h.finish_jobs();
  };
  Errc refused = Errc::ok;
  for (int i = 0; i < 300 && refused == Errc::ok; ++i) {
    refused = send();
    if (GetParam().call != sim::DiskCall::sync) prepare();
  }
  EXPECT_EQ(refused, GetParam().error);
  EXPECT_FALSE(h.log->fenced());
  for (int i = 0; i < 10; ++i)
    EXPECT_NE(send(), Errc::ok);
  // From what is kept for it, an ack goes through.
  EXPECT_TRUE(h.append("ack", 2, Space::frees));
  sent.push_back("ack");
  EXPECT_TRUE(h.write());

  h.disk->clear_faults();
  prepare();
  prepare();
  EXPECT_EQ(send(), Errc::ok);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(count(log, "shard-0: no segment can be made: " + std::string(errc_text(refused))), 1u)
      << log;
  EXPECT_EQ(count(log, "shard-0: segments can be made again"), 1u) << log;
  h.kill();
  ASSERT_TRUE(h.open());
  EXPECT_EQ(bodies(h.replayed), sent);
}

INSTANTIATE_TEST_SUITE_P(, SegmentCreation,
                         testing::Values(Row{sim::DiskCall::open, Errc::io_error},
                                         Row{sim::DiskCall::reserve, Errc::disk_full},
                                         Row{sim::DiskCall::reserve, Errc::io_error},
                                         Row{sim::DiskCall::sync, Errc::io_error},
                                         Row{sim::DiskCall::sync_directory, Errc::io_error},
                                         Row{sim::DiskCall::sync_directory, Errc::disk_full},
                                         Row{sim::DiskCall::map, Errc::io_error}));

// All descriptors of the process are taken: the system's own words are in the log, once.
TEST(SegmentCreationOnTheRealDisk, OutOfDescriptorsIsSaidInOneLine) {
  TemporaryDirectory directory;
  auto disk = RealDisk::open_directory(directory / "data", {});
  ASSERT_TRUE(disk);
  ASSERT_TRUE((*disk)->make_directory("shard-0"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  testing::internal::CaptureStderr();
  const int next = ::dup(0);
  EXPECT_GE(next, 0);
  ::close(next);
  // No room at all, and then for the folder that is opened on the way.
  for (const int room : {0, 1}) {
    const rlimit none{static_cast<rlim_t>(next + room), before.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ((*disk)->open("shard-0/00000001.segment", OpenMode::create_new).error(),
                Errc::io_error);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  }
  const auto made = (*disk)->open("shard-0/00000001.segment", OpenMode::create_new);
  EXPECT_TRUE(made);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(count(log, "shard-0/00000001.segment: Too many open files"), 1u) << log;
}

}  // namespace
}  // namespace millrace::storage

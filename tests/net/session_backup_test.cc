// BACKUP_START, BACKUP_READ and BACKUP_END over a session, on a fake shard.
#include <gtest/gtest.h>

#include "tests/net/peer.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

ByteString read_frame(uint64_t correlation, uint64_t backup, uint64_t offset, uint32_t bytes) {
  return frame(Opcode::backup_read, correlation,
               bytes_of(wire::BackupReadBody{backup, 1, offset, bytes, 3, 0}));
}
ByteString end_frame(uint64_t correlation, uint64_t backup) {
  return frame(Opcode::backup_end, correlation, bytes_of(wire::BackupEndBody{backup}));
}

TEST(SessionBackup, IsDescribedReadAndEnded) {
  Peer peer;
  peer.greet();
  peer.say(frame(Opcode::backup_start, 2) + read_frame(3, 77, 8192, 1808) + end_frame(4, 77));
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 3u);
  ASSERT_TRUE(answers[0].is(Opcode::backup_start));
  ASSERT_EQ(answers[0].body.size(), sizeof(wire::BackupAnswer) + sizeof(wire::BackupLogItem) +
                                        sizeof(wire::BackupFileItem));
  const auto start = answers[0].as<wire::BackupAnswer>();
  EXPECT_EQ(start.backup, 77u);
  EXPECT_EQ(start.server_time_ms, 1000);
  EXPECT_EQ(start.logs, 1u);
  wire::BackupLogItem log{};
  std::memcpy(&log, answers[0].body.data() + sizeof start, sizeof log);
  EXPECT_EQ(log.log_id, 3u);
  EXPECT_EQ(log.files, 1u);
  EXPECT_EQ(log.segment_bytes, 65536u);
  wire::BackupFileItem file{};
  std::memcpy(&file, answers[0].body.data() + sizeof start + sizeof log, sizeof file);
  EXPECT_EQ(file.bytes, 10'000u);

  ASSERT_TRUE(answers[1].is(Opcode::backup_read));
  EXPECT_EQ(answers[1].as<wire::BackupBytes>().bytes, 1808u);
  EXPECT_EQ(answers[1].body.size(), sizeof(wire::BackupBytes) + 1808u);
  EXPECT_EQ(answers[1].body[sizeof(wire::BackupBytes) + 5], std::byte{5});
  EXPECT_TRUE(answers[2].is(Opcode::backup_end));
  EXPECT_TRUE(answers[2].body.empty());
  EXPECT_EQ(peer.port.backup(), 0u);
}

TEST(SessionBackup, RefusalsSayWhyAndLeaveTheConnectionOpen) {
  Peer peer;
  peer.greet();
  peer.say(frame(Opcode::backup_start, 2) + frame(Opcode::backup_start, 3) +
           read_frame(4, 78, 0, 8) + read_frame(5, 77, UINT64_MAX - 4095, 4096));
  const std::vector<Answer> answers = peer.hear();
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_TRUE(answers[1].is_error(Errc::over_limit));
  EXPECT_EQ(answers[1].error_text(), "a backup is under way");
  EXPECT_TRUE(answers[2].is_error(Errc::canceled));
  EXPECT_TRUE(answers[3].is_error(Errc::canceled));
  EXPECT_FALSE(peer.session.finished());
}

// What its client does not read is not read from the disk either.
TEST(SessionBackup, BytesWaitLikeAllOutput) {
  Limits limits;
  limits.output_bytes_max = 16 << 10;
  Peer peer(limits);
  peer.greet();
  ByteString all = frame(Opcode::backup_start, 2);
  for (uint64_t n = 0; n < 20; ++n)
    all = std::move(all) + read_frame(3 + n, 77, 0, 8192);
  peer.say(all);
  EXPECT_FALSE(peer.session.wants_input());
  size_t answers = 0;
  for (int i = 0; i < 40 && answers < 21; ++i)
    answers += peer.hear().size();
  EXPECT_EQ(answers, 21u);
  EXPECT_TRUE(peer.session.wants_input());
}

}  // namespace
}  // namespace millrace::net::test

// Backups: what is in a copy, and how one ends.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "engine/data_directory.h"
#include "engine/limits.h"
#include "storage/segment_header.h"
#include "tests/engine/engine_harness.h"

namespace millrace::engine {
namespace {

class BackupSink final : public ReplySink {
 public:
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
  void on_backup(uint64_t token, const BackupReply& reply) override {
    errors[token] = reply.error;
    number = reply.backup;
    if (!reply.logs.empty()) logs.assign(reply.logs.begin(), reply.logs.end());
  }
  void on_backup_bytes(uint64_t token, const BackupBytesReply& reply) override {
    errors[token] = reply.error;
    bytes.assign(reply.bytes.begin(), reply.bytes.end());
  }
  std::map<uint64_t, Errc> errors;
  uint64_t number = 0;
  std::vector<BackupLog> logs;
  std::vector<std::byte> bytes;
};

class Backup : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    options_.shards = 3;
    open();
  }
  void TearDown() override {
    broker_.reset();  // before its directory goes
    EngineTest::TearDown();
  }
  Errc answered(uint64_t token) {
    until([&] { return backups_.errors.contains(token); });
    return backups_.errors[token];
  }
  Errc start(uint16_t at = 1) {
    shard(at).start_backup({&backups_, ++tokens_});
    return answered(tokens_);
  }
  Errc read(BackupRead request, uint16_t at = 2) {
    if (request.backup == 0) request.backup = backups_.number;
    shard(at).read_backup(request, {&backups_, ++tokens_});
    return answered(tokens_);
  }
  Errc end(uint64_t backup, uint16_t at = 1) {
    shard(at).end_backup(backup, {&backups_, ++tokens_});
    return answered(tokens_);
  }
  BackupRead first_piece() const {
    const BackupLog& log = backups_.logs.back();
    return {.log_id = log.log_id, .sequence = log.files[0].sequence, .offset = 0, .bytes = 4096};
  }
  // Reads all of it and lays it out as a data directory.
  void fetch(const std::string& directory) {
    namespace fs = std::filesystem;
    for (const BackupLog& log : backups_.logs) {
      const std::string name = log.log_id == kCatalogLogId ? std::string(kCatalogDirectory)
                                                           : shard_directory(log.log_id);
      fs::create_directories(fs::path(directory) / name);
      uint32_t number = 0;
      for (const BackupFile& file : log.files) {
        const fs::path path = fs::path(directory) / name / storage::segment_file_name(++number);
        std::ofstream out(path, std::ios::binary);
        for (uint64_t at = 0; at < file.bytes;) {
          const auto wanted =
              static_cast<uint32_t>(std::min<uint64_t>(kBackupReadBytesMax, file.bytes - at));
          ASSERT_EQ(
              read(
                  {.log_id = log.log_id, .sequence = file.sequence, .offset = at, .bytes = wanted}),
              Errc::ok);
          ASSERT_EQ(backups_.bytes.size(), wanted);
          out.write(reinterpret_cast<const char*>(backups_.bytes.data()), wanted);
          at += wanted;
        }
        out.close();
        fs::resize_file(path, log.segment_bytes);
      }
    }
  }
  void open_copy(const std::string& directory) {
    broker_->abandon();
    broker_.reset();
    options_.data_directory = directory;
    options_.restored = true;
    open();
  }

  BackupSink backups_;
  uint64_t tokens_ = 0;
  TemporaryDirectory copy_;
};

TEST_F(Backup, HoldsWhatWasAcknowledgedBeforeItAndNothingSince) {
  const QueueId queue = create("q");
  for (uint16_t i = 0; i < 3; ++i)
    send(queue, "before-" + std::to_string(i), i);
  const auto leased = receive(queue, 1, 600'000);
  ASSERT_EQ(leased.size(), 1u);
  ASSERT_EQ(start(), Errc::ok);
  EXPECT_EQ(backups_.logs.size(), 4u);
  send(queue, "since");
  create("another");
  fetch(copy_.path() + "/data");
  EXPECT_EQ(end(backups_.number), Errc::ok);
  open_copy(copy_.path() + "/data");
  EXPECT_EQ(shard().find_queue("another"), nullptr);
  EXPECT_EQ(counters(queue).ready, 2u);
  EXPECT_EQ(counters(queue).leased, 1u);
  // Given before the copy was made.
  EXPECT_EQ(ack(leased[0].receipt), Errc::ok);
  EXPECT_EQ(counters(queue).leased, 0u);
  // Far from what the other life may have given out.
  EXPECT_GE(raw(send(queue, "now").first_slot), kSlotsSkippedByRestore);
  stop_and_open();
  EXPECT_EQ(counters(queue).ready, 3u);
}

TEST_F(Backup, OneAtATimeWhichEnds) {
  create("q");
  ASSERT_EQ(start(), Errc::ok);
  const uint64_t first = backups_.number;
  EXPECT_EQ(start(2), Errc::over_limit);
  backups_.number = first;
  EXPECT_EQ(read(first_piece()), Errc::ok);
  EXPECT_EQ(end(first), Errc::ok);
  EXPECT_EQ(end(first), Errc::ok);
  EXPECT_EQ(read({.backup = first, .log_id = 0, .sequence = 1, .offset = 0, .bytes = 1}),
            Errc::canceled);
  ASSERT_EQ(start(2), Errc::ok);
  EXPECT_NE(backups_.number, first);
  // Whose asker is gone.
  shard(2).cancel_all(&backups_);
  settle();
  ASSERT_EQ(start(), Errc::ok);
}

TEST_F(Backup, EndsWhenNothingIsReadForAMinute) {
  create("q");
  ASSERT_EQ(start(), Errc::ok);
  for (int i = 0; i < 5; ++i) {
    advance(kBackupIdleMs - 1'000);
    ASSERT_EQ(read(first_piece()), Errc::ok);
  }
  EXPECT_LE(shard().next_deadline(), shard().now() + kBackupIdleMs);
  advance(kBackupIdleMs);
  EXPECT_EQ(read(first_piece()), Errc::canceled);
  // However much is read, not for ever.
  ASSERT_EQ(start(), Errc::ok);
  for (int64_t ms = 0; ms < kBackupMsMax; ms += kBackupIdleMs - 1) {
    (void)read(first_piece());
    advance(kBackupIdleMs - 1);
  }
  EXPECT_EQ(read(first_piece()), Errc::canceled);
  settle();
  for (uint16_t i = 0; i < 3; ++i)
    EXPECT_FALSE(shard(i).state().log().copying());
}

TEST_F(Backup, GivesOnlyWhatIsInIt) {
  send(create("q"), "x", 2);
  ASSERT_EQ(start(), Errc::ok);
  const BackupLog log = backups_.logs.back();
  const BackupFile file = log.files.back();
  const auto piece = [&](uint64_t sequence, uint64_t offset, uint64_t bytes, uint16_t log_id) {
    return read({.log_id = log_id,
                 .sequence = sequence,
                 .offset = offset,
                 .bytes = static_cast<uint32_t>(bytes)});
  };
  EXPECT_EQ(piece(file.sequence, 0, file.bytes, log.log_id), Errc::ok);
  EXPECT_EQ(piece(file.sequence, 0, file.bytes + 1, log.log_id), Errc::invalid_argument);
  EXPECT_EQ(piece(file.sequence, 0, 0, log.log_id), Errc::invalid_argument);
  EXPECT_EQ(piece(file.sequence, 8, 8, log.log_id), Errc::invalid_argument);
  EXPECT_EQ(piece(file.sequence, UINT64_MAX - 4095, 4096, log.log_id), Errc::invalid_argument);
  EXPECT_EQ(piece(file.sequence + 1, 0, 8, log.log_id), Errc::invalid_argument);
  EXPECT_EQ(piece(file.sequence, 0, kBackupReadBytesMax + 1, log.log_id), Errc::invalid_argument);
  EXPECT_EQ(piece(file.sequence, 0, 8, 3), Errc::canceled);
  EXPECT_EQ(piece(file.sequence, 0, 8, UINT16_MAX), Errc::canceled);
}

TEST_F(Backup, ReadsAreBoundedAndEndWithTheBroker) {
  create("q");
  ASSERT_EQ(start(), Errc::ok);
  for (size_t i = 0; i < 2 * kBackupReadsMax; ++i) {
    BackupRead request = first_piece();
    request.backup = backups_.number;
    shard(2).read_backup(request, {&backups_, ++tokens_});
  }
  until([&] { return backups_.errors.contains(tokens_); });
  settle();
  size_t refused = 0;
  for (const auto& [token, error] : backups_.errors)
    refused += error == Errc::throttled;
  EXPECT_GE(refused, 1u);
  EXPECT_LE(refused, kBackupReadsMax);
  // On its way when all stops.
  BackupRead request = first_piece();
  request.backup = backups_.number;
  shard(2).read_backup(request, {&backups_, ++tokens_});
  ASSERT_TRUE(broker_->stop());
  EXPECT_TRUE(backups_.errors.contains(tokens_));
}

// What a shard did after its cut is not told before all have cut.
TEST_F(Backup, AnswersWaitUntilAllShardsHaveCut) {
  const QueueId queue = create("q");
  settle();
  shard(0).start_backup({&backups_, ++tokens_});
  shard(0).tick();  // cuts; the others have not heard of it
  ASSERT_TRUE(shard(0).state().log().copying());
  ASSERT_FALSE(shard(1).state().log().copying());
  const ReplyTo to = reply();
  shard(0).send(Batch().add("since").to(queue), to);
  storage::Log& log = shard(0).state().log();
  Patience patience;
  for (int i = 0; i < 20 || (log.durable() < log.end() && patience.nap()); ++i)
    shard(0).tick();
  ASSERT_EQ(log.durable(), log.end());
  EXPECT_FALSE(sink_.sends.contains(to.token));
  EXPECT_EQ(answered(tokens_), Errc::ok);
  until([&] { return sink_.sends.contains(to.token); });
  EXPECT_EQ(sink_.sends[to.token].error, Errc::ok);
  fetch(copy_.path() + "/data");
  open_copy(copy_.path() + "/data");
  EXPECT_EQ(counters(queue).ready, 0u);
}

}  // namespace
}  // namespace millrace::engine

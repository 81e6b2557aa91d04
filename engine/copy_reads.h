// CopyReads: pieces of one log's files, read for a backup: by the disk's slow worker, from the
// device where the file system can, so that neither the shard nor the page cache pays for them.
//
// Threads: shard-local.  Memory: kBackupReadsMax pieces of kBackupReadBytesMax at most.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "engine/mailbox.h"
#include "storage/disk.h"
#include "storage/log.h"

namespace millrace::engine {

class CopyReads {
 public:
  CopyReads(storage::Disk& disk, storage::Log& log) : disk_(disk), log_(log) {}

  // Answers `asked` (BackupStep::read_here) by mail, now if it can't be done. `backup`: whose copy
  // of the log there is.
  void read(const Mail& asked, uint64_t backup, Mailbox& mailbox);
  bool owns(uint64_t token) const { return (token & kTokens) != 0; }
  void on_completion(const storage::Completion& completion, Mailbox& mailbox);
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr uint64_t kTokens = uint64_t{1} << 63;  // a log's are far below
  struct Reading {
    ShardId asker{};
    uint64_t job = 0;
    BackupRead read{};
    std::shared_ptr<std::byte[]> buffer = nullptr;
  };
  void refuse(const Mail& asked, Errc error, std::string detail, Mailbox& mailbox);

  storage::Disk& disk_;
  storage::Log& log_;
  std::unordered_map<uint64_t, Reading> reading_;  // by token
  uint64_t tokens_ = 0;
  uint64_t bytes_ = 0;  // read
};

// An answer about a backup.
MailPtr backup_mail(BackupStep step, uint64_t backup, uint64_t job = 0);

}  // namespace millrace::engine

// BackupMail: what shards say to each other about a backup (engine/backups.h has the order of it).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "millrace/engine.h"

namespace millrace::engine {

enum class BackupStep : uint8_t {
  // To the keeper, on shard 0:
  start,     // one is asked for
  cut_done,  // log: this shard's is cut there; or error
  durable,   // all of it is durable, or with an error: will not be
  read,      // a piece is asked for
  close,     // it is not wanted any more
  // From it to all:
  cut,        // and from each shard that has cut to the others, before any later mail of it
  answer_on,  // all have cut
  end,
  // From it to the shard of a log, and back to who asked:
  read_here,
  bytes,   // or error
  answer,  // of a start or a close
};

struct BackupMail {
  BackupStep step{};
  uint64_t backup = 0;
  ShardId asker{};  // read, read_here: where the bytes go
  BackupRead read{};
  BackupLog log{};
  std::vector<BackupLog> logs{};  // answer of a start
  TimeMs server_time{};
  std::shared_ptr<std::byte[]> bytes = nullptr;  // read.bytes of them
};

}  // namespace millrace::engine

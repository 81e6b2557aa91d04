#include "tests/sim/sim_backup.h"

#include <algorithm>

#include "base/assert.h"
#include "engine/data_directory.h"
#include "engine/limits.h"
#include "storage/segment_header.h"

namespace millrace::sim {

void SimBackup::on_backup(uint64_t, const BackupReply& reply) {
  if (answered) return;  // its end
  answered = true;
  error = reply.error;
  detail = reply.detail;
  backup = reply.backup;
  for (const BackupLog& log : reply.logs) {
    uint32_t number = 0;
    for (const BackupFile& file : log.files)
      files_.push_back({.log_id = log.log_id,
                        .segment_bytes = log.segment_bytes,
                        .number = ++number,
                        .is = file,
                        .bytes = std::vector<std::byte>(log.segment_bytes)});
  }
}

void SimBackup::on_backup_bytes(uint64_t token, const BackupBytesReply& reply) {
  const auto found = reading_.find(token);
  MR_ASSERT(found != reading_.end());
  const Reading read = found->second;
  reading_.erase(found);
  if (reply.error != Errc::ok) {
    error = reply.error;
    detail = reply.detail;
    return;
  }
  MR_ASSERT(reply.bytes.size() == read.bytes);
  File& file = files_[read.file];
  std::copy(reply.bytes.begin(), reply.bytes.end(),
            file.bytes.begin() + static_cast<std::ptrdiff_t>(read.offset));
  file.come += read.bytes;
}

bool SimBackup::step(ShardPort& port, base::Prng& prng) {
  for (size_t i = 0; i < files_.size() && reading_.size() < kReadsMax; ++i) {
    File& file = files_[i];
    if (file.asked == file.is.bytes) continue;
    const uint64_t piece = kBackupReadAlignment * prng.between(1, 8);
    const Reading read{i, file.asked,
                       static_cast<uint32_t>(std::min(piece, file.is.bytes - file.asked))};
    file.asked += read.bytes;
    reading_[next_token_] = read;
    port.read_backup({.backup = backup,
                      .log_id = file.log_id,
                      .sequence = file.is.sequence,
                      .offset = read.offset,
                      .bytes = read.bytes},
                     {this, next_token_++});
  }
  return reading_.empty() && std::all_of(files_.begin(), files_.end(), [](const File& file) {
           return file.come == file.is.bytes;
         });
}

std::map<std::string, std::vector<std::byte>> SimBackup::files() const {
  std::map<std::string, std::vector<std::byte>> all;
  for (const File& file : files_) {
    const std::string directory = file.log_id == engine::kCatalogLogId
                                      ? std::string(engine::kCatalogDirectory)
                                      : engine::shard_directory(file.log_id);
    all[directory + "/" + storage::segment_file_name(file.number)] = file.bytes;
  }
  return all;
}

}  // namespace millrace::sim

#include "engine/directory_logs.h"

#include <utility>

#include <fmt/format.h>

#include "base/log_line.h"
#include "engine/data_directory.h"
#include "engine/limits.h"

namespace millrace::engine {

Result<std::unique_ptr<DirectoryLogs>> DirectoryLogs::open(const BrokerOptions& options,
                                                           Environment& environment, WakeOf wake_of,
                                                           std::string* message) {
  std::unique_ptr<DirectoryLogs> logs(new DirectoryLogs(options, environment, std::move(wake_of)));
  Status status = logs->open_catalog(message);
  if (status) status = logs->find_shards(message);
  for (uint16_t i = 0; status && i < logs->shard_count(); ++i)
    if (logs->found(i)) status = logs->open_shard(i, message);
  if (!status) return fail(status.error());
  return logs;
}

Status DirectoryLogs::open_catalog(std::string* message) {
  auto disk = environment_.make_disk(options_.data_directory, wake_of_(0));
  if (!disk) {
    *message = fmt::format("the data directory {} can't be opened: {}", options_.data_directory,
                           errc_text(disk.error()));
    return fail(disk.error());
  }
  if (const auto locked = (*disk)->lock(); !locked) {
    *message = fmt::format("the data directory {} can't be locked: {}", options_.data_directory,
                           errc_text(locked.error()));
    return locked;
  }
  if (const auto foreign = foreign_files(**disk); foreign && !foreign->empty())
    base::log_line(base::LogLevel::warn, "engine",
                   "not ours, left alone, in the data directory: {}", fmt::join(*foreign, ", "));
  storage::LogOptions log_options;
  log_options.directory = kCatalogDirectory;
  log_options.log_id = kCatalogLogId;
  log_options.segment_bytes = kCatalogSegmentBytes;
  log_options.entropy = environment_.random();
  auto log = storage::Log::open(**disk, log_options, message);
  if (!log) return fail(log.error());
  catalog_ = {std::move(*disk), std::move(*log)};
  return {};
}

// A shard's directory is synced before its log's first record is acknowledged; the number in the
// catalog may be older or, by then, newer.
Status DirectoryLogs::find_shards(std::string* message) {
  const auto found = found_shards(*catalog_.disk);
  if (!found) {
    *message = "the data directory can't be listed";
    return fail(found.error());
  }
  found_ = *found;
  uint16_t count = options_.shards;
  while (count < kShardsMax && (found_ >> count) != 0)
    ++count;
  shards_.resize(count);

  uint64_t disk_bytes_max = options_.disk_bytes_max;
  if (disk_bytes_max == 0) {
    const auto free_bytes = catalog_.disk->free_bytes();
    if (!free_bytes) {
      *message = "the file system does not say how much space is free";
      return fail(free_bytes.error());
    }
    disk_bytes_max = *free_bytes / 10 * 9;
  }
  shard_options_.segment_bytes = options_.segment_bytes;
  shard_options_.disk_bytes_max = disk_bytes_max / count;
  shard_options_.logs_on_disk = count;
  shard_options_.durability = options_.durability;
  shard_options_.interval_ms = options_.interval_ms;
  shard_options_.scrub_period_ms = uint64_t{options_.scrub_period_s} * 1000;
  return {};
}

Status DirectoryLogs::open_shard(uint16_t shard, std::string* message) {
  auto disk = environment_.make_disk(options_.data_directory, wake_of_(shard));
  if (!disk) {
    *message = fmt::format("the data directory {} can't be opened: {}", options_.data_directory,
                           errc_text(disk.error()));
    return fail(disk.error());
  }
  shard_options_.directory = shard_directory(shard);
  shard_options_.log_id = shard;
  shard_options_.entropy = environment_.random();
  auto log = storage::Log::open(**disk, shard_options_, message);
  if (!log) return fail(log.error());
  shards_[shard] = {std::move(*disk), std::move(*log)};
  return {};
}

Result<DirectoryLogs::OpenLog> DirectoryLogs::take_shard(uint16_t shard, std::string* message) {
  if (shards_[shard].log == nullptr)
    if (const Status status = open_shard(shard, message); !status) return fail(status.error());
  return std::move(shards_[shard]);
}

}  // namespace millrace::engine

// DirectoryLogs: the logs of a data directory, opened and not yet recovered: the catalog's and one
// for each shard.
//
// Opening only reads; recovering writes. All logs that are there are opened before the caller can
// recover the first, so that a start that is refused has changed nothing. The logs of shards that
// join are made when they are taken.
//
// Threads: the opening one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/environment.h"
#include "millrace/options.h"
#include "storage/disk.h"
#include "storage/log.h"

namespace millrace::engine {

class DirectoryLogs {
 public:
  struct OpenLog {
    std::unique_ptr<storage::Disk> disk;
    std::unique_ptr<storage::Log> log;
  };
  // What a shard's disk calls when it has completions.
  using WakeOf = std::function<std::function<void()>(uint16_t shard)>;

  // Locks the directory, for as long as the catalog's disk lives. On error `message` has one line.
  // `options` and `environment` are lent for the object's life.
  static Result<std::unique_ptr<DirectoryLogs>> open(const BrokerOptions& options,
                                                     Environment& environment, WakeOf wake_of,
                                                     std::string* message);

  // As many shards as the options ask for, or more if there are more.
  uint16_t shard_count() const { return static_cast<uint16_t>(shards_.size()); }
  // The shard's directory was there.
  bool found(uint16_t shard) const { return (found_ >> shard & 1) != 0; }

  // Each once.
  OpenLog take_catalog() { return std::move(catalog_); }
  Result<OpenLog> take_shard(uint16_t shard, std::string* message);

 private:
  DirectoryLogs(const BrokerOptions& options, Environment& environment, WakeOf wake_of)
      : options_(options), environment_(environment), wake_of_(std::move(wake_of)) {}
  Status open_catalog(std::string* message);
  Status find_shards(std::string* message);
  Status open_shard(uint16_t shard, std::string* message);

  const BrokerOptions& options_;
  Environment& environment_;
  const WakeOf wake_of_;
  storage::LogOptions shard_options_;
  uint64_t found_ = 0;  // by shard
  OpenLog catalog_;
  std::vector<OpenLog> shards_;
};

}  // namespace millrace::engine

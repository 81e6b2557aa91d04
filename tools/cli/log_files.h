// LogFiles: the data directory of a broker as a command looks into it: which logs are there, and a
// disk to read them with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "millrace/result.h"
#include "storage/real_disk.h"

namespace millrace::tools {

class LogFiles {
 public:
  // Locked, the broker must be stopped; shared, it may be running and the end of a log may be
  // missing. False after the one line on standard error.
  enum class Use { locked, shared };
  bool open(const std::string& path, Use use);

  storage::Disk& disk() { return *disk_; }
  // The catalog's, then the shards' by number.
  const std::vector<std::string>& logs() const { return logs_; }
  static std::string catalog() { return "catalog"; }
  static std::string shard(uint64_t number);
  // The one line on standard error; returns kRefused.
  int refused(const std::string& log, Errc error) const;

 private:
  void find_logs();

  std::string path_;
  std::unique_ptr<storage::RealDisk> disk_;
  std::vector<std::string> logs_;
};

}  // namespace millrace::tools

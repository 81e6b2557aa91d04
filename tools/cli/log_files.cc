#include "tools/cli/log_files.h"

#include <algorithm>
#include <filesystem>

#include "tools/cli/command.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kShard = "shard-";

}  // namespace

std::string LogFiles::shard(uint64_t number) {
  return fmt::format("{}{}", kShard, number);
}

bool LogFiles::open(const std::string& path, Use use) {
  path_ = path;
  std::error_code error;
  // Opening a disk would make the directory.
  if (!fs::is_directory(path, error)) {
    refuse("'" + path + "': no such directory");
    return false;
  }
  find_logs();
  if (logs_.empty()) {
    refuse("'" + path + "': not a data directory: it has neither a catalog nor a shard");
    return false;
  }
  auto disk = storage::RealDisk::open_directory(path, {});
  Status opened = disk ? Status{} : fail(disk.error());
  if (opened && use == Use::locked) opened = (*disk)->lock();
  if (!opened) {
    refuse(fmt::format("'{}': {}", path, errc_text(opened.error())));
    return false;
  }
  disk_ = std::move(*disk);
  return true;
}

int LogFiles::refused(const std::string& log, Errc error) const {
  return refuse(fmt::format("'{}/{}': {}", path_, log, errc_text(error)));
}

void LogFiles::find_logs() {
  std::error_code error;
  std::vector<uint64_t> shards;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory(error) || entry.is_symlink(error)) continue;
    if (name == catalog()) logs_.push_back(name);
    if (!name.starts_with(kShard)) continue;
    if (const auto number = parse_whole(name.substr(kShard.size()))) shards.push_back(*number);
  }
  std::sort(shards.begin(), shards.end());
  for (const uint64_t number : shards)
    logs_.push_back(shard(number));
}

}  // namespace millrace::tools

#include "engine/data_directory.h"

#include <charconv>

#include <fmt/format.h>

#include "engine/limits.h"
#include "storage/checkpoint_file.h"
#include "storage/segment_header.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kLockFile = "LOCK";
constexpr std::string_view kLostAndFound = "lost+found";  // ext4's own, where a disk is mounted
constexpr std::string_view kQuarantine = "quarantine-";
constexpr std::string_view kUnfinished = ".new";

bool is_log_directory(std::string_view name) {
  return name == kCatalogDirectory || shard_number(name) >= 0;
}

bool is_log_file(std::string_view name) {
  return storage::segment_file_number(name) != 0 || name.starts_with(kQuarantine) ||
         name == storage::kCheckpointFile ||
         (name.ends_with(kUnfinished) &&
          name.substr(0, name.size() - kUnfinished.size()) == storage::kCheckpointFile);
}

}  // namespace

std::string shard_directory(uint16_t shard) {
  return fmt::format("{}{}", kShardDirectory, shard);
}

int shard_number(std::string_view name) {
  if (!name.starts_with(kShardDirectory)) return -1;
  uint32_t shard = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + kShardDirectory.size(), end, shard);
  const bool good = parsed.ec == std::errc{} && parsed.ptr == end && shard < kShardsMax;
  return good ? static_cast<int>(shard) : -1;
}

Result<std::vector<std::string>> foreign_files(storage::Disk& disk) {
  std::vector<std::string> foreign;
  const auto root = disk.list("");
  if (!root) return fail(root.error());
  for (const storage::DirectoryEntry& entry : *root) {
    if (entry.name == kLockFile && entry.regular_file) continue;
    if ((entry.name == kLostAndFound || entry.name == kKeysDirectory) && !entry.regular_file)
      continue;
    if (!is_log_directory(entry.name) || entry.regular_file) {
      foreign.push_back(entry.name);
      continue;
    }
    // A link of that name can't be listed: it is not followed, and its log's open says so.
    const auto files = disk.list(entry.name);
    if (!files) continue;
    for (const storage::DirectoryEntry& file : *files)
      if (!file.regular_file || !is_log_file(file.name))
        foreign.push_back(entry.name + "/" + file.name);
  }
  return foreign;
}

Result<uint64_t> found_shards(storage::Disk& disk) {
  const auto entries = disk.list("");
  if (!entries) return fail(entries.error());
  uint64_t found = 0;
  for (const storage::DirectoryEntry& entry : *entries)
    if (const int shard = shard_number(entry.name); shard >= 0) found |= uint64_t{1} << shard;
  return found;
}

}  // namespace millrace::engine

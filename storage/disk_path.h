// The paths a Disk takes, one rule for all backends: at most two components of [a-z0-9.-], neither
// of them "." or "..". Paths are ours, never a client's, so a bad one is a bug (MR_ASSERT at the
// backends). The root of the data directory, where a directory is asked for, is "".
#pragma once

#include <string_view>

namespace millrace::storage {

constexpr bool valid_disk_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name == "." || name == "..") return false;
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-')) return false;
  return true;
}

// "shard-0/00000001.segment" -> "shard-0"; "catalog" -> "".
constexpr std::string_view parent_of(std::string_view path) {
  const size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

constexpr std::string_view name_of(std::string_view path) {
  const size_t slash = path.find('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

constexpr bool valid_disk_path(std::string_view path) {
  const bool nested = path.find('/') != std::string_view::npos;
  return (!nested || valid_disk_name(parent_of(path))) && valid_disk_name(name_of(path));
}

constexpr bool valid_disk_directory(std::string_view directory) {
  return directory.empty() || valid_disk_name(directory);
}

}  // namespace millrace::storage

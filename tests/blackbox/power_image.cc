#include "tests/blackbox/power_image.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <set>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/assert.h"

namespace millrace::blackbox {
namespace {

constexpr size_t kCopyBytes = 64u << 10;

using Content = std::vector<std::byte>;
using Inodes = std::map<std::string, uint64_t>;  // by name, regular files only

uint64_t inode_of(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) ? info.st_ino : 0;
}

Inodes files_in(const std::string& folder) {
  Inodes found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const uint64_t inode = inode_of(entry.path());
    // The lock file and a link half made by the shadow are nobody's data.
    if (inode != 0 && name != "LOCK" && name != ".link") found[name] = inode;
  }
  return found;
}

Content read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  MR_ASSERT(fd >= 0);
  struct stat info {};
  MR_ASSERT(::fstat(fd, &info) == 0);
  Content content(static_cast<size_t>(info.st_size));
  for (size_t done = 0; done < content.size();) {
    const ssize_t got =
        ::pread(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
    MR_ASSERT(got > 0);
    done += static_cast<size_t>(got);
  }
  ::close(fd);
  return content;
}

void write_file(const std::string& path, const Content& content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  MR_ASSERT(fd >= 0);
  MR_ASSERT(::ftruncate(fd, static_cast<off_t>(content.size())) == 0);
  // Zeros stay holes: an image of preallocated segments is mostly these.
  for (size_t at = 0; at < content.size(); at += kCopyBytes) {
    const size_t count = std::min(kCopyBytes, content.size() - at);
    const std::byte* from = content.data() + at;
    if (std::all_of(from, from + count, [](std::byte b) { return b == std::byte{}; })) continue;
    const ssize_t written = ::pwrite(fd, from, count, static_cast<off_t>(at));
    MR_ASSERT(written == static_cast<ssize_t>(count));
  }
  ::close(fd);
}

Content mix(Content durable, Content working, base::Prng& prng, const PowerImageOptions& options) {
  constexpr uint32_t kKeepPercents[] = {0, 15, 50, 85, 100};
  const uint32_t keep = kKeepPercents[prng.below(std::size(kKeepPercents))];
  const uint64_t durable_bytes = durable.size();
  const uint64_t working_bytes = working.size();
  uint64_t bytes = durable_bytes;
  if (durable_bytes != working_bytes && prng.chance(keep, 100)) {
    const auto [low, high] = std::minmax(durable_bytes, working_bytes);
    bytes = prng.chance(1, 2) ? working_bytes : prng.between(low, high);
  }
  const uint64_t unit = options.granularity;
  const uint64_t padded = (std::max(durable_bytes, working_bytes) + unit - 1) / unit * unit;
  durable.resize(padded);
  working.resize(padded);
  for (uint64_t at = 0; at < padded; at += unit) {
    if (std::memcmp(durable.data() + at, working.data() + at, unit) == 0) continue;
    if (!prng.chance(keep, 100)) continue;
    uint64_t first = 0;
    uint64_t last = unit;
    if (options.torn && prng.chance(1, 3)) {
      const uint64_t split = prng.between(1, unit - 1);
      prng.chance(1, 2) ? first = split : last = split;
    }
    std::memcpy(durable.data() + at + first, working.data() + at + first, last - first);
  }
  durable.resize(bytes);
  return durable;
}

class FolderImage {
 public:
  FolderImage(const std::string& working, const std::string& shadow, const std::string& folder,
              std::string image, base::Prng& prng, const PowerImageOptions& options)
      : working_(working + folder),
        entries_(shadow + "/entries" + folder),
        objects_(shadow + "/objects/"),
        image_(std::move(image) + folder),
        prng_(prng),
        options_(options) {}

  void make() {
    MR_ASSERT(::mkdir(image_.c_str(), 0700) == 0);
    const Inodes durable = files_in(entries_);
    std::map<std::string, uint64_t> now;  // name -> inode of its object, 0 if it has none
    for (const auto& [name, inode] : files_in(working_)) {
      working_inodes_[name] = inode;
      now[name] = inode_of(object_of(name));
    }
    std::map<uint64_t, std::string> vanished;  // object -> durable name that shows no more
    for (const auto& [name, object] : durable)
      if (!now.contains(name)) vanished[object] = name;

    for (const auto& [name, object] : now) {
      const auto before = durable.find(name);
      const bool same = before != durable.end() && object != 0 && before->second == object;
      if (same || prng_.chance(1, 2)) {
        write_current(name, name);
        if (!same && object != 0) vanished.erase(object);  // renamed to this name
        continue;
      }
      if (before != durable.end()) write_durable(name);
      const auto old = object == 0 ? vanished.end() : vanished.find(object);
      if (old == vanished.end()) continue;
      write_current(name, old->second);  // the rename is lost, not the file
      vanished.erase(old);
    }
    for (const auto& [object, name] : vanished)
      if (prng_.chance(1, 2)) write_durable(name);
  }

 private:
  std::string object_of(const std::string& name) {
    return objects_ + std::to_string(working_inodes_[name]);
  }
  void write_current(const std::string& name, const std::string& as) {
    const std::string object = object_of(name);
    write_file(image_ + "/" + as, mix(inode_of(object) == 0 ? Content{} : read_file(object),
                                      read_file(working_ + "/" + name), prng_, options_));
  }
  // A file that no working name leads to any more: later writes to it are lost with its inode.
  void write_durable(const std::string& name) {
    write_file(image_ + "/" + name, read_file(entries_ + "/" + name));
  }

  const std::string working_;
  const std::string entries_;
  const std::string objects_;
  const std::string image_;
  base::Prng& prng_;
  const PowerImageOptions& options_;
  Inodes working_inodes_;
};

}  // namespace

void make_power_image(const std::string& working, const std::string& shadow,
                      const std::string& image, base::Prng& prng,
                      const PowerImageOptions& options) {
  MR_ASSERT(options.granularity == 512 || options.granularity == 4096);
  FolderImage(working, shadow, "", image, prng, options).make();
  std::set<std::string> folders;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(shadow + "/entries", error))
    if (entry.is_directory(error)) folders.insert("/" + entry.path().filename().string());
  MR_ASSERT(!error);
  for (const std::string& folder : folders)
    FolderImage(working, shadow, folder, image, prng, options).make();
}

}  // namespace millrace::blackbox

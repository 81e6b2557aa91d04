#include "tests/blackbox/power_image.h"

#include <filesystem>
#include <map>
#include <set>
#include <sys/stat.h>
#include <utility>

#include "base/assert.h"
#include "tests/blackbox/power_file.h"

namespace millrace::blackbox {
namespace {

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

}  // namespace

// Those that images were made of so far.
class PowerImages::Files {
 public:
  // Paths; there may be nothing at `durable`.
  const PowerFile& get(const std::string& durable, const std::string& working) {
    return files_
        .try_emplace({durable, working}, inode_of(durable) == 0 ? std::string() : durable, working)
        .first->second;
  }

 private:
  std::map<std::pair<std::string, std::string>, PowerFile> files_;
};

// What becomes of one folder's names.
class PowerImages::Folder {
 public:
  Folder(const PowerImages& images, const std::string& folder, const std::string& image,
         base::Prng& prng, const PowerImageOptions& options)
      : files_(*images.files_),
        working_(images.working_ + folder),
        entries_(images.shadow_ + "/entries" + folder),
        objects_(images.shadow_ + "/objects/"),
        image_(image + folder),
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
    files_.get(object_of(name), working_ + "/" + name)
        .write(image_ + "/" + as, prng_, options_.granularity, options_.torn);
  }
  // A file that no working name leads to any more: later writes to it are lost with its inode.
  void write_durable(const std::string& name) {
    std::filesystem::copy_file(entries_ + "/" + name, image_ + "/" + name);
  }

  Files& files_;
  const std::string working_;
  const std::string entries_;
  const std::string objects_;
  const std::string image_;
  base::Prng& prng_;
  const PowerImageOptions& options_;
  Inodes working_inodes_;
};

PowerImages::PowerImages(std::string working, std::string shadow)
    : working_(std::move(working)), shadow_(std::move(shadow)), files_(std::make_unique<Files>()) {}

PowerImages::~PowerImages() = default;

void PowerImages::make(const std::string& image, base::Prng& prng,
                       const PowerImageOptions& options) {
  MR_ASSERT(options.granularity == 512 || options.granularity == 4096);
  Folder(*this, "", image, prng, options).make();
  std::set<std::string> folders;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(shadow_ + "/entries", error))
    if (entry.is_directory(error)) folders.insert("/" + entry.path().filename().string());
  MR_ASSERT(!error);
  for (const std::string& folder : folders)
    Folder(*this, folder, image, prng, options).make();
}

}  // namespace millrace::blackbox

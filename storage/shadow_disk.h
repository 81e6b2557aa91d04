// ShadowDisk: a RealDisk that keeps, beside each working file, the image that a power loss could
// not take away. For tests: SIGKILL leaves the working files in the page cache, and from both a
// harness builds what a power loss at that moment might have left (tests/blackbox/power_image.h).
// A program uses it only when told to (MILLRACE_SHADOW=<folder>).
//
//   <shadow>/objects/<inode>   durable content of the working file with that inode number
//   <shadow>/entries/<path>    durable directory entries: hard links to objects
//
// A sync copies to the object what was written since the last one and before this one was
// submitted, once the real sync has succeeded and before the caller learns of it; a directory sync
// makes the entries follow. A failed sync copies nothing, then or later. What is not in the image
// is not promised, so a kill between the real call and the copy is harmless. It sees final versions
// only; the simulated disk covers those in between.
//
// On a fresh shadow folder all that the data directory holds is taken as durable. On one that has
// been used, an existing file opened for writing counts as unsynced as a whole until its next sync,
// for a process that was killed may have left anything in the page cache.
//
// Threads: as RealDisk; composite jobs run on two worker threads of its own and use the calls
// below. Several ShadowDisks of one process may share the folders: calls that touch names take a
// process-wide mutex. Memory: a copy of what is being synced.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/real_disk.h"
#include "storage/real_disk_workers.h"

namespace millrace::storage {

class ShadowDisk final : public Disk {
 public:
  // As RealDisk::open_directory; `shadow_root` is made if its parent is there, and lies outside the
  // data directory on the same or another file system.
  [[nodiscard]] static Result<std::unique_ptr<ShadowDisk>> open_directory(
      const std::string& data_directory, const std::string& shadow_root,
      std::function<void()> wake);
  ~ShadowDisk() override;

  [[nodiscard]] Status make_directory(std::string_view path) override;
  [[nodiscard]] Status lock() override { return real_->lock(); }
  [[nodiscard]] Result<std::vector<DirectoryEntry>> list(std::string_view directory) override {
    return real_->list(directory);
  }
  [[nodiscard]] Result<FileId> open(std::string_view path, OpenMode mode) override;
  void close(FileId file) override;
  [[nodiscard]] Result<uint64_t> size(FileId file) override { return real_->size(file); }
  [[nodiscard]] Status reserve(FileId file, uint64_t bytes) override {
    return real_->reserve(file, bytes);
  }
  [[nodiscard]] Status write(FileId file, uint64_t offset, std::span<const Bytes> parts) override;
  [[nodiscard]] Result<uint64_t> read(FileId file, uint64_t offset, MutableBytes out) override {
    return real_->read(file, offset, out);
  }
  [[nodiscard]] Result<uint64_t> read_back(FileId file, uint64_t offset,
                                           MutableBytes out) override {
    return real_->read_back(file, offset, out);
  }
  [[nodiscard]] Result<Bytes> map(FileId file, uint64_t bytes) override {
    return real_->map(file, bytes);
  }
  void unmap(Bytes mapping) override { real_->unmap(mapping); }
  [[nodiscard]] Status sync(FileId file) override;
  [[nodiscard]] Status sync_directory(std::string_view directory) override;
  [[nodiscard]] Status rename(std::string_view from, std::string_view to) override;
  [[nodiscard]] Status remove(std::string_view path) override;
  [[nodiscard]] Result<uint64_t> free_bytes() override { return real_->free_bytes(); }
  void submit(Job job) override;
  size_t reap(std::span<Completion> out) override;
  void finish(JobKind kind) override;

 private:
  struct Range {
    uint64_t offset;
    uint64_t bytes;
  };
  // What is known of an open file. Its object is held open, so that a copy that comes late, after
  // the file was removed, goes nowhere else.
  struct Tracked {
    explicit Tracked(int object_fd) : object(object_fd) {}
    ~Tracked();
    const int object;
    std::vector<Range> unsynced;
  };
  struct Capture {
    std::shared_ptr<Tracked> file;
    uint64_t size = 0;
    std::vector<std::pair<uint64_t, std::vector<std::byte>>> pieces;  // by offset
  };

  ShadowDisk(std::string data_directory, std::string shadow_root);
  Status prepare_folders();
  Status adopt(std::string_view directory);
  uint64_t inode_at(std::string_view path) const;  // of the working file; 0: none
  std::string object_path(uint64_t inode) const;
  std::string entry_path(std::string_view path) const;
  std::shared_ptr<Tracked> find(FileId file);
  Result<Capture> capture(FileId file);
  static Status apply(const Capture& capture);

  const std::string data_directory_;
  const std::string shadow_root_;
  std::unique_ptr<RealDisk> real_;
  std::mutex tracked_mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<Tracked>> tracked_;
  std::deque<Result<Capture>> captures_;    // of the sync jobs under way, in their order
  std::optional<RealDiskWorkers> workers_;  // composite jobs
};

}  // namespace millrace::storage

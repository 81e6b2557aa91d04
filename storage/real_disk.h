// RealDisk: the Disk on Linux.
//
// All files are opened relative to one descriptor of the data directory, component by component
// with O_NOFOLLOW, so that a link planted in the folder is refused (permission_denied, or
// not_a_directory for a component on the way). Writes are pwritev until complete; space is reserved
// by fallocate, never by writing or ftruncate: a file system without it answers `unsupported`
// (ext4, XFS, btrfs and tmpfs have it). Maps are MAP_SHARED, read-only and left out of core dumps;
// storage/mapped_files.h knows them, and their files stay open.
//
// What a failed sync leaves behind is the kernel's affair (the pages are marked clean, the error is
// reported once): the caller must not go on with the file.
//
// Threads: the Disk's calls belong to one thread, the owner's. The blocking calls except lock() and
// the maps are also made by the two worker threads (storage/real_disk_workers.h); the table of open
// files is therefore behind a mutex, which the owner finds free but for the length of a look-up. A
// file closed while the kernel works on it stays open until that is done; a sync whose file is
// closed before it starts completes with `canceled`.
// Memory: a table entry and a descriptor per open file.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "storage/disk.h"
#include "storage/real_disk_workers.h"

namespace millrace::storage {

class RealDisk final : public Disk {
 public:
  // Opens the data directory, making it (0700) if its parent is there. `wake` is called on a
  // worker's thread when completions become available; it may be empty.
  // Errors: not_found, not_a_directory, permission_denied, io_error.
  [[nodiscard]] static Result<std::unique_ptr<RealDisk>> open_directory(
      const std::string& data_directory, std::function<void()> wake);
  ~RealDisk() override;

  [[nodiscard]] Status make_directory(std::string_view path) override;
  [[nodiscard]] Status lock() override;
  [[nodiscard]] Result<std::vector<DirectoryEntry>> list(std::string_view directory) override;
  [[nodiscard]] Result<FileId> open(std::string_view path, OpenMode mode) override;
  void close(FileId file) override;
  [[nodiscard]] Result<uint64_t> size(FileId file) override;
  [[nodiscard]] Status reserve(FileId file, uint64_t bytes) override;
  [[nodiscard]] Status write(FileId file, uint64_t offset, std::span<const Bytes> parts) override;
  [[nodiscard]] Result<uint64_t> read(FileId file, uint64_t offset, MutableBytes out) override;
  [[nodiscard]] Result<uint64_t> read_back(FileId file, uint64_t offset, MutableBytes out) override;
  [[nodiscard]] Result<Bytes> map(FileId file, uint64_t bytes) override;
  void unmap(Bytes mapping) override;
  [[nodiscard]] Status sync(FileId file) override;
  [[nodiscard]] Status sync_directory(std::string_view directory) override;
  [[nodiscard]] Status rename(std::string_view from, std::string_view to) override;
  [[nodiscard]] Status remove(std::string_view path) override;
  [[nodiscard]] Result<uint64_t> free_bytes() override;
  void submit(Job job) override;
  size_t reap(std::span<Completion> out) override;
  void finish(JobKind kind) override;

  // Which file an open FileId is, across renames: its inode number. For ShadowDisk.
  [[nodiscard]] Result<uint64_t> inode(FileId file);

 private:
  class Descriptor {
   public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int fd() const { return fd_; }

   private:
    int fd_;
  };
  using OpenFile = std::shared_ptr<Descriptor>;

  RealDisk(OpenFile root, std::function<void()> wake);
  Result<OpenFile> open_folder(std::string_view directory) const;
  OpenFile find_if_open(FileId file) const;
  OpenFile find(FileId file) const;
  void tell_open(std::string_view path, int error);
  Errc sync_job(const Job& job) const;

  const OpenFile root_;
  OpenFile lock_file_;
  std::atomic<int> open_error_{0};  // told last, while it lasts
  mutable std::mutex files_mutex_;
  std::unordered_map<uint32_t, OpenFile> files_;
  std::unordered_map<const std::byte*, OpenFile> maps_;
  uint32_t next_file_ = 0;  // ids are not reused: one that is late finds nothing, not another file
  std::optional<RealDiskWorkers> workers_;
};

}  // namespace millrace::storage

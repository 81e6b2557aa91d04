// Disk: the seam through which all bytes reach or leave stable storage. Nothing else in storage/ or
// engine/ touches a file.
//
// Three backends: RealDisk (Linux; one worker thread for syncs, one for slow preparations), SimDisk
// (tests/sim: a heap of 512-byte sectors with versions, crashes and faults chosen by seed, jobs
// completed when the simulator says so) and ShadowDisk (RealDisk that also keeps a durable image
// beside each working file, so that power-loss images can be made from a killed process).
//
// Calls of the first group block and are for opening, recovery and the small appends of a loop turn
// (write). Those of the second group never block: a job is queued, its completion is reaped later
// on the same thread. One Disk object per log; it is used by one thread, the shard's; workers are
// the backend's own business.
//
// Paths are relative to the data directory the Disk was made for, at most two components
// ("shard-0/00000001.segment"), made of [a-z0-9.-] only. Links are never followed. Files are 0600,
// directories 0700. Errors: disk_full, io_error, not_found, already_exists, permission_denied,
// locked, not_a_directory. Source of the fault semantics: Rebello et al., ATC'20 (fsync failures);
// Pillai et al., OSDI'14 (append is not atomic).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace::storage {

enum class FileId : uint32_t {};
inline constexpr FileId kNoFile{UINT32_MAX};

enum class OpenMode : uint8_t { read_only, read_write, create_new };

struct DirectoryEntry {
  std::string name;
  uint64_t bytes = 0;
  bool regular_file = true;  // false: a link, a directory, a socket; never opened, reported
};

enum class JobKind : uint8_t {
  sync,             // fdatasync `file`. Covers what was written before the job was submitted; of
                    // that [offset, offset + bytes) is new since the last, as a hint
  prepare_segment,  // create `path` exclusively, reserve `bytes`, write zeros once over all of it
                    // unless `reserve_only` in steps of at most 64 KiB, synced every 2 MiB, sync
                    // file and directory; completion.file is open read_write. On failure nothing is
                    // left behind
  replace_file,     // write `content` to a temporary name, sync, rename over `path`, sync directory
                    // (checkpoints)
  remove,           // unlink `path`, sync directory
  read_back,  // read_back() of [offset, offset+bytes) of `file` to `into`, all of it or io_error;
              // canceled if the file was closed meanwhile
};
inline constexpr size_t kJobKinds = 5;

struct Job {
  JobKind kind;
  uint64_t token = 0;  // comes back in the completion
  FileId file = kNoFile;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::string path;
  std::vector<std::byte> content;
  bool reserve_only = false;
  std::shared_ptr<std::byte[]> into = nullptr;  // read_back: shared, as whoever asked may be gone
};

struct Completion {
  JobKind kind;
  uint64_t token = 0;
  Errc error = Errc::ok;
  FileId file = kNoFile;
};

class Disk {
 public:
  virtual ~Disk() = default;

  // --- blocking ---
  [[nodiscard]] virtual Status make_directory(
      std::string_view path) = 0;  // ok if it is there already; synced in its parent
  // Takes the exclusive lock on the data directory, held until the Disk dies. Errors: locked.
  [[nodiscard]] virtual Status lock() = 0;
  [[nodiscard]] virtual Result<std::vector<DirectoryEntry>> list(std::string_view directory) = 0;
  [[nodiscard]] virtual Result<FileId> open(std::string_view path, OpenMode mode) = 0;
  virtual void close(FileId file) = 0;
  [[nodiscard]] virtual Result<uint64_t> size(FileId file) = 0;
  // Reserves real blocks for [0, bytes); the file is at least that long afterwards. Error
  // disk_full: nothing changed.
  [[nodiscard]] virtual Status reserve(FileId file, uint64_t bytes) = 0;
  // Writes the parts one after the other at `offset`, completely. A short write that cannot be
  // completed is an error and the bytes in [offset, offset+total) are undefined.
  [[nodiscard]] virtual Status write(FileId file, uint64_t offset,
                                     std::span<const Bytes> parts) = 0;
  // Reads up to out.size() bytes; the result is shorter only at the end of the file.
  [[nodiscard]] virtual Result<uint64_t> read(FileId file, uint64_t offset, MutableBytes out) = 0;
  // As read, but from the device where the file system lets it past the page cache; `offset`, the
  // size and the address of `out` are multiples of 4 KiB. Error canceled: the file is closed. For
  // jobs.
  [[nodiscard]] virtual Result<uint64_t> read_back(FileId file, uint64_t offset,
                                                   MutableBytes out) = 0;
  // Maps [0, bytes) read-only. Later writes to the file show through. Lives until unmap().
  [[nodiscard]] virtual Result<Bytes> map(FileId file, uint64_t bytes) = 0;
  virtual void unmap(Bytes mapping) = 0;
  [[nodiscard]] virtual Status sync(FileId file) = 0;
  [[nodiscard]] virtual Status sync_directory(std::string_view directory) = 0;
  [[nodiscard]] virtual Status rename(std::string_view from, std::string_view to) = 0;
  [[nodiscard]] virtual Status remove(std::string_view path) = 0;
  [[nodiscard]] virtual Result<uint64_t> free_bytes() = 0;

  // --- never block ---
  virtual void submit(Job job) = 0;
  // Takes up to out.size() completions; returns how many. Jobs of one kind complete in the order
  // submitted.
  virtual size_t reap(std::span<Completion> out) = 0;

  // Blocks until every job of `kind` submitted so far is done and can be reaped. For closing a log.
  virtual void finish(JobKind kind) = 0;
};

}  // namespace millrace::storage

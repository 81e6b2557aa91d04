#include "storage/real_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/assert.h"
#include "base/log_line.h"
#include "storage/disk_path.h"
#include "storage/mapped_files.h"

namespace millrace::storage {
namespace {

constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW;
constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;
constexpr uint64_t kWriteBackBytes = 512u << 10;
constexpr size_t kPartsPerCall = 256;  // below IOV_MAX (1024), and 4 KiB of stack

Errc from_errno(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Errc::disk_full;
    case ENOENT:
      return Errc::not_found;
    case EEXIST:
      return Errc::already_exists;
    case ENOTDIR:
      return Errc::not_a_directory;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:  // a link where a file of ours should be
    case EISDIR:
      return Errc::permission_denied;
    case EOPNOTSUPP:
      return Errc::unsupported;
    default:
      return Errc::io_error;
  }
}

Failure last_error() {
  return fail(from_errno(errno));
}

template <class Call>
auto retry_on_signal(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

Status status_of(int result) {
  if (result < 0) return last_error();
  return {};
}

// A sync of many pages keeps its core for milliseconds, which may be a shard's. What it will have
// to write is begun in pieces, and between two of them whoever waits for the core has a turn. Of
// errors the sync tells: this call asks for none and so takes none away from it.
void begin_to_write_back(int fd, uint64_t offset, uint64_t bytes) {
  for (const uint64_t end = offset + bytes; offset < end; offset += kWriteBackBytes) {
    const uint64_t piece = std::min(kWriteBackBytes, end - offset);
    if (::sync_file_range(fd, static_cast<off64_t>(offset), static_cast<off64_t>(piece),
                          SYNC_FILE_RANGE_WRITE) != 0)
      return;
    std::this_thread::yield();
  }
}

Status sync_descriptor(int fd) {
  return status_of(retry_on_signal([&] { return ::fdatasync(fd); }));
}

Result<uint64_t> read_descriptor(int fd, uint64_t offset, MutableBytes out) {
  uint64_t done = 0;
  while (done < out.size()) {
    const ssize_t got = retry_on_signal([&] {
      return ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    });
    if (got < 0) return last_error();
    if (got == 0) break;
    done += static_cast<uint64_t>(got);
  }
  return done;
}

}  // namespace

RealDisk::Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);  // nothing to learn from it: what matters was synced
}

Result<std::unique_ptr<RealDisk>> RealDisk::open_directory(const std::string& data_directory,
                                                           std::function<void()> wake) {
  const char* path = data_directory.c_str();
  const bool made = ::mkdir(path, kDirectoryMode) == 0;
  if (!made && errno != EEXIST) return last_error();
  // The data directory itself may be reached through links: where it is, is the operator's choice.
  const int fd = retry_on_signal([&] { return ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return last_error();
  OpenFile root = std::make_shared<Descriptor>(fd);
  if (made) {
    const int parent = ::openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // A parent that may be entered but not read cannot be synced; the directory is usable.
    if (parent < 0 && errno != EACCES) return last_error();
    if (parent >= 0 && ::fsync(Descriptor(parent).fd()) < 0) return last_error();
  }
  return std::unique_ptr<RealDisk>(new RealDisk(std::move(root), std::move(wake)));
}

RealDisk::RealDisk(OpenFile root, std::function<void()> wake) : root_(std::move(root)) {
  workers_.emplace(*this,
                   RealDiskWorkers::Hooks{.sync = [this](const Job& job) { return sync_job(job); },
                                          .wake = std::move(wake)});
}

RealDisk::~RealDisk() {
  workers_.reset();  // joined before what they use goes
  for (const auto& [address, file] : maps_)
    MappedFiles::of_process().remove(address);
}

Result<RealDisk::OpenFile> RealDisk::open_folder(std::string_view directory) const {
  MR_ASSERT(valid_disk_directory(directory));
  if (directory.empty()) return root_;
  const std::string name(directory);
  const int fd = retry_on_signal(
      [&] { return ::openat(root_->fd(), name.c_str(), O_RDONLY | O_DIRECTORY | kAlways); });
  if (fd < 0) return last_error();
  return std::make_shared<Descriptor>(fd);
}

RealDisk::OpenFile RealDisk::find_if_open(FileId file) const {
  const std::lock_guard lock(files_mutex_);
  const auto found = files_.find(static_cast<uint32_t>(file));
  return found == files_.end() ? nullptr : found->second;
}

RealDisk::OpenFile RealDisk::find(FileId file) const {
  OpenFile found = find_if_open(file);
  MR_ASSERT(found != nullptr);
  return found;
}

Status RealDisk::make_directory(std::string_view path) {
  MR_ASSERT(valid_disk_name(path));
  const std::string name(path);
  if (::mkdirat(root_->fd(), name.c_str(), kDirectoryMode) < 0 && errno != EEXIST)
    return last_error();
  const Result<OpenFile> folder = open_folder(path);  // it may have been there as something else
  if (!folder) return fail(folder.error());
  // Also if it was there: a process before us may have died between making it and this sync.
  return sync_directory("");
}

Status RealDisk::lock() {
  // The directory too: a LOCK that somebody deleted would let a second process lock its successor.
  if (::flock(root_->fd(), LOCK_EX | LOCK_NB) < 0)
    return fail(errno == EWOULDBLOCK ? Errc::locked : from_errno(errno));
  const int fd = retry_on_signal(
      [&] { return ::openat(root_->fd(), "LOCK", O_RDWR | O_CREAT | kAlways, kFileMode); });
  if (fd < 0) return last_error();
  OpenFile file = std::make_shared<Descriptor>(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) < 0)
    return fail(errno == EWOULDBLOCK ? Errc::locked : from_errno(errno));
  // The lock is the kernel's; the number inside only tells people whom to ask. Not being able to
  // write it, on a full disk, must not keep the broker from starting.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) == 0) (void)!::pwrite(fd, pid.data(), pid.size(), 0);
  lock_file_ = std::move(file);
  return {};
}

Result<std::vector<DirectoryEntry>> RealDisk::list(std::string_view directory) {
  const Result<OpenFile> folder = open_folder(directory);
  if (!folder) return fail(folder.error());
  // fdopendir() takes its descriptor over and moves its read position: it gets one of its own.
  const int fd = ::openat((*folder)->fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return last_error();
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    ::close(fd);
    return last_error();
  }
  std::vector<DirectoryEntry> entries;
  Errc error = Errc::ok;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream);
    if (entry == nullptr) {
      if (errno != 0) error = from_errno(errno);
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info {};
    if (::fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT) continue;  // removed meanwhile by our own worker
      error = from_errno(errno);
      break;
    }
    const bool regular = S_ISREG(info.st_mode);
    entries.push_back(
        {std::string(name), regular ? static_cast<uint64_t>(info.st_size) : 0, regular});
  }
  ::closedir(stream);
  if (error != Errc::ok) return fail(error);
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

Result<FileId> RealDisk::open(std::string_view path, OpenMode mode) {
  MR_ASSERT(valid_disk_path(path));
  const Result<OpenFile> folder = open_folder(parent_of(path));
  if (!folder) {
    tell_open(path, errno);
    return fail(folder.error());
  }
  const std::string name(name_of(path));
  int flags = kAlways | O_NONBLOCK;  // a pipe of that name must not hold us up before it is refused
  flags |= mode == OpenMode::read_only ? O_RDONLY : O_RDWR;
  if (mode == OpenMode::create_new) flags |= O_CREAT | O_EXCL;
  const int fd =
      retry_on_signal([&] { return ::openat((*folder)->fd(), name.c_str(), flags, kFileMode); });
  tell_open(path, fd < 0 ? errno : 0);
  if (fd < 0) return last_error();
  OpenFile file = std::make_shared<Descriptor>(fd);
  struct stat info {};
  if (::fstat(fd, &info) < 0) return last_error();
  if (!S_ISREG(info.st_mode)) return fail(Errc::permission_denied);
  const std::lock_guard lock(files_mutex_);
  const FileId id{next_file_++};
  MR_ASSERT(id != kNoFile);
  files_.emplace(static_cast<uint32_t>(id), std::move(file));
  return id;
}

// What has no error code of its own is said once, with the system's words: out of descriptors, for
// one. Leaves errno as it was.
void RealDisk::tell_open(std::string_view path, int error) {
  const bool unusual = error != 0 && from_errno(error) == Errc::io_error;
  const int before = open_error_.exchange(unusual ? error : 0);
  if (!unusual || before == error) return;
  base::log_line(base::LogLevel::warn, "disk", "{}: {}", path, std::strerror(error));
  errno = error;
}

void RealDisk::close(FileId file) {
  const std::lock_guard lock(files_mutex_);
  MR_ASSERT(files_.erase(static_cast<uint32_t>(file)) == 1);
}

Result<uint64_t> RealDisk::size(FileId file) {
  struct stat info {};
  if (::fstat(find(file)->fd(), &info) < 0) return last_error();
  return static_cast<uint64_t>(info.st_size);
}

Result<uint64_t> RealDisk::inode(FileId file) {
  struct stat info {};
  if (::fstat(find(file)->fd(), &info) < 0) return last_error();
  return static_cast<uint64_t>(info.st_ino);
}

Status RealDisk::reserve(FileId file, uint64_t bytes) {
  MR_ASSERT(bytes > 0);
  const OpenFile open_file = find(file);
  struct stat before {};
  if (::fstat(open_file->fd(), &before) < 0) return last_error();
  // One that cannot fit is not tried: the attempt would take all there is for a moment.
  const Result<uint64_t> available = free_bytes();
  if (!available) return fail(available.error());
  const uint64_t held = static_cast<uint64_t>(before.st_blocks) * 512;
  if (bytes > held && bytes - held > *available) return fail(Errc::disk_full);
  const int result = retry_on_signal(
      [&] { return ::fallocate(open_file->fd(), 0, 0, static_cast<off_t>(bytes)); });
  if (result == 0) return {};
  const Errc error = from_errno(errno);
  // Part of it may have been given, also past the end: cut back to what it was, so that the space
  // is not kept.
  (void)!::ftruncate(open_file->fd(), before.st_size);
  return fail(error);
}

Status RealDisk::write(FileId file, uint64_t offset, std::span<const Bytes> parts) {
  const OpenFile open_file = find(file);
  iovec vectors[kPartsPerCall];
  size_t skip = 0;  // bytes of parts.front() that are written already
  for (;;) {
    while (!parts.empty() && skip >= parts.front().size()) {
      skip -= parts.front().size();
      parts = parts.subspan(1);
    }
    if (parts.empty()) return {};
    const size_t count = std::min(parts.size(), kPartsPerCall);
    for (size_t i = 0; i < count; ++i)
      vectors[i] = {const_cast<std::byte*>(parts[i].data()), parts[i].size()};
    vectors[0].iov_base = static_cast<std::byte*>(vectors[0].iov_base) + skip;
    vectors[0].iov_len -= skip;
    const ssize_t written = retry_on_signal([&] {
      return ::pwritev(open_file->fd(), vectors, static_cast<int>(count),
                       static_cast<off_t>(offset));
    });
    if (written < 0) return last_error();
    if (written == 0) return fail(Errc::io_error);  // would be tried for ever
    offset += static_cast<uint64_t>(written);
    skip += static_cast<size_t>(written);
  }
}

Result<uint64_t> RealDisk::read(FileId file, uint64_t offset, MutableBytes out) {
  return read_descriptor(find(file)->fd(), offset, out);
}

Result<uint64_t> RealDisk::read_back(FileId file, uint64_t offset, MutableBytes out) {
  const OpenFile open_file = find_if_open(file);
  if (open_file == nullptr) return fail(Errc::canceled);
  // A description of its own: O_DIRECT would be everybody's who uses this one. A file system that
  // has no such reads, or a process that sees no /proc, reads what the page cache has.
  char name[40];
  std::snprintf(name, sizeof name, "/proc/self/fd/%d", open_file->fd());
  const Descriptor direct(
      retry_on_signal([&] { return ::open(name, O_RDONLY | O_DIRECT | O_CLOEXEC); }));
  return read_descriptor(direct.fd() < 0 ? open_file->fd() : direct.fd(), offset, out);
}

Result<Bytes> RealDisk::map(FileId file, uint64_t bytes) {
  MR_ASSERT(bytes > 0);
  const Result<uint64_t> available = size(file);
  if (!available) return fail(available.error());
  // Past the end of a file there is no error code, only SIGBUS: refused here.
  if (*available < bytes) return fail(Errc::io_error);
  OpenFile open_file = find(file);
  const int fd = open_file->fd();
  void* address = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) return last_error();
  (void)::madvise(address, bytes, MADV_DONTDUMP);  // only advice; message bodies out of core files
  const Bytes mapping(static_cast<const std::byte*>(address), bytes);
  MappedFiles::of_process().add(mapping, fd);
  const std::lock_guard lock(files_mutex_);
  maps_.emplace(mapping.data(), std::move(open_file));
  return mapping;
}

void RealDisk::unmap(Bytes mapping) {
  MappedFiles::of_process().remove(mapping.data());
  const std::lock_guard lock(files_mutex_);
  maps_.erase(mapping.data());
  MR_ASSERT(::munmap(const_cast<std::byte*>(mapping.data()), mapping.size()) == 0);
}

Status RealDisk::sync(FileId file) {
  return sync_descriptor(find(file)->fd());
}

Status RealDisk::sync_directory(std::string_view directory) {
  const Result<OpenFile> folder = open_folder(directory);
  if (!folder) return fail(folder.error());
  return status_of(retry_on_signal([&] { return ::fsync((*folder)->fd()); }));
}

Status RealDisk::rename(std::string_view from, std::string_view to) {
  MR_ASSERT(valid_disk_path(from) && valid_disk_path(to));
  const Result<OpenFile> from_folder = open_folder(parent_of(from));
  if (!from_folder) return fail(from_folder.error());
  const Result<OpenFile> to_folder = open_folder(parent_of(to));
  if (!to_folder) return fail(to_folder.error());
  const std::string from_name(name_of(from));
  const std::string to_name(name_of(to));
  return status_of(
      ::renameat((*from_folder)->fd(), from_name.c_str(), (*to_folder)->fd(), to_name.c_str()));
}

Status RealDisk::remove(std::string_view path) {
  MR_ASSERT(valid_disk_path(path));
  const Result<OpenFile> folder = open_folder(parent_of(path));
  if (!folder) return fail(folder.error());
  const std::string name(name_of(path));
  return status_of(::unlinkat((*folder)->fd(), name.c_str(), 0));
}

Result<uint64_t> RealDisk::free_bytes() {
  struct statvfs info {};
  if (::fstatvfs(root_->fd(), &info) < 0) return last_error();
  if (info.f_blocks == 0) return UINT64_MAX / 2;  // a tmpfs without a limit
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

void RealDisk::submit(Job job) {
  workers_->submit(std::move(job));
}

void RealDisk::finish(JobKind kind) {
  workers_->finish(kind);
}

size_t RealDisk::reap(std::span<Completion> out) {
  return workers_->reap(out);
}

Errc RealDisk::sync_job(const Job& job) const {
  const OpenFile open_file = find_if_open(job.file);
  if (open_file == nullptr) return Errc::canceled;
  if (job.bytes > kWriteBackBytes) begin_to_write_back(open_file->fd(), job.offset, job.bytes);
  return sync_descriptor(open_file->fd()).error();
}

}  // namespace millrace::storage

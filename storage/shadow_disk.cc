#include "storage/shadow_disk.h"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/assert.h"
#include "storage/disk_path.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kCopyBytes = 1u << 20;
constexpr const char* kReady = "/ready";  // there once a fresh folder has taken over the data

// An inode number may be given again as soon as its file is gone, to a file of another shard: no
// call that makes or frees one may come between another's change and its bookkeeping.
std::mutex& names_mutex() {
  static std::mutex mutex;
  return mutex;
}

uint64_t inode_of(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) ? info.st_ino : 0;
}

bool make_folder(const std::string& path) {
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST;
}

bool all_zero(const std::byte* bytes, uint64_t count) {
  return std::all_of(bytes, bytes + count, [](std::byte b) { return b == std::byte{}; });
}

bool write_all(int fd, uint64_t offset, const std::byte* bytes, uint64_t count) {
  while (count > 0) {
    const ssize_t written = ::pwrite(fd, bytes, count, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    offset += static_cast<uint64_t>(written);
    bytes += written;
    count -= static_cast<uint64_t>(written);
  }
  return true;
}

}  // namespace

ShadowDisk::Tracked::~Tracked() {
  ::close(object);
}

Result<std::unique_ptr<ShadowDisk>> ShadowDisk::open_directory(const std::string& data_directory,
                                                               const std::string& shadow_root,
                                                               std::function<void()> wake) {
  auto disk = std::unique_ptr<ShadowDisk>(new ShadowDisk(data_directory, shadow_root));
  Result<std::unique_ptr<RealDisk>> real = RealDisk::open_directory(data_directory, wake);
  if (!real) return fail(real.error());
  disk->real_ = std::move(real).value();
  if (const Status prepared = disk->prepare_folders(); !prepared) return fail(prepared.error());
  disk->workers_.emplace(*disk, RealDiskWorkers::Hooks{.sync = [](const Job&) { return Errc::ok; },
                                                       .wake = std::move(wake)});
  return disk;
}

ShadowDisk::ShadowDisk(std::string data_directory, std::string shadow_root)
    : data_directory_(std::move(data_directory)), shadow_root_(std::move(shadow_root)) {}

ShadowDisk::~ShadowDisk() {
  workers_.reset();
}

std::string ShadowDisk::object_path(uint64_t inode) const {
  return shadow_root_ + "/objects/" + std::to_string(inode);
}

std::string ShadowDisk::entry_path(std::string_view path) const {
  return shadow_root_ + "/entries/" + std::string(path);
}

uint64_t ShadowDisk::inode_at(std::string_view path) const {
  return inode_of(data_directory_ + "/" + std::string(path));
}

Status ShadowDisk::prepare_folders() {
  const std::lock_guard lock(names_mutex());
  if (!make_folder(shadow_root_)) return fail(Errc::io_error);
  if (::access((shadow_root_ + kReady).c_str(), F_OK) == 0) return {};
  std::error_code ignored;
  for (const char* folder : {"/objects", "/entries"}) {
    std::filesystem::remove_all(shadow_root_ + folder, ignored);
    if (!make_folder(shadow_root_ + folder)) return fail(Errc::io_error);
  }
  const Result<std::vector<DirectoryEntry>> root = real_->list("");
  if (!root) return fail(root.error());
  if (const Status adopted = adopt(""); !adopted) return adopted;
  for (const DirectoryEntry& entry : *root) {
    if (!valid_disk_name(entry.name)) continue;
    const Result<std::vector<DirectoryEntry>> inner = real_->list(entry.name);
    if (!inner) continue;  // no directory
    if (!make_folder(entry_path(entry.name))) return fail(Errc::io_error);
    if (const Status adopted = adopt(entry.name); !adopted) return adopted;
  }
  const int fd = ::open((shadow_root_ + kReady).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Errc::io_error);
  ::close(fd);
  return {};
}

Status ShadowDisk::adopt(std::string_view directory) {
  const Result<std::vector<DirectoryEntry>> entries = real_->list(directory);
  if (!entries) return fail(entries.error());
  for (const DirectoryEntry& entry : *entries) {
    if (!entry.regular_file || !valid_disk_name(entry.name)) continue;
    const std::string path =
        directory.empty() ? entry.name : std::string(directory) + "/" + entry.name;
    const std::string object = object_path(inode_at(path));
    std::error_code error;
    std::filesystem::copy_file(data_directory_ + "/" + path, object, error);
    if (error || ::link(object.c_str(), entry_path(path).c_str()) < 0) return fail(Errc::io_error);
  }
  return {};
}

Status ShadowDisk::make_directory(std::string_view path) {
  const Status made = real_->make_directory(path);
  if (made && !make_folder(entry_path(path))) return fail(Errc::io_error);
  return made;
}

Result<FileId> ShadowDisk::open(std::string_view path, OpenMode mode) {
  const std::lock_guard names(names_mutex());
  const Result<FileId> file = real_->open(path, mode);
  if (!file || mode == OpenMode::read_only) return file;
  const Result<uint64_t> inode = real_->inode(*file);
  const Result<uint64_t> bytes = real_->size(*file);
  int object = -1;
  if (inode && bytes) {
    const std::string object_name = object_path(*inode);
    if (mode == OpenMode::create_new) ::unlink(object_name.c_str());
    object = ::open(object_name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  }
  if (object < 0) {
    real_->close(*file);
    return fail(Errc::io_error);
  }
  auto tracked = std::make_shared<Tracked>(object);
  if (*bytes > 0) tracked->unsynced.push_back({0, *bytes});
  const std::lock_guard lock(tracked_mutex_);
  tracked_.emplace(static_cast<uint32_t>(*file), std::move(tracked));
  return file;
}

void ShadowDisk::close(FileId file) {
  {
    const std::lock_guard lock(tracked_mutex_);
    tracked_.erase(static_cast<uint32_t>(file));
  }
  real_->close(file);
}

std::shared_ptr<ShadowDisk::Tracked> ShadowDisk::find(FileId file) {
  const std::lock_guard lock(tracked_mutex_);
  const auto found = tracked_.find(static_cast<uint32_t>(file));
  return found == tracked_.end() ? nullptr : found->second;
}

Status ShadowDisk::write(FileId file, uint64_t offset, std::span<const Bytes> parts) {
  const std::shared_ptr<Tracked> tracked = find(file);
  if (tracked == nullptr) return real_->write(file, offset, parts);  // read-only: refused there
  uint64_t total = 0;
  for (const Bytes part : parts)
    total += part.size();
  std::vector<Range>& unsynced = tracked->unsynced;
  if (!unsynced.empty() && unsynced.back().offset + unsynced.back().bytes == offset)
    unsynced.back().bytes += total;
  else
    unsynced.push_back({offset, total});
  return real_->write(file, offset, parts);
}

Result<ShadowDisk::Capture> ShadowDisk::capture(FileId file) {
  Capture capture;
  capture.file = find(file);
  if (capture.file == nullptr) return capture;  // read-only: nothing to keep
  const Result<uint64_t> size = real_->size(file);
  if (!size) return fail(size.error());
  capture.size = *size;
  for (const Range& range : std::exchange(capture.file->unsynced, {})) {
    std::vector<std::byte> bytes(range.bytes);
    const Result<uint64_t> got = real_->read(file, range.offset, bytes);
    if (!got) return fail(got.error());
    bytes.resize(*got);
    capture.pieces.emplace_back(range.offset, std::move(bytes));
  }
  return capture;
}

Status ShadowDisk::apply(const Capture& capture) {
  if (capture.file == nullptr) return {};
  const int fd = capture.file->object;
  struct stat info {};
  if (::fstat(fd, &info) < 0) return fail(Errc::io_error);
  uint64_t object_bytes = static_cast<uint64_t>(info.st_size);
  if (object_bytes < capture.size) {
    if (::ftruncate(fd, static_cast<off_t>(capture.size)) < 0) return fail(Errc::io_error);
  }
  for (const auto& [offset, bytes] : capture.pieces) {
    for (uint64_t done = 0; done < bytes.size(); done += kCopyBytes) {
      const uint64_t count = std::min<uint64_t>(kCopyBytes, bytes.size() - done);
      // Past the object's old end there are zeros already: a prepared segment costs nothing.
      if (offset + done >= object_bytes && all_zero(bytes.data() + done, count)) continue;
      if (!write_all(fd, offset + done, bytes.data() + done, count)) return fail(Errc::io_error);
      object_bytes = std::max(object_bytes, offset + done + count);
    }
  }
  return {};
}

Status ShadowDisk::sync(FileId file) {
  const Result<Capture> captured = capture(file);
  const Status synced = real_->sync(file);
  if (!synced) return synced;
  return captured ? apply(*captured) : fail(captured.error());
}

Status ShadowDisk::sync_directory(std::string_view directory) {
  const std::lock_guard lock(names_mutex());
  const Result<std::vector<DirectoryEntry>> working = real_->list(directory);
  if (!working) return fail(working.error());
  if (const Status synced = real_->sync_directory(directory); !synced) return synced;

  const std::string folder = entry_path(directory);
  std::map<uint64_t, std::string> vanished;  // durable entries to go, by their object
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const bool still_there =
        std::any_of(working->begin(), working->end(),
                    [&](const DirectoryEntry& each) { return each.name == name; });
    if (!still_there && !entry.is_directory(error)) vanished[inode_of(entry.path())] = name;
  }
  if (error) return fail(Errc::io_error);
  for (const DirectoryEntry& entry : *working) {
    if (!entry.regular_file || !valid_disk_name(entry.name)) continue;
    const std::string path =
        directory.empty() ? entry.name : std::string(directory) + "/" + entry.name;
    const std::string object = object_path(inode_at(path));
    const uint64_t object_inode = inode_of(object);
    const std::string link = folder + "/" + entry.name;
    if (object_inode == 0 || object_inode == inode_of(link)) continue;
    // A rename is one step here too: a kill in between must not leave both names or neither.
    const auto old = vanished.find(object_inode);
    std::string source = folder + "/.link";
    if (old != vanished.end()) {
      source = folder + "/" + old->second;
      vanished.erase(old);
    } else {
      ::unlink(source.c_str());
      if (::link(object.c_str(), source.c_str()) < 0) return fail(Errc::io_error);
    }
    if (::rename(source.c_str(), link.c_str()) < 0) return fail(Errc::io_error);
  }
  for (const auto& [inode, name] : vanished)
    if (::unlink((folder + "/" + name).c_str()) < 0) return fail(Errc::io_error);
  return {};
}

Status ShadowDisk::rename(std::string_view from, std::string_view to) {
  const std::lock_guard lock(names_mutex());
  const uint64_t replaced = inode_at(to);
  const Status renamed = real_->rename(from, to);
  if (renamed && replaced != 0) ::unlink(object_path(replaced).c_str());
  return renamed;
}

Status ShadowDisk::remove(std::string_view path) {
  const std::lock_guard lock(names_mutex());
  const uint64_t inode = inode_at(path);
  const Status removed = real_->remove(path);
  // The durable entry, if there is one, still holds the content.
  if (removed && inode != 0) ::unlink(object_path(inode).c_str());
  return removed;
}

void ShadowDisk::submit(Job job) {
  if (job.kind == JobKind::sync) captures_.push_back(capture(job.file));
  if (job.kind == JobKind::sync)
    real_->submit(std::move(job));
  else
    workers_->submit(std::move(job));
}

void ShadowDisk::finish(JobKind kind) {
  workers_->finish(kind);
  real_->finish(kind);
}

size_t ShadowDisk::reap(std::span<Completion> out) {
  size_t count = real_->reap(out);
  for (Completion& done : out.first(count)) {
    if (done.kind != JobKind::sync) continue;
    const Result<Capture> captured = std::move(captures_.front());
    captures_.pop_front();
    if (done.error == Errc::ok) done.error = captured ? apply(*captured).error() : captured.error();
  }
  return count + workers_->reap(out.subspan(count));
}

}  // namespace millrace::storage

#include "tools/cli/copy_files.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "net/aws/sha256.h"
#include "tools/cli/command.h"

namespace millrace::tools {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPieceBytes = 1u << 20;

// A file of a disk, as long as it is looked at.
class OpenedFile {
 public:
  OpenedFile(storage::Disk& disk, const std::string& path)
      : disk_(disk), file_(disk.open(path, storage::OpenMode::read_only)) {}
  ~OpenedFile() {
    if (file_) disk_.close(*file_);
  }
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;
  const Result<storage::FileId>& operator*() const { return file_; }

 private:
  storage::Disk& disk_;
  Result<storage::FileId> file_;
};

}  // namespace

Result<std::string> hash_file(storage::Disk& disk, storage::FileId file, uint64_t bytes,
                              const UsePiece& also) {
  net::Sha256 sha;
  sha.begin();
  std::vector<std::byte> piece(std::min(kPieceBytes, bytes));
  for (uint64_t at = 0; at < bytes;) {
    const auto wanted = std::min<uint64_t>(piece.size(), bytes - at);
    const auto got = disk.read(file, at, MutableBytes(piece).first(wanted));
    if (!got) return fail(got.error());
    if (*got != wanted) return fail(Errc::not_found);
    const Bytes read = Bytes(piece).first(wanted);
    sha.add(as_text(read));
    if (also)
      if (const Status used = also(at, read); !used) return fail(used.error());
    at += wanted;
  }
  std::string hex;
  for (const uint8_t byte : sha.end())
    hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string check_log(storage::Disk& disk, const CopiedLog& log, storage::VerifyReport* report) {
  const auto verified = storage::verify_log(disk, log.directory, log.log_id);
  if (!verified) return fmt::format("{}: {}", log.directory, errc_text(verified.error()));
  *report = *verified;
  if (report->error != Errc::ok) return fmt::format("{}: {}", log.directory, report->message);
  if (report->head.value != log.head || report->end.value != log.end)
    return fmt::format("{}: its records go from position {} to {}; they should from {} to {}",
                       log.directory, report->head.value, report->end.value, log.head, log.end);
  return {};
}

bool CopyFiles::wrong(const std::string& what) const {
  refuse(fmt::format("'{}': {}", path_, what));
  return false;
}

bool CopyFiles::open(const std::string& path) {
  path_ = path;
  std::error_code error;
  if (!fs::is_directory(path, error)) return wrong("no such directory");
  auto disk = storage::RealDisk::open_directory(path, {});
  if (!disk) return wrong(std::string(errc_text(disk.error())));
  disk_ = std::move(*disk);
  const OpenedFile opened(*disk_, std::string(kManifestFile));
  const auto& file = *opened;
  if (!file && file.error() == Errc::not_found)
    return wrong("no copy, or one that was not finished: it has no manifest");
  const auto size = file ? disk_->size(*file) : Result<uint64_t>(fail(file.error()));
  if (!size) return wrong(fmt::format("its manifest: {}", errc_text(size.error())));
  if (*size > kManifestBytesMax)
    return wrong(
        fmt::format("its manifest is of {} bytes; at most {} are read", *size, kManifestBytesMax));
  std::string text(*size, '\0');
  const auto got = disk_->read(*file, 0, std::as_writable_bytes(std::span(text)));
  if (!got || *got != text.size()) return wrong("its manifest can't be read");
  std::string why;
  if (!decode_manifest(text, &manifest_, &why)) return wrong("its manifest: " + why);
  return true;
}

bool CopyFiles::check_file(const CopiedLog& log, const CopiedFile& file) {
  const std::string path = log.directory + "/" + file.name;
  const OpenedFile opened(*disk_, path);
  if (!*opened) return wrong(fmt::format("{}: {}", path, errc_text((*opened).error())));
  const auto size = disk_->size(**opened);
  if (!size) return wrong(fmt::format("{}: {}", path, errc_text(size.error())));
  if (*size != file.bytes)
    return wrong(fmt::format("{} has {} bytes; it was copied with {}", path, *size, file.bytes));
  const auto sha256 = hash_file(*disk_, **opened, file.bytes);
  if (!sha256) return wrong(fmt::format("{}: {}", path, errc_text(sha256.error())));
  if (*sha256 == file.sha256) return true;
  return wrong(fmt::format("{} is not what was copied: its SHA-256 is {}, it was {}", path, *sha256,
                           file.sha256));
}

bool CopyFiles::check() {
  for (const CopiedLog& log : manifest_.logs) {
    for (const CopiedFile& file : log.files)
      if (!check_file(log, file)) return false;
    storage::VerifyReport report;
    if (const std::string what = check_log(*disk_, log, &report); !what.empty()) return wrong(what);
    if (report.damaged_bytes != log.damaged_bytes)
      return wrong(fmt::format("{}: {} bytes are damaged; {} were when it was copied",
                               log.directory, report.damaged_bytes, log.damaged_bytes));
    records_ += report.records;
    newest_ = std::max(newest_, report.last_server_time);
  }
  return true;
}

uint64_t CopyFiles::damaged_bytes() const {
  uint64_t sum = 0;
  for (const CopiedLog& log : manifest_.logs)
    sum += log.damaged_bytes;
  return sum;
}

bool is_free_for_a_folder(const std::string& path, std::string_view what) {
  std::error_code error;
  const fs::file_status there = fs::symlink_status(path, error);
  if (!fs::exists(there)) return true;
  if (!fs::is_directory(there)) {
    refuse(
        fmt::format("'{}' is there and no directory; {} goes to a new or empty one", path, what));
    return false;
  }
  const bool empty = fs::is_empty(path, error);
  if (empty && !error) return true;
  refuse(error ? fmt::format("'{}': {}", path, error.message())
               : fmt::format("'{}' is not empty; {} goes to a new or empty directory", path, what));
  return false;
}

}  // namespace millrace::tools

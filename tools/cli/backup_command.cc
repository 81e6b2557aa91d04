// millrace backup: a running broker's data, as it was at one moment, in a folder of ours.
//
// The server only reads; all files are written here. They are checked as a start would read them,
// and the manifest is written last: a copy without one is not whole.
#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <unistd.h>
#include <vector>

#include "base/log_line.h"
#include "base/os_clock.h"
#include "engine/data_directory.h"
#include "engine/limits.h"
#include "storage/segment_header.h"
#include "tools/cli/command.h"
#include "tools/cli/copy_files.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

constexpr uint32_t kReadsAhead = 8;
constexpr int kSilenceMsMax = 30'000;
constexpr int64_t kShownMs = 200;

// Fetches the files of a backup.
class Fetch {
 public:
  Fetch(Context& context, const client::BackupDescription& backup, storage::Disk& disk,
        CopyManifest& manifest)
      : context_(context), backup_(backup), disk_(disk), manifest_(manifest) {
    shows_ = !context.json && ::isatty(STDOUT_FILENO) == 1;
  }

  // Empty, or what went wrong.
  std::string run() {
    for (size_t i = 0; i < backup_.logs.size(); ++i)
      if (const Status made = disk_.make_directory(manifest_.logs[i].directory); !made)
        return fmt::format("{}: {}", manifest_.logs[i].directory, errc_text(made.error()));
    client::Client& client = context_.connect()->async();
    int64_t heard_ns = base::os_monotonic_ns();
    while (wrong_.empty()) {
      while (wrong_.empty() && under_way_ < kReadsAhead && ask(client)) {
      }
      if (under_way_ == 0) break;
      const uint64_t before = fetched_;
      if (!client.poll(kSilenceMsMax)) note(std::string(client.failure_text()));
      const int64_t now_ns = base::os_monotonic_ns();
      if (fetched_ != before) heard_ns = now_ns;
      if (now_ns - heard_ns > int64_t{kSilenceMsMax} * 1'000'000)
        note("the server sends nothing any more");
      show(now_ns);
    }
    if (shows_) print_text("\r\x1b[K");
    if (!wrong_.empty()) client.close();  // whose callbacks are ours
    return wrong_;
  }

 private:
  struct Target {
    storage::FileId file = storage::kNoFile;
    std::string path;
    uint64_t bytes = 0;
    uint64_t missing = 0;
  };

  void note(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  // Opens the next file if there is one.
  bool next_file() {
    while (log_ < backup_.logs.size() && file_ == backup_.logs[log_].files.size()) {
      ++log_;
      file_ = 0;
    }
    if (log_ == backup_.logs.size()) return false;
    const BackupFile& file = backup_.logs[log_].files[file_];
    target_ = std::make_shared<Target>();
    target_->path = manifest_.logs[log_].directory + "/" + manifest_.logs[log_].files[file_].name;
    target_->bytes = target_->missing = file.bytes;
    const auto made = disk_.open(target_->path, storage::OpenMode::create_new);
    if (!made) note(fmt::format("{}: {}", target_->path, errc_text(made.error())));
    if (!made) return false;
    target_->file = *made;
    offset_ = 0;
    return true;
  }

  // False: there is nothing more to ask for.
  bool ask(client::Client& client) {
    if (target_ == nullptr && !next_file()) return false;
    const BackupLog& log = backup_.logs[log_];
    const BackupRead read{.backup = backup_.backup,
                          .log_id = log.log_id,
                          .sequence = log.files[file_].sequence,
                          .offset = offset_,
                          .bytes = static_cast<uint32_t>(
                              std::min<uint64_t>(kBackupReadBytesMax, target_->bytes - offset_))};
    const auto asked =
        client.read_backup(read, [this, read, target = target_](const client::Answer& answer) {
          --under_way_;
          take(read, *target, answer);
        });
    if (!asked) note(std::string(errc_text(asked.error())));
    if (!asked) return false;
    ++under_way_;
    offset_ += read.bytes;
    if (offset_ < target_->bytes) return true;
    target_.reset();
    ++file_;
    return true;
  }

  void take(const BackupRead& read, Target& target, const client::Answer& answer) {
    if (!wrong_.empty()) return;
    if (!answer) return note(fmt::format("{}: {}", target.path, answer.text()));
    const Bytes bytes = answer.backup_bytes();
    if (bytes.size() != read.bytes)
      return note(fmt::format("{}: {} bytes came, {} were asked for", target.path, bytes.size(),
                              read.bytes));
    Status status = disk_.write(target.file, read.offset, {&bytes, 1});
    target.missing -= bytes.size();
    fetched_ += bytes.size();
    if (status && target.missing > 0) return;
    if (status) status = disk_.sync(target.file);
    disk_.close(target.file);
    if (!status) note(fmt::format("{}: {}", target.path, errc_text(status.error())));
  }

  void show(int64_t now_ns) {
    if (!shows_ || now_ns < shown_ns_ + kShownMs * 1'000'000) return;
    shown_ns_ = now_ns;
    print_text(
        fmt::format("\r{} of {}\x1b[K", format_size(fetched_), format_size(manifest_.bytes())));
    std::fflush(stdout);
  }

  Context& context_;
  const client::BackupDescription& backup_;
  storage::Disk& disk_;
  CopyManifest& manifest_;
  size_t log_ = 0;
  size_t file_ = 0;
  std::shared_ptr<Target> target_;  // pieces of it are still to be asked for
  uint64_t offset_ = 0;
  uint32_t under_way_ = 0;
  uint64_t fetched_ = 0;
  std::string wrong_;
  bool shows_ = false;
  int64_t shown_ns_ = 0;
};

// All but the hashes. False: the server's description is none.
bool describe(const client::BackupDescription& backup, CopyManifest* manifest) {
  manifest->made_by = "millrace " MILLRACE_VERSION;
  manifest->server_time_ms = backup.server_time.value;
  for (const BackupLog& log : backup.logs) {
    const bool catalog = manifest->logs.empty();
    const auto shard = static_cast<uint16_t>(manifest->logs.size() - (catalog ? 0 : 1));
    if (log.log_id != (catalog ? engine::kCatalogLogId : shard) || shard >= engine::kShardsMax)
      return false;
    CopiedLog copied{.directory = catalog ? std::string(engine::kCatalogDirectory)
                                          : engine::shard_directory(shard),
                     .log_id = log.log_id,
                     .head = log.head.value,
                     .end = log.end.value,
                     .segment_bytes = log.segment_bytes,
                     .files = {}};
    for (const BackupFile& file : log.files) {
      if (file.bytes == 0 || file.bytes > log.segment_bytes) return false;
      const auto number = static_cast<uint32_t>(copied.files.size() + 1);
      copied.files.push_back({storage::segment_file_name(number), file.bytes, {}});
    }
    manifest->logs.push_back(std::move(copied));
  }
  return manifest->logs.size() >= 2;
}

// Reads what was written, as a start would. Empty, or what is wrong.
std::string look_through(storage::Disk& disk, CopyManifest* manifest) {
  for (CopiedLog& log : manifest->logs) {
    for (CopiedFile& file : log.files) {
      const std::string path = log.directory + "/" + file.name;
      const auto opened = disk.open(path, storage::OpenMode::read_only);
      if (!opened) return fmt::format("{}: {}", path, errc_text(opened.error()));
      const auto sha256 = hash_file(disk, *opened, file.bytes);
      disk.close(*opened);
      if (!sha256) return fmt::format("{}: {}", path, errc_text(sha256.error()));
      file.sha256 = *sha256;
    }
    storage::VerifyReport report;
    if (std::string wrong = check_log(disk, log, &report); !wrong.empty()) return wrong;
    log.damaged_bytes = report.damaged_bytes;
    if (const Status synced = disk.sync_directory(log.directory); !synced)
      return fmt::format("{}: {}", log.directory, errc_text(synced.error()));
  }
  return {};
}

Status write_manifest(storage::Disk& disk, const CopyManifest& manifest) {
  const auto file = disk.open(kManifestFile, storage::OpenMode::create_new);
  if (!file) return fail(file.error());
  const std::string text = encode_manifest(manifest);
  const Bytes bytes = as_bytes(text);
  Status status = disk.write(*file, 0, {&bytes, 1});
  if (status) status = disk.sync(*file);
  disk.close(*file);
  return status ? disk.sync_directory("") : status;
}

int backup(Context& context, const std::string& path) {
  if (!is_free_for_a_folder(path, "a copy")) return kRefused;
  client::BlockingClient* broker = context.connect();
  if (broker == nullptr) return kRefused;
  const int64_t began_ns = base::os_monotonic_ns();
  const auto started = broker->start_backup();
  if (!started) return context.refused("the backup");
  const auto failed = [&](std::string_view what) {
    return refuse(fmt::format("'{}': {}; what is there is no copy", path, what));
  };
  CopyManifest manifest;
  if (!describe(*started, &manifest)) return failed("the server's list of files is malformed");
  const auto disk = storage::RealDisk::open_directory(path, {});
  if (!disk) return failed(errc_text(disk.error()));
  if (const std::string wrong = Fetch(context, *started, **disk, manifest).run(); !wrong.empty())
    return failed(wrong);
  (void)broker->end_backup(started->backup);  // it has all been read
  if (const std::string wrong = look_through(**disk, &manifest); !wrong.empty())
    return failed(wrong);
  if (const Status written = write_manifest(**disk, manifest); !written)
    return failed(fmt::format("the manifest: {}", errc_text(written.error())));

  const size_t shards = manifest.logs.size() - 1;
  uint64_t damaged = 0;
  for (const CopiedLog& log : manifest.logs)
    damaged += log.damaged_bytes;
  if (context.json) {
    print_json({{"copy", path},
                {"shards", shards},
                {"files", manifest.files()},
                {"bytes", manifest.bytes()},
                {"damaged_bytes", damaged},
                {"server_time_ms", manifest.server_time_ms}});
    return kDone;
  }
  const double seconds = static_cast<double>(base::os_monotonic_ns() - began_ns) / 1e9;
  print_text(fmt::format(
      "'{}': {} {}, {} in {} files, as of {}, in {:.1f} s{}\n", path, shards,
      shards == 1 ? "shard" : "shards", format_size(manifest.bytes()), manifest.files(),
      base::utc_text(manifest.server_time_ms), seconds,
      damaged == 0 ? "" : fmt::format("; {} of it was damaged already", format_size(damaged))));
  return kDone;
}

}  // namespace

void add_backup_command(Parser& parser, Context& context) {
  auto path = std::make_shared<std::string>();
  parser
      .command("backup", "copy all of a running broker's data, as it is at one moment",
               [&context, path] { return backup(context, *path); })
      .argument("DIR", *path, "a new or empty directory on this machine");
}

}  // namespace millrace::tools

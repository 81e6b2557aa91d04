// CopyFiles: the folder of a copy (millrace backup), and whether what lies in it is whole.
#pragma once

#include <memory>
#include <string>

#include "millrace/result.h"
#include "storage/log_inspect.h"
#include "storage/real_disk.h"
#include "tools/common/copy_manifest.h"

namespace millrace::tools {

// The SHA-256 of the file's first `bytes`, hexadecimal; each piece is shown to `also` first. Error:
// not_found if the file is shorter.
using UsePiece = std::function<Status(uint64_t offset, Bytes piece)>;
Result<std::string> hash_file(storage::Disk& disk, storage::FileId file, uint64_t bytes,
                              const UsePiece& also = {});

// What was found wrong: one line for people; empty: nothing.
std::string check_log(storage::Disk& disk, const CopiedLog& log, storage::VerifyReport* report);

class CopyFiles {
 public:
  // Reads the manifest. False after the one line on standard error.
  bool open(const std::string& path);
  // Reads every byte and compares it with the manifest, then as a start would. As open().
  bool check();

  storage::Disk& disk() { return *disk_; }
  const CopyManifest& manifest() const { return manifest_; }
  // After check():
  uint64_t records() const { return records_; }
  uint64_t damaged_bytes() const;
  TimeMs newest() const { return newest_; }

 private:
  bool wrong(const std::string& what) const;
  bool check_file(const CopiedLog& log, const CopiedFile& file);

  std::string path_;
  std::unique_ptr<storage::RealDisk> disk_;
  CopyManifest manifest_;
  uint64_t records_ = 0;
  TimeMs newest_{};
};

// True if there is nothing at `path`, or an empty folder; else false, after the one line.
bool is_free_for_a_folder(const std::string& path, std::string_view what);

}  // namespace millrace::tools

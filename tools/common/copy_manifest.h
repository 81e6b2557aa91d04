// CopyManifest: what a copy of a broker's data is made of (millrace backup): which logs, where they
// begin and end, which files they lie in, and each file's size and SHA-256.
//
// A text of lines, written last: a copy without one is not whole. Its own last line is the SHA-256
// of all lines before. docs/operations.md has the form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::tools {

inline constexpr std::string_view kManifestFile = "manifest";
inline constexpr uint64_t kManifestBytesMax = 64u << 20;

struct CopiedFile {
  std::string name;  // "00000001.segment"
  uint64_t bytes = 0;
  std::string sha256;  // hexadecimal
};

struct CopiedLog {
  std::string directory;  // "catalog", "shard-0"
  uint16_t log_id = 0;
  uint64_t head = 0;  // positions
  uint64_t end = 0;
  uint64_t segment_bytes = 0;
  uint64_t damaged_bytes = 0;  // that were damaged in the log itself, and reported by its broker
  std::vector<CopiedFile> files;
};

struct CopyManifest {
  std::string made_by;  // "millrace 0.1.0"
  int64_t server_time_ms = 0;
  std::vector<CopiedLog> logs;  // the catalog's, then the shards' by number

  uint64_t files() const;
  uint64_t bytes() const;
};

std::string encode_manifest(const CopyManifest& manifest);
// False, with a line in `why`: changed since it was written, or of a later version.
bool decode_manifest(std::string_view text, CopyManifest* manifest, std::string* why);

}  // namespace millrace::tools

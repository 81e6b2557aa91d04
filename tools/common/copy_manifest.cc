#include "tools/common/copy_manifest.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "engine/data_directory.h"
#include "engine/limits.h"
#include "net/aws/sha256.h"
#include "storage/segment_header.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

constexpr std::string_view kTitle = "millrace-copy";
constexpr uint64_t kManifestVersion = 1;
constexpr size_t kHexBytes = 64;

std::string hex_sha256(std::string_view text) {
  std::string hex;
  for (const uint8_t byte : net::Sha256().of(text))
    hex += fmt::format("{:02x}", byte);
  return hex;
}

bool is_sha256(std::string_view text) {
  return text.size() == kHexBytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The words of a line, which are parted by one space each.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t space = line.find(' ');
    words.push_back(line.substr(0, space));
    if (space == std::string_view::npos) return words;
    line.remove_prefix(space + 1);
  }
}

class ManifestReader {
 public:
  explicit ManifestReader(CopyManifest* to) : to_(to) {}

  // False: no such line may stand here.
  bool take(std::string_view line) {
    const std::vector<std::string_view> words = words_of(line);
    if (words[0] == "made-by") to_->made_by = line.substr(std::min(line.size(), size_t{8}));
    if (words[0] == "made-by") return true;
    if (words[0] == "server-time-ms" && words.size() == 2) {
      to_->server_time_ms = static_cast<int64_t>(number(words[1]));
      return good_;
    }
    if (words[0] == "log" && words.size() == 7) return take_log(words);
    if (words[0] == "file" && words.size() == 4) return take_file(words);
    return false;
  }

 private:
  uint64_t number(std::string_view text) {
    const auto parsed = parse_whole(text);
    good_ = good_ && parsed.has_value();
    return parsed.value_or(0);
  }

  // In order, none twice: the catalog, and the shards from 0 on.
  bool take_log(const std::vector<std::string_view>& words) {
    CopiedLog log{.directory = std::string(words[1]),
                  .head = number(words[3]),
                  .end = number(words[4]),
                  .segment_bytes = number(words[5]),
                  .damaged_bytes = number(words[6]),
                  .files = {}};
    const uint64_t id = number(words[2]);
    const size_t place = to_->logs.size();
    if (place > engine::kShardsMax) return false;
    const bool catalog = place == 0;
    const auto shard = static_cast<uint16_t>(place - 1);
    log.log_id = static_cast<uint16_t>(id);
    good_ = good_ && id == (catalog ? engine::kCatalogLogId : shard) &&
            log.directory == (catalog ? std::string(engine::kCatalogDirectory)
                                      : engine::shard_directory(shard)) &&
            log.segment_bytes >= storage::kSegmentBytesMin &&
            log.segment_bytes <= storage::kSegmentBytesMax;
    to_->logs.push_back(std::move(log));
    return good_;
  }

  bool take_file(const std::vector<std::string_view>& words) {
    if (to_->logs.empty()) return false;
    CopiedLog& log = to_->logs.back();
    const auto next = static_cast<uint32_t>(log.files.size() + 1);
    const uint64_t bytes = number(words[2]);
    good_ = good_ && words[1] == storage::segment_file_name(next) && is_sha256(words[3]) &&
            bytes <= log.segment_bytes;
    log.files.push_back({std::string(words[1]), bytes, std::string(words[3])});
    return good_;
  }

  CopyManifest* to_;
  bool good_ = true;
};

}  // namespace

uint64_t CopyManifest::files() const {
  uint64_t count = 0;
  for (const CopiedLog& log : logs)
    count += log.files.size();
  return count;
}

uint64_t CopyManifest::bytes() const {
  uint64_t sum = 0;
  for (const CopiedLog& log : logs)
    for (const CopiedFile& file : log.files)
      sum += file.bytes;
  return sum;
}

std::string encode_manifest(const CopyManifest& manifest) {
  std::string text = fmt::format("{} {}\nmade-by {}\nserver-time-ms {}\n", kTitle, kManifestVersion,
                                 manifest.made_by, manifest.server_time_ms);
  for (const CopiedLog& log : manifest.logs) {
    text += fmt::format("log {} {} {} {} {} {}\n", log.directory, log.log_id, log.head, log.end,
                        log.segment_bytes, log.damaged_bytes);
    for (const CopiedFile& file : log.files)
      text += fmt::format("file {} {} {}\n", file.name, file.bytes, file.sha256);
  }
  return text + fmt::format("sha256 {}\n", hex_sha256(text));
}

bool decode_manifest(std::string_view text, CopyManifest* manifest, std::string* why) {
  *manifest = {};
  const auto wrong = [&](std::string line) {
    *why = std::move(line);
    return false;
  };
  if (!text.starts_with(kTitle)) return wrong("it is not the manifest of a copy");
  const std::string_view title = text.substr(0, text.find('\n'));
  const auto version = parse_whole(title.substr(std::min(title.size(), kTitle.size() + 1)));
  if (version && *version > kManifestVersion)
    return wrong(fmt::format("it is of version {}; this program knows up to {}", *version,
                             kManifestVersion));
  const size_t last_bytes = std::string_view("sha256 \n").size() + kHexBytes;
  if (!version || text.size() < title.size() + 1 + last_bytes)
    return wrong("it was changed since it was written");
  const std::string_view lines = text.substr(0, text.size() - last_bytes);
  if (text.substr(lines.size()) != fmt::format("sha256 {}\n", hex_sha256(lines)))
    return wrong("it was changed since it was written");
  ManifestReader reader(manifest);
  std::string_view rest = lines.substr(title.size() + 1);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size() - 1);
    if (!reader.take(rest.substr(0, end)))
      return wrong(fmt::format("it has a line that does not belong there: '{}'",
                               rest.substr(0, std::min<size_t>(end, 100))));
    rest.remove_prefix(end + 1);
  }
  if (manifest->logs.size() < 2) return wrong("it names no shard");
  return true;
}

}  // namespace millrace::tools

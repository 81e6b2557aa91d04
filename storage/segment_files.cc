#include "storage/segment_files.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::storage {
namespace {

constexpr size_t kSegmentNameBytes = 16;  // "0000002a.segment"; what is set aside has more behind

Status open_one(Disk& disk, const std::string& path, OpenMode mode, SegmentStorage& storage) {
  const Result<FileId> file = disk.open(path, mode);
  if (!file) return fail(file.error());
  storage.file = *file;
  const Result<uint64_t> size = disk.size(*file);
  if (!size) return fail(size.error());
  if (*size == 0) return {};
  const Result<Bytes> map = disk.map(*file, std::min(*size, kSegmentBytesMax));
  if (!map) return fail(map.error());
  storage.map = *map;
  return {};
}

}  // namespace

void close_segment_files(Disk& disk, std::vector<SegmentStorage>& storages) {
  for (const SegmentStorage& storage : storages) {
    if (!storage.map.empty()) disk.unmap(storage.map);
    if (storage.file != kNoFile) disk.close(storage.file);
  }
  storages.clear();
}

Status find_segment_files(Disk& disk, const std::string& directory, OpenMode mode,
                          SegmentFiles& found, std::string* message) {
  const auto refuse = [&](const std::string& path, Errc error) {
    *message = fmt::format("{}: {}", path, errc_text(error));
    close_segment_files(disk, found.storages);
    found.files.clear();
    return fail(error);
  };
  Result<std::vector<DirectoryEntry>> entries = disk.list(directory);
  if (!entries) return refuse(directory, entries.error());
  std::ranges::sort(*entries, {}, &DirectoryEntry::name);
  for (const DirectoryEntry& entry : *entries) {
    const uint32_t number =
        segment_file_number(std::string_view(entry.name).substr(0, kSegmentNameBytes));
    found.next_number = std::max(found.next_number, number + 1);
    if (number == 0 || entry.name.size() != kSegmentNameBytes) continue;
    if (!entry.regular_file) {
      found.not_files.push_back(entry.name);
      continue;
    }
    const std::string path = directory + "/" + entry.name;
    SegmentStorage& storage = found.storages.emplace_back();
    storage.number = number;
    if (const Status status = open_one(disk, path, mode, storage); !status)
      return refuse(path, status.error());
    SegmentFile& file = found.files.emplace_back();
    file.name = entry.name;
    file.number = number;
    file.reading = read_segment_header(
        storage.map.first(std::min<uint64_t>(storage.map.size(), kSegmentDataOffset)));
    file.bytes = storage.map;
    if (file.reading.state == HeaderState::valid)
      file.bytes = file.bytes.first(
          std::min<uint64_t>(file.bytes.size(), file.reading.header.segment_bytes));
  }
  return {};
}

}  // namespace millrace::storage

// segment_files: finding and mapping the segment files of a log's directory.
#pragma once

#include <string>
#include <vector>

#include "storage/disk.h"
#include "storage/recovery.h"
#include "storage/segment.h"

namespace millrace::storage {

struct SegmentFiles {
  std::vector<SegmentFile> files;
  std::vector<SegmentStorage> storages;  // of the same files, open and mapped as far as they go
  std::vector<std::string> not_files;    // named like a segment, but a link or the like
  uint32_t next_number = 1;              // above all numbers seen, also of files set aside
};

// On error everything is closed again and `message` names the file.
Status find_segment_files(Disk& disk, const std::string& directory, OpenMode mode,
                          SegmentFiles& found, std::string* message);
void close_segment_files(Disk& disk, std::vector<SegmentStorage>& storages);

}  // namespace millrace::storage

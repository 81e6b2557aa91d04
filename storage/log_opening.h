// Log::Opening: what open() found in the directory, kept until recover() has carried out the plan.
//
// Files that recovery does not hand over to the log or its pool are closed when it ends.
#pragma once

#include <optional>
#include <utility>

#include "storage/checkpoint_file.h"
#include "storage/log.h"
#include "storage/recovery.h"
#include "storage/segment_files.h"

namespace millrace::storage {

struct Log::Opening {
  explicit Opening(Disk& d) : disk(d) {}
  ~Opening() { close_segment_files(disk, found.storages); }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  // Gives file `index` away.
  SegmentStorage take(size_t index) {
    return std::exchange(found.storages[index], SegmentStorage{});
  }
  bool taken(size_t index) const { return found.storages[index].file == kNoFile; }

  Disk& disk;
  SegmentFiles found;
  std::optional<Checkpoint> checkpoint;
  RecoveryPlan plan;
};

}  // namespace millrace::storage

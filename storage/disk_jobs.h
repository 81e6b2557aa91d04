// JobRun: a Disk job as a sequence of the Disk's own blocking calls, one per step.
//
// Written once for all backends: the worker threads of the real disk run it to the end, the
// simulated disk takes a step when its scheduler says so, and so a simulated crash falls between
// the very calls that production makes. A failed job removes what it had made; after a failure at
// or past the rename of replace_file the path may hold either content.
//
// `sync` here is a plain Disk::sync: a backend that has more to do for it (cover only what was
// written before submission) takes it itself.
//
// Threads: a JobRun is used by one thread at a time; the Disk's blocking calls must be allowed on
// it. Memory: the job's content, and one static page of zeros for all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/disk.h"

namespace millrace::storage {

// Zeros are written in steps of this many bytes. A kernel that is not preemptible keeps the core
// for a whole call, and with fresh pages to be found for 2 MiB that was 10 ms of the shard's time.
inline constexpr uint64_t kPrepareStepBytes = 64u << 10;
// And synced as often as this: one sync of a whole segment would fill the device's queue, which the
// commits share, and hold the core for as long as it takes to submit.
inline constexpr uint64_t kSyncStepBytes = 2u << 20;
static_assert(kSyncStepBytes % kPrepareStepBytes == 0);

// Where replace_file gathers the new content. One left by a crash is overwritten by the next run.
std::string replacement_name(std::string_view path);

class JobRun {
 public:
  JobRun(Disk& disk, Job job);

  // Makes one call. True when the job is finished and completion() may be read.
  bool step();
  // Instead of further steps: undoes what was made and finishes with `canceled`.
  void abandon();
  const Completion& completion() const;

 private:
  enum class Stage : uint8_t {
    create,
    reserve,
    fill,
    sync_file,
    rename,
    sync_directory,
    remove_stale,
    remove_path,
    read_back,
    finished,
  };

  Stage first_stage() const;
  const std::string& made_path() const;
  Status fill();
  void advance(Stage next) { stage_ = next; }
  bool fail_with(Errc error);
  bool finish();

  Disk& disk_;
  Job job_;
  std::string replacement_;  // replace_file only
  Stage stage_;
  FileId file_ = kNoFile;
  bool made_ = false;  // made_path() is ours to remove on failure
  uint64_t filled_ = 0;
  Completion completion_;
};

// Runs the job to its end.
Completion run_job(Disk& disk, Job job);

}  // namespace millrace::storage

#include "storage/disk_jobs.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/planted.h"
#include "storage/disk_path.h"

namespace millrace::storage {
namespace {

alignas(4096) constexpr std::byte kZeros[kPrepareStepBytes] = {};

}  // namespace

std::string replacement_name(std::string_view path) {
  return std::string(path) + ".new";
}

JobRun::JobRun(Disk& disk, Job job) : disk_(disk), job_(std::move(job)) {
  if (job_.kind == JobKind::replace_file) replacement_ = replacement_name(job_.path);
  stage_ = first_stage();
  completion_ = {job_.kind, job_.token, Errc::ok, kNoFile};
  if (job_.kind == JobKind::sync || job_.kind == JobKind::read_back) completion_.file = job_.file;
}

JobRun::Stage JobRun::first_stage() const {
  switch (job_.kind) {
    case JobKind::sync:
      return Stage::sync_file;
    case JobKind::prepare_segment:
      return Stage::create;
    case JobKind::replace_file:
      return Stage::remove_stale;
    case JobKind::remove:
      return Stage::remove_path;
    case JobKind::read_back:
      return Stage::read_back;
  }
  base::assert_failed("unknown job kind", __FILE__, __LINE__);
}

const std::string& JobRun::made_path() const {
  return job_.kind == JobKind::replace_file ? replacement_ : job_.path;
}

const Completion& JobRun::completion() const {
  MR_ASSERT(stage_ == Stage::finished);
  return completion_;
}

bool JobRun::step() {
  const bool replacing = job_.kind == JobKind::replace_file;
  switch (stage_) {
    case Stage::remove_stale: {
      const Status removed = disk_.remove(replacement_);
      if (!removed && removed.error() != Errc::not_found) return fail_with(removed.error());
      advance(Stage::create);
      return false;
    }
    case Stage::create: {
      const Result<FileId> file = disk_.open(made_path(), OpenMode::create_new);
      if (!file) return fail_with(file.error());
      file_ = *file;
      made_ = true;
      advance(replacing ? Stage::fill : Stage::reserve);
      return false;
    }
    case Stage::reserve: {
      const Status reserved = disk_.reserve(file_, job_.bytes);
      if (!reserved) return fail_with(reserved.error());
      advance(job_.reserve_only ? Stage::sync_file : Stage::fill);
      return false;
    }
    case Stage::fill: {
      const Status written = fill();
      if (!written) return fail_with(written.error());
      const uint64_t total = replacing ? job_.content.size() : job_.bytes;
      if (filled_ == total) {
        advance(Stage::sync_file);
      } else if (filled_ % kSyncStepBytes == 0) {
        const Status synced = disk_.sync(file_);
        if (!synced) return fail_with(synced.error());
      }
      return false;
    }
    case Stage::sync_file: {
      const Status synced = disk_.sync(job_.kind == JobKind::sync ? job_.file : file_);
      if (!synced) return fail_with(synced.error());
      if (job_.kind == JobKind::sync) return finish();
      if (replacing) {
        disk_.close(std::exchange(file_, kNoFile));
        advance(Stage::rename);
        return false;
      }
      if (base::planted(base::Bug::directory_not_synced)) return finish();
      base::crash_here("segment-not-in-directory");
      advance(Stage::sync_directory);
      return false;
    }
    case Stage::rename: {
      base::crash_here("checkpoint-not-renamed");
      const Status renamed = disk_.rename(replacement_, job_.path);
      if (!renamed) return fail_with(renamed.error());
      base::crash_here("checkpoint-renamed");
      made_ = false;
      advance(Stage::sync_directory);
      return false;
    }
    case Stage::remove_path: {
      const Status removed = disk_.remove(job_.path);
      if (!removed) return fail_with(removed.error());
      base::crash_here("segment-removed");
      advance(Stage::sync_directory);
      return false;
    }
    case Stage::read_back: {
      const MutableBytes out(job_.into.get(), job_.bytes);
      const Result<uint64_t> read = disk_.read_back(job_.file, job_.offset, out);
      if (!read) return fail_with(read.error());
      if (*read != job_.bytes) return fail_with(Errc::io_error);
      return finish();
    }
    case Stage::sync_directory: {
      const Status synced = disk_.sync_directory(parent_of(job_.path));
      if (!synced) return fail_with(synced.error());
      return finish();
    }
    case Stage::finished:
      return true;
  }
  base::assert_failed("unknown stage", __FILE__, __LINE__);
}

Status JobRun::fill() {
  if (job_.kind == JobKind::replace_file) {
    const uint64_t bytes = std::min<uint64_t>(kPrepareStepBytes, job_.content.size() - filled_);
    const Bytes part = Bytes(job_.content).subspan(filled_, bytes);
    filled_ += bytes;
    return disk_.write(file_, filled_ - bytes, {&part, 1});
  }
  const uint64_t bytes = std::min(kPrepareStepBytes, job_.bytes - filled_);
  const Bytes part = Bytes(kZeros).first(bytes);
  filled_ += bytes;
  return disk_.write(file_, filled_ - bytes, {&part, 1});
}

void JobRun::abandon() {
  if (stage_ != Stage::finished) (void)fail_with(Errc::canceled);
}

bool JobRun::fail_with(Errc error) {
  if (file_ != kNoFile) disk_.close(std::exchange(file_, kNoFile));
  // The first error is the one to report; what cannot be removed is found at the next open.
  if (made_) (void)disk_.remove(made_path());
  completion_.error = error;
  stage_ = Stage::finished;
  return true;
}

bool JobRun::finish() {
  if (job_.kind == JobKind::prepare_segment) completion_.file = file_;
  stage_ = Stage::finished;
  return true;
}

Completion run_job(Disk& disk, Job job) {
  JobRun run(disk, std::move(job));
  while (!run.step()) {
  }
  return run.completion();
}

}  // namespace millrace::storage

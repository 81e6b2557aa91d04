#include "storage/segment_pool.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/log_line.h"
#include "base/planted.h"
#include "base/turn_trace.h"
#include "storage/segment_header.h"

namespace millrace::storage {
namespace {

constexpr int64_t kRetryMs = 100;

}  // namespace

SegmentPool::~SegmentPool() {
  const auto drop = [this](const SegmentStorage& storage) {
    if (!storage.map.empty()) disk_.unmap(storage.map);
    disk_.close(storage.file);
  };
  for (const SegmentStorage& storage : spares_)
    drop(storage);
  for (const Released& released : released_)
    drop(released.storage);
}

std::string SegmentPool::path(uint32_t number) const {
  return directory_ + "/" + segment_file_name(number);
}

void SegmentPool::add_spare(SegmentStorage storage) {
  spares_.push_back(storage);
  if (spares_.size() > reserve_) disk_full_ = false;
}

void SegmentPool::set_reserve(uint64_t files) {
  reserve_ = files;
  if (spares_.size() > reserve_) disk_full_ = false;
}

SegmentStorage SegmentPool::take() {
  MR_ASSERT(!spares_.empty());
  auto best = std::ranges::find_if(spares_, &SegmentStorage::written);
  if (best == spares_.end()) best = spares_.begin();
  const SegmentStorage storage = *best;
  spares_.erase(best);
  return storage;
}

Status SegmentPool::create(TimeMs now) {
  base::turn_step("what is before a file made on the spot");
  SegmentStorage storage;
  storage.written = false;
  storage.number = next_number_++;
  const std::string name = path(storage.number);
  const Result<FileId> file = disk_.open(name, OpenMode::create_new);
  Status status = file ? Status{} : Status{fail(file.error())};
  if (file) {
    storage.file = *file;
    status = disk_.reserve(*file, bytes_);
    if (status) status = disk_.sync(*file);
    base::crash_here("segment-made-at-once");
    if (status && !base::planted(base::Bug::directory_not_synced))
      status = disk_.sync_directory(directory_);
    if (status) {
      const Result<Bytes> map = disk_.map(*file, bytes_);
      if (map) storage.map = *map;
      status = map ? Status{} : Status{fail(map.error())};
    }
    if (!status) {
      disk_.close(*file);
      (void)disk_.remove(name);  // what is left is found by the next start
    }
  }
  base::turn_step("a file made on the spot");
  if (status) {
    add_spare(storage);
    tell(Errc::ok);
    return status;
  }
  failed(status.error(), now);
  return status;
}

void SegmentPool::failed(Errc error, TimeMs now) {
  disk_full_ = disk_full_ || error == Errc::disk_full;
  retry_at_ = now + kRetryMs;
  tell(error);
}

// Once for each turn of events, however often it is tried.
void SegmentPool::tell(Errc error) {
  if (error == told_) return;
  told_ = error;
  if (error == Errc::ok) {
    base::log_line(base::LogLevel::info, "log", "{}: segments can be made again", directory_);
  } else {
    base::log_line(base::LogLevel::warn, "log",
                   "{}: no segment can be made: {}; what needs one is refused until it can",
                   directory_, errc_text(error));
  }
}

void SegmentPool::release(SegmentStorage storage, uint64_t end) {
  released_.push_back({storage, end, 0});
}

void SegmentPool::on_mark(uint64_t mark_end, uint64_t durable) {
  for (Released& released : released_)
    if (released.named_at == 0 && durable >= released.end) released.named_at = mark_end;
}

void SegmentPool::on_durable(uint64_t durable, uint64_t token) {
  while (!released_.empty() && released_.front().named_at != 0 &&
         released_.front().named_at <= durable) {
    const SegmentStorage storage = released_.front().storage;
    released_.pop_front();
    if (storage.map.size() >= bytes_ && (storage.written || spares_.size() < reserve_)) {
      add_spare(storage);
      base::crash_here("segment-recycled");
      continue;
    }
    // Its file was cut short once, which recovery took for damage, and what would be written to it
    // now could not be read through its map. Or it was left almost unused.
    remove(storage, token);
  }
}

void SegmentPool::remove(const SegmentStorage& storage, uint64_t token) {
  base::turn_step("what is before a file removed");
  if (!storage.map.empty()) disk_.unmap(storage.map);
  disk_.close(storage.file);
  base::turn_step("unmapping a file");
  Job job{};
  job.kind = JobKind::remove;  // what is left is found by the next start
  job.token = token;
  job.path = path(storage.number);
  disk_.submit(std::move(job));
}

bool SegmentPool::wants_mark(uint64_t durable) const {
  for (const Released& released : released_)
    if (released.named_at == 0) return durable >= released.end;
  return false;
}

bool SegmentPool::wants_spare() const {
  return spares_.size() + released_.size() < reserve_ + 1;
}

void SegmentPool::prepare(uint64_t token, bool write_ahead) {
  MR_ASSERT(!preparing_);
  preparing_ = true;
  preparing_number_ = next_number_++;
  preparing_written_ = write_ahead;
  Job job{};
  job.kind = JobKind::prepare_segment;
  job.token = token;
  job.bytes = bytes_;
  job.path = path(preparing_number_);
  job.reserve_only = !write_ahead;
  disk_.submit(std::move(job));
}

void SegmentPool::on_prepared(const Completion& completion, TimeMs now) {
  preparing_ = false;
  Errc error = completion.error;
  if (error == Errc::ok) {
    const Result<Bytes> map = disk_.map(completion.file, bytes_);
    if (map) {
      add_spare({completion.file, preparing_number_, *map, preparing_written_});
      tell(Errc::ok);
      return;
    }
    error = map.error();
    disk_.close(completion.file);
  }
  failed(error, now);
}

bool SegmentPool::remove_surplus(uint64_t token, uint64_t keep, bool released_too) {
  const bool surplus = spares_.size() > keep || (released_too && spares_.size() > 1 &&
                                                 spares_.size() + released_.size() > keep);
  if (!surplus) return false;
  const SegmentStorage storage = spares_.back();
  spares_.pop_back();
  remove(storage, token);
  return true;
}

}  // namespace millrace::storage

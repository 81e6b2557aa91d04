#include "tests/sim/sim_disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "storage/disk_path.h"

namespace millrace::sim {

using storage::Completion;
using storage::DirectoryEntry;
using storage::FileId;
using storage::Job;
using storage::JobKind;
using storage::JobRun;
using storage::name_of;
using storage::OpenMode;
using storage::parent_of;

SimDisk::SimDisk(SimDiskImage& image, std::function<void()> wake)
    : image_(image), life_(image.life_), wake_(std::move(wake)) {}

SimDisk::~SimDisk() {
  if (image_.lock_holder_ == this) image_.lock_holder_ = nullptr;
  for (const auto& [address, file] : maps_)
    file->unmap(address);
}

const DiskFault* SimDisk::meets_fault(DiskCall call) {
  ++calls_[static_cast<size_t>(call)];
  const DiskFault* met = nullptr;
  for (PlannedFault& planned : faults_) {
    if (planned.fault.call != call || planned.spent) continue;
    bool now = false;
    if (planned.fault.nth == 0) {
      now = prng_.chance(planned.fault.per_million, 1'000'000);
    } else {
      if (planned.calls_left > 0) --planned.calls_left;
      now = planned.calls_left == 0;
    }
    if (!now || met != nullptr) continue;
    planned.spent = !planned.fault.for_ever;
    met = &planned.fault;
    ++faults_hit_;
  }
  return met;
}

SimDisk::OpenFile& SimDisk::find(FileId file) {
  const auto found = files_.find(static_cast<uint32_t>(file));
  MR_ASSERT(found != files_.end());
  return found->second;
}

Status SimDisk::directory_is_there(std::string_view directory) const {
  MR_ASSERT(storage::valid_disk_directory(directory));
  if (directory.empty() || image_.directories_.contains(directory)) return {};
  return fail(image_.entries_.contains(directory) ? Errc::not_a_directory : Errc::not_found);
}

Status SimDisk::make_directory(std::string_view path) {
  MR_ASSERT(storage::valid_disk_name(path));
  if (!alive()) return fail(Errc::io_error);
  if (image_.entries_.contains(path)) return fail(Errc::not_a_directory);
  image_.directories_.emplace(path);
  return {};
}

Status SimDisk::lock() {
  if (!alive()) return fail(Errc::io_error);
  if (image_.lock_holder_ != nullptr && image_.lock_holder_ != this) return fail(Errc::locked);
  image_.lock_holder_ = this;
  return {};
}

Result<std::vector<DirectoryEntry>> SimDisk::list(std::string_view directory) {
  if (!alive()) return fail(Errc::io_error);
  if (const Status there = directory_is_there(directory); !there) return fail(there.error());
  std::vector<DirectoryEntry> found;
  if (directory.empty())
    for (const std::string& name : image_.directories_)
      found.push_back({name, 0, false});
  for (const auto& [path, file] : image_.entries_)
    if (parent_of(path) == directory)
      found.push_back({std::string(name_of(path)), file->size(), file->regular()});
  std::sort(found.begin(), found.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return found;
}

Result<FileId> SimDisk::open(std::string_view path, OpenMode mode) {
  MR_ASSERT(storage::valid_disk_path(path));
  if (!alive()) return fail(Errc::io_error);
  if (const DiskFault* fault = meets_fault(DiskCall::open)) return fail(fault->error);
  if (const Status there = directory_is_there(parent_of(path)); !there) return fail(there.error());
  const auto entry = image_.entries_.find(path);
  const bool directory = image_.directories_.contains(path);
  std::shared_ptr<SimFile> file;
  if (mode == OpenMode::create_new) {
    if (directory || entry != image_.entries_.end()) return fail(Errc::already_exists);
    file = std::make_shared<SimFile>(image_.space_);
    image_.perform({.removes = {}, .adds = std::string(path), .file = file});
  } else {
    if (directory) return fail(Errc::permission_denied);
    if (entry == image_.entries_.end()) return fail(Errc::not_found);
    file = entry->second;
    if (!file->regular()) return fail(Errc::permission_denied);
  }
  const FileId id{next_file_++};
  files_.emplace(static_cast<uint32_t>(id), OpenFile{file, mode != OpenMode::read_only});
  return id;
}

void SimDisk::close(FileId file) {
  MR_ASSERT(files_.erase(static_cast<uint32_t>(file)) == 1);
}

Result<uint64_t> SimDisk::size(FileId file) {
  const OpenFile& open_file = find(file);
  if (!alive()) return fail(Errc::io_error);
  return open_file.file->size();
}

Status SimDisk::reserve(FileId file, uint64_t bytes) {
  MR_ASSERT(bytes > 0);
  const OpenFile& open_file = find(file);
  if (!alive()) return fail(Errc::io_error);
  if (const DiskFault* fault = meets_fault(DiskCall::reserve)) return fail(fault->error);
  if (!open_file.writable) return fail(Errc::io_error);
  if (!open_file.file->allocate(bytes)) return fail(Errc::disk_full);
  open_file.file->grow(image_.next_write(), bytes);
  return {};
}

Status SimDisk::write(FileId file, uint64_t offset, std::span<const Bytes> parts) {
  const OpenFile& open_file = find(file);
  if (!alive()) return fail(Errc::io_error);
  uint64_t total = 0;
  for (const Bytes part : parts)
    total += part.size();
  if (total == 0) return {};
  const DiskFault* fault = meets_fault(DiskCall::write);
  if (fault != nullptr) return fail(fault->error);
  uint64_t to_write = total;
  fault = meets_fault(DiskCall::short_write);
  if (fault != nullptr) to_write = prng_.below(total);
  if (!open_file.writable) return fail(Errc::io_error);
  if (!open_file.file->allocate(offset + total)) return fail(Errc::disk_full);
  const uint64_t write_number = image_.next_write();
  const auto rotten = rotten_.find(open_file.file.get());
  for (Bytes part : parts) {
    part = part.first(std::min<uint64_t>(part.size(), to_write));
    if (rotten != rotten_.end())
      rotten->second.erase(rotten->second.lower_bound(offset),
                           rotten->second.lower_bound(offset + part.size()));
    open_file.file->write(write_number, offset, part);
    offset += part.size();
    to_write -= part.size();
  }
  if (fault != nullptr) return fail(fault->error);
  return {};
}

Result<uint64_t> SimDisk::read(FileId file, uint64_t offset, MutableBytes out) {
  const OpenFile& open_file = find(file);
  if (!alive()) return fail(Errc::io_error);
  if (const DiskFault* fault = meets_fault(DiskCall::read)) return fail(fault->error);
  const Bytes content = open_file.file->content();
  if (offset >= content.size() || out.empty()) return uint64_t{0};
  const uint64_t bytes = std::min<uint64_t>(out.size(), content.size() - offset);
  std::memcpy(out.data(), content.data() + offset, bytes);
  return bytes;
}

Result<uint64_t> SimDisk::read_back(FileId file, uint64_t offset, MutableBytes out) {
  const auto open_file = files_.find(static_cast<uint32_t>(file));
  if (open_file == files_.end()) return fail(Errc::canceled);
  const Result<uint64_t> bytes = read(file, offset, out);
  if (!bytes) return bytes;
  const auto rotten = rotten_.find(open_file->second.file.get());
  if (rotten == rotten_.end()) return bytes;
  for (auto at = rotten->second.lower_bound(offset);
       at != rotten->second.end() && *at < offset + *bytes; ++at)
    out[*at - offset] ^= std::byte{0x10};
  return bytes;
}

void SimDisk::rot(std::string_view path, uint64_t offset) {
  const auto entry = image_.entries_.find(path);
  MR_ASSERT(entry != image_.entries_.end());
  rotten_[entry->second.get()].insert(offset);
}

Result<Bytes> SimDisk::map(FileId file, uint64_t bytes) {
  MR_ASSERT(bytes > 0);
  const OpenFile& open_file = find(file);
  if (!alive()) return fail(Errc::io_error);
  if (const DiskFault* fault = meets_fault(DiskCall::map)) return fail(fault->error);
  if (open_file.file->size() < bytes) return fail(Errc::io_error);
  const Bytes mapped = open_file.file->map(bytes);
  maps_.emplace(mapped.data(), open_file.file);
  return mapped;
}

void SimDisk::unmap(Bytes mapping) {
  const auto found = maps_.find(mapping.data());
  MR_ASSERT(found != maps_.end());
  found->second->unmap(mapping.data());
  maps_.erase(found);
}

Status SimDisk::sync_up_to(const std::shared_ptr<SimFile>& file, uint64_t last_write) {
  drop_pages_of(file.get());  // no later sync makes them durable
  const DiskFault* fault = meets_fault(DiskCall::sync);
  const bool report_late = failed_late_.erase(file.get()) > 0;
  if (fault != nullptr) {
    if (fault->late_report && fault->pages_stay && fault->sync_failure == SyncFailure::reverts)
      lost_pages_.push_back({file, last_write});
    else
      file->fail_sync(last_write, fault->sync_failure);
    if (!fault->late_report) return fail(fault->error);
    failed_late_.insert(file.get());
    ++lies_told_;
  } else {
    file->sync(last_write);
  }
  if (report_late) return fail(Errc::io_error);
  return {};
}

void SimDisk::drop_pages_of(const SimFile* file) {
  std::erase_if(lost_pages_, [&](const LostPages& lost) {
    if (file != nullptr && lost.file.get() != file) return false;
    lost.file->fail_sync(lost.last_write, SyncFailure::reverts);
    return true;
  });
}

Status SimDisk::sync(FileId file) {
  OpenFile& open_file = find(file);
  if (!alive()) return fail(Errc::io_error);
  return sync_up_to(open_file.file, image_.writes_);
}

Status SimDisk::sync_directory(std::string_view directory) {
  if (!alive()) return fail(Errc::io_error);
  if (const DiskFault* fault = meets_fault(DiskCall::sync_directory)) return fail(fault->error);
  if (const Status there = directory_is_there(directory); !there) return there;
  image_.sync_directory(directory);
  return {};
}

Status SimDisk::rename(std::string_view from, std::string_view to) {
  MR_ASSERT(storage::valid_disk_path(from) && storage::valid_disk_path(to));
  if (!alive()) return fail(Errc::io_error);
  if (const DiskFault* fault = meets_fault(DiskCall::rename)) return fail(fault->error);
  if (const Status there = directory_is_there(parent_of(from)); !there) return there;
  if (const Status there = directory_is_there(parent_of(to)); !there) return there;
  const auto entry = image_.entries_.find(from);
  if (entry == image_.entries_.end()) return fail(Errc::not_found);
  if (image_.directories_.contains(to)) return fail(Errc::permission_denied);
  image_.perform({.removes = std::string(from), .adds = std::string(to), .file = entry->second});
  return {};
}

Status SimDisk::remove(std::string_view path) {
  MR_ASSERT(storage::valid_disk_path(path));
  if (!alive()) return fail(Errc::io_error);
  if (const DiskFault* fault = meets_fault(DiskCall::remove)) return fail(fault->error);
  if (const Status there = directory_is_there(parent_of(path)); !there) return there;
  const auto entry = image_.entries_.find(path);
  if (entry == image_.entries_.end()) return fail(Errc::not_found);
  image_.perform({.removes = std::string(path), .adds = {}, .file = entry->second});
  return {};
}

Result<uint64_t> SimDisk::free_bytes() {
  if (!alive()) return fail(Errc::io_error);
  (void)step_jobs(prng_);  // calls take time, in which jobs go on
  const SimSpace& space = *image_.space_;
  return space.used >= space.capacity ? 0 : space.capacity - space.used;
}

void SimDisk::submit(Job job) {
  std::deque<JobUnderWay>& jobs = jobs_[static_cast<size_t>(job.kind)];
  if (job.kind == JobKind::sync)
    jobs.push_back({.sync = std::move(job), .last_write = image_.writes_, .run = nullptr});
  else
    jobs.push_back(
        {.sync = {}, .last_write = 0, .run = std::make_unique<JobRun>(*this, std::move(job))});
}

void SimDisk::finish(JobKind kind) {
  std::deque<JobUnderWay>& jobs = jobs_[static_cast<size_t>(kind)];
  while (!jobs.empty())
    step(jobs);
}

size_t SimDisk::reap(std::span<Completion> out) {
  const size_t count = std::min(out.size(), done_.size());
  std::copy_n(done_.begin(), count, out.begin());
  done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

size_t SimDisk::jobs_under_way() const {
  size_t count = 0;
  for (const auto& jobs : jobs_)
    count += jobs.size();
  return count;
}

std::deque<SimDisk::JobUnderWay>* SimDisk::pick(base::Prng& prng) {
  std::array<std::deque<JobUnderWay>*, storage::kJobKinds> some{};
  size_t count = 0;
  for (auto& jobs : jobs_)
    if (!jobs.empty()) some[count++] = &jobs;
  return count == 0 ? nullptr : some[prng.below(count)];
}

bool SimDisk::step_jobs(base::Prng& prng) {
  std::deque<JobUnderWay>* jobs = pick(prng);
  if (jobs == nullptr) return false;
  (void)step(*jobs);
  return true;
}

bool SimDisk::complete_one(base::Prng& prng) {
  std::deque<JobUnderWay>* jobs = pick(prng);
  if (jobs == nullptr) return false;
  while (!step(*jobs)) {
  }
  return true;
}

// One call of the first of `jobs`; true if that finished it.
bool SimDisk::step(std::deque<JobUnderWay>& jobs) {
  JobUnderWay& job = jobs.front();
  Completion completion{};
  if (job.run != nullptr) {
    if (!job.run->step()) return false;
    completion = job.run->completion();
  } else {
    completion = {JobKind::sync, job.sync.token, Errc::canceled, job.sync.file};
    const auto open_file = files_.find(static_cast<uint32_t>(job.sync.file));
    if (open_file != files_.end())
      completion.error =
          alive() ? sync_up_to(open_file->second.file, job.last_write).error() : Errc::io_error;
  }
  jobs.pop_front();
  complete(completion);
  return true;
}

void SimDisk::complete(const Completion& completion) {
  done_.push_back(completion);
  if (done_.size() == 1 && wake_) wake_();
}

}  // namespace millrace::sim

// Opening a log: carrying out what storage/recovery.h decided.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/crash_point.h"
#include "base/log_line.h"
#include "storage/checkpoint_file.h"
#include "storage/log.h"
#include "storage/log_opening.h"
#include "storage/segment_header.h"

namespace millrace::storage {
namespace {

constexpr size_t kQuarantineRangesMax = 1000;
constexpr uint64_t kRehomeBatchBytes = 1u << 20;
constexpr uint64_t kSparesLeftByRehoming = 2;  // and one for each 64 segments: the reserve

Status write_file(Disk& disk, const std::string& path, Bytes content) {
  Result<FileId> file = disk.open(path, OpenMode::create_new);
  // One that is there is of a start before this one, which may not have come to its end.
  if (!file && file.error() == Errc::already_exists) file = disk.open(path, OpenMode::read_write);
  if (!file) return fail(file.error());
  const Bytes parts[] = {content};
  Status status = disk.write(*file, 0, parts);
  if (status) status = disk.sync(*file);
  disk.close(*file);
  return status;
}

Status write_zeros(Disk& disk, FileId file, uint64_t offset, uint64_t bytes) {
  const std::vector<std::byte> zeros(std::min(bytes, kRehomeBatchBytes));
  for (uint64_t done = 0; done < bytes; done += zeros.size()) {
    const Bytes parts[] = {Bytes(zeros).first(std::min<uint64_t>(zeros.size(), bytes - done))};
    if (const Status status = disk.write(file, offset + done, parts); !status) return status;
  }
  return disk.sync(file);
}

}  // namespace

Result<std::unique_ptr<Log>> Log::open(Disk& disk, const LogOptions& options,
                                       std::string* message) {
  std::unique_ptr<Log> log(new Log(disk, options));
  std::string text;
  const Status status = log->read_directory(&text);
  if (message != nullptr) *message = text;
  if (!status) return fail(status.error());
  return log;
}

Status Log::read_directory(std::string* message) {
  const std::string& directory = options_.directory;
  if (const Status made = disk_.make_directory(directory); !made) {
    *message = fmt::format("{}: {}", directory, errc_text(made.error()));
    return made;
  }
  opening_ = std::make_unique<Opening>(disk_);
  SegmentFiles& found = opening_->found;
  const Status status = find_segment_files(disk_, directory, OpenMode::read_write, found, message);
  if (!status) return status;
  for (const std::string& name : found.not_files)
    base::log_line(base::LogLevel::warn, "log", "{}/{} is not a regular file: ignored", directory,
                   name);

  opening_->checkpoint = read_checkpoint(disk_, directory, options_.log_id);
  RecoveryPlan& plan = opening_->plan;
  plan =
      plan_recovery(found.files, options_.log_id, durable_hint(opening_->checkpoint, found.files));
  if (plan.error != Errc::ok) {
    *message = fmt::format("{}: {}", directory, plan.message);
    return fail(plan.error);
  }
  segment_bytes_ = plan.segment_bytes != 0 ? plan.segment_bytes : options_.segment_bytes;
  MR_ASSERT(std::has_single_bit(segment_bytes_) && segment_bytes_ >= kSegmentBytesMin &&
            segment_bytes_ <= kSegmentBytesMax);
  segment_shift_ = static_cast<uint32_t>(std::countr_zero(segment_bytes_));
  newest_sequence_ = plan.newest_sequence;
  head_position_ = plan.segments.empty()
                       ? (newest_sequence_ + 1) * segment_bytes_ + kSegmentDataOffset
                       : found.files[plan.segments.front().file].view().start + kSegmentDataOffset;
  return {};
}

void Log::fence_corrupt(Position position) {
  if (fenced_) return;
  (void)fence(Errc::corrupt);
  base::log_line(base::LogLevel::error, "log",
                 "{}: the bytes at position {} are not what was written there; nothing more is "
                 "acknowledged, the next start verifies all",
                 options_.directory, position.value);
  if (disk_.remove(options_.directory + "/" + kCheckpointFile))
    (void)disk_.sync_directory(options_.directory);
}

std::optional<std::pair<Position, std::vector<std::byte>>> Log::load_checkpoint() {
  MR_ASSERT(opening_ != nullptr);
  std::optional<Checkpoint>& checkpoint = opening_->checkpoint;
  const RecoveryPlan& plan = opening_->plan;
  if (!checkpoint || checkpoint->position < head_position_ || checkpoint->position > plan.durable)
    return std::nullopt;
  // What it says lies there may be damaged since: what is left is told by the records.
  for (const SurvivingSegment& segment : plan.segments)
    if (!segment.damaged.empty() && segment.damaged.front().begin < checkpoint->position)
      return std::nullopt;
  for (const SurvivingSegment& segment : plan.segments) {
    const SegmentFile& file = opening_->found.files[segment.file];
    if (file.reading.header.sequence == (checkpoint->position - 1) / segment_bytes_ &&
        file.reading.header.generation == checkpoint->generation &&
        checkpoint->position <= segment.end)
      return std::pair{Position{checkpoint->position}, std::move(checkpoint->state)};
  }
  return std::nullopt;
}

std::vector<ByteRange> Log::surviving() const {
  MR_ASSERT(opening_ != nullptr);
  std::vector<ByteRange> ranges;
  for (const SurvivingSegment& segment : opening_->plan.segments)
    ranges.push_back(
        {opening_->found.files[segment.file].view().start + kSegmentDataOffset, segment.end});
  return ranges;
}

Result<RecoveryReport> Log::recover(Position from, ReplaySink& sink, TimeMs now) {
  MR_ASSERT(opening_ != nullptr);
  MR_ASSERT(from.value >= head_position_);
  const RecoveryPlan& plan = opening_->plan;
  now_ = std::max(now, plan.last_server_time);

  RecoveryReport report;
  report.created = plan.segments.empty();
  report.segments = plan.segments.size();
  report.torn_bytes_cut = plan.torn_bytes;
  report.last_server_time = plan.last_server_time;
  report.clean_shutdown = plan.clean_mark.has_value();
  for (const SurvivingSegment& segment : plan.segments)
    for (const ByteRange& range : segment.damaged) {
      ++report.damaged_ranges;
      report.damaged_bytes += range.bytes();
    }

  if (const Status status = set_aside_damage(); !status) return fail(status.error());
  if (const Status status = prepare_pool(); !status) return fail(status.error());
  in_place_ = plan.clean_mark || !may_rehome();
  adopt_segments();
  for (const Segment* segment = segments_.head(); segment != nullptr;
       segment = segments_.at_or_after(segment->sequence + 1))
    replay(*segment, std::max(from.value, segment->data_begin()), segment->end, sink, report);
  base::crash_here("recovery-replayed");
  const Status status = plan.clean_mark ? reopen_in_place()
                        : in_place_     ? confirm_in_place()
                                        : rehome(from.value, sink, report);
  if (!status) return fail(fenced_ ? fence_reason_ : status.error());
  base::crash_here("recovery-committed");
  hand_over_files();

  head_position_ = segments_.head()->data_begin();
  last_mark_durable_ = durable_;
  last_mark_had_records_ = false;
  idle_since_ = now_;
  unsynced_since_ = kNever;
  pool_->set_reserve(reserve_files());
  note_free_space();
  bytes_written_ = 0;
  if (options_.scrub_period_ms != 0)
    scrubber_.emplace(disk_, options_.directory, segment_bytes_, options_.scrub_period_ms, now_);
  opening_.reset();
  return report;
}

// Copies damaged bytes to files of their own, and renames files whose header is gone.
Status Log::set_aside_damage() {
  const RecoveryPlan& plan = opening_->plan;
  const std::string& directory = options_.directory;
  size_t ranges = 0;
  for (const SurvivingSegment& segment : plan.segments) {
    const SegmentFile& file = opening_->found.files[segment.file];
    for (const ByteRange& range : segment.damaged) {
      if (++ranges > kQuarantineRangesMax) break;
      const uint64_t begin = std::min<uint64_t>(range.begin - file.view().start, file.bytes.size());
      const uint64_t bytes = std::min<uint64_t>(range.bytes(), file.bytes.size() - begin);
      const std::string path = fmt::format("{}/quarantine-{:016x}", directory, range.begin);
      const Status status = write_file(disk_, path, file.bytes.subspan(begin, bytes));
      base::log_line(base::LogLevel::warn, "log", "{}/{}: {} bytes at position {} are damaged{}",
                     directory, file.name, range.bytes(), range.begin,
                     status ? ", copied to quarantine" : "");
      // Without room for the copy the bytes stay where they are until their segment is freed.
      if (!status && status.error() != Errc::disk_full) return status;
    }
  }
  for (const size_t index : plan.unread) {
    const std::string path = directory + "/" + opening_->found.files[index].name;
    base::log_line(base::LogLevel::warn, "log", "{}: both headers are unreadable, set aside", path);
    if (const Status status = disk_.rename(path, path + ".unreadable"); !status) return status;
  }
  if (ranges > 0 || !plan.unread.empty()) return disk_.sync_directory(directory);
  return {};
}

// Which files may be overwritten by the re-homing itself: blank ones, and those an earlier
// recovery cut off. The latter only once the header that cut them is on stable storage for sure,
// which one read from the page cache may not be: it is written again and synced.
Status Log::prepare_pool() {
  SegmentFiles& found = opening_->found;
  const RecoveryPlan& plan = opening_->plan;
  pool_ = std::make_unique<SegmentPool>(disk_, options_.directory, segment_bytes_);
  pool_->set_next_number(found.next_number);
  if (!plan.dead.empty() && plan.newest) {
    SegmentHeader header = found.files[*plan.newest].reading.header;
    const std::vector<std::byte> pages = segment_header_pages(header);
    const Bytes parts[] = {pages};
    const FileId file = found.storages[*plan.newest].file;
    Status status = disk_.write(file, 0, parts);
    if (status) status = disk_.sync(file);
    if (status) status = disk_.sync_directory(options_.directory);
    if (!status) return status;
    base::crash_here("recovery-cut-confirmed");
  }
  for (size_t i = 0; i < found.files.size(); ++i)
    if (found.files[i].reading.state == HeaderState::blank || std::ranges::count(plan.dead, i) != 0)
      give_to_pool(i);
  return {};
}

void Log::give_to_pool(size_t index) {
  const SegmentFile& file = opening_->found.files[index];
  if (file.bytes.size() >= segment_bytes_) {
    pool_->add_spare(opening_->take(index));
  } else if (file.reading.state == HeaderState::blank) {
    // Its preparation was interrupted.
    (void)disk_.remove(options_.directory + "/" + file.name);
  }
}

// Takes over the segments that stay: all with durable data, up to where it ends; in place, all that
// survive.
void Log::adopt_segments() {
  const RecoveryPlan& plan = opening_->plan;
  const uint64_t keep = in_place_ ? plan.end : plan.durable;
  for (const SurvivingSegment& surviving : plan.segments) {
    const SegmentFile& file = opening_->found.files[surviving.file];
    const SegmentView view = file.view();
    if (view.start + kSegmentDataOffset >= keep) break;
    auto segment = std::make_unique<Segment>();
    segment->storage = opening_->take(surviving.file);
    segment->sequence = view.sequence;
    segment->generation = view.generation;
    segment->start = view.start;
    segment->end = std::min(surviving.end, keep);
    segment->damaged = surviving.damaged;
    active_ = segments_.add(std::move(segment));
  }
  written_ = active_ != nullptr ? active_->end : 0;
  chain_ = in_place_ ? plan.end_chain : plan.durable_chain;
  durable_ = active_ != nullptr ? plan.durable : 0;
}

// Everything there was verified by the scan or is in `damaged`.
void Log::replay(const Segment& segment, uint64_t from, uint64_t to, ReplaySink& sink,
                 RecoveryReport& report) {
  const SegmentView view = segment.view();
  auto damaged = segment.damaged.begin();
  for (uint64_t at = from; at < to;) {
    while (damaged != segment.damaged.end() && damaged->end <= at)
      ++damaged;
    if (damaged != segment.damaged.end() && damaged->begin <= at) {
      at = damaged->end;
      continue;
    }
    const std::optional<Record> record = record_at(view, at - view.start, to - view.start);
    MR_ASSERT(record.has_value());
    at = record->end().value;
    if (record->kind >= kReservedKinds) continue;
    ++report.records;
    report.bytes += record->body.size();
    largest_record_ = std::max(largest_record_, record->end() - record->position);
    sink.on_record(*record);
  }
}

// After a clean shutdown all is durable, and nothing was ever written behind the last mark. The
// mark itself is written again, for its sync is the one whose success nobody recorded. Then another
// mark says that the log is open: a power loss that takes all that this life writes must not leave
// the clean mark as the last word.
Status Log::reopen_in_place() {
  const uint64_t offset = *opening_->plan.clean_mark - active_->start;
  const Bytes mark = active_->storage.map.subspan(offset, kMarkRecordBytes);
  const std::vector<std::byte> copy(mark.begin(), mark.end());
  const Bytes parts[] = {copy};
  Status status = disk_.write(active_->storage.file, offset, parts);
  if (status) status = disk_.sync(active_->storage.file);
  // The name of a spare whose preparation the stop interrupted may not be durable yet.
  if (status) status = disk_.sync_directory(options_.directory);
  if (!status) return status;
  base::crash_here("reopen-confirmed");
  durable_ = written_;
  batch_.begin_batch(active_->generation, active_->start, written_);
  status = write_gathered(now_, kMarkWatermarkOnly);
  if (status) status = sync_all(now_);
  return status;
}

// Re-homing takes files that a full disk does not give back before the log was cleaned to its end:
// some starts after one another would leave nothing for cleaning.
bool Log::may_rehome() const {
  const RecoveryPlan& plan = opening_->plan;
  if (plan.segments.empty()) return true;
  const SegmentFile& last = opening_->found.files[plan.segments.back().file];
  if (last.bytes.size() < segment_bytes_) return true;  // cut short: nothing can be added to it
  uint64_t wanted = kSparesLeftByRehoming + plan.segments.size() / 64;
  for (const SurvivingSegment& surviving : plan.segments)
    if (surviving.end > plan.durable) ++wanted;
  if (pool_->spares() >= wanted) return true;
  const uint64_t missing = wanted - pool_->spares();
  const uint64_t files = plan.segments.size() + wanted;
  if (files > options_.disk_bytes_max / segment_bytes_) return false;
  const Result<uint64_t> available = disk_.free_bytes();
  return available && *available / segment_bytes_ >= missing;
}

// Where re-homing finds no room: makes what survives durable where it lies, by writing the same
// bytes again and syncing them. Each sector then is what it was or what it is read as, so a
// recovery that is killed, or loses power, leaves what it found. What was cut off is made to be
// gone before anything is appended, so that the log is as if it had never been written further.
Status Log::confirm_in_place() {
  const RecoveryPlan& plan = opening_->plan;
  for (const SurvivingSegment& surviving : plan.segments) {
    const bool last = &surviving == &plan.segments.back();
    if (surviving.end <= plan.durable && !last) continue;
    const SegmentFile& file = opening_->found.files[surviving.file];
    SegmentHeader header = file.reading.header;
    if (last) header.flags = 0;  // what it announced may be among what was cut off
    const Segment* segment = segments_.find(header.sequence);
    MR_ASSERT(segment != nullptr);
    if (const Status status = write_again(*segment, header, plan.durable); !status) return status;
  }
  if (const Status status = disk_.sync_directory(options_.directory); !status) return status;
  durable_ = written_;
  batch_.begin_batch(active_->generation, active_->start, written_);
  // The mark comes first: that all before it was durable may stand nowhere else but in what is cut
  // off. Where it does not fit, nothing was cut off.
  if (mark_fits()) {
    Status status = write_gathered(now_, kMarkWatermarkOnly);
    if (status) status = sync_all(now_);
    if (!status) return status;
  }
  for (const size_t index : plan.cut) {
    const FileId file = opening_->found.storages[index].file;
    if (const Status status = write_zeros(disk_, file, 0, kSegmentDataOffset); !status)
      return status;
  }
  return write_zeros(disk_, active_->storage.file, written_ - active_->start,
                     active_->start + segment_bytes_ - written_);
}

Status Log::write_again(const Segment& segment, SegmentHeader header, uint64_t from) {
  const FileId file = segment.storage.file;
  const std::vector<std::byte> pages = segment_header_pages(header);
  const Bytes header_parts[] = {pages};
  if (const Status status = disk_.write(file, 0, header_parts); !status) return status;
  uint64_t at = std::max(from, segment.data_begin());
  while (at < segment.end) {
    const uint64_t bytes = std::min(kRehomeBatchBytes, segment.end - at);
    const Bytes source = segment.storage.map.subspan(at - segment.start, bytes);
    const std::vector<std::byte> copy(source.begin(), source.end());
    const Bytes parts[] = {copy};
    if (const Status status = disk_.write(file, at - segment.start, parts); !status) return status;
    at += bytes;
  }
  return disk_.sync(file);
}

// Appends what lies past the last durable position to fresh segments. Their data is synced before
// a header is written, and the last header commits them all: until then a recovery finds the old
// segments as they were.
Status Log::rehome(uint64_t from, ReplaySink& sink, RecoveryReport& report) {
  const RecoveryPlan& plan = opening_->plan;
  rehoming_ = true;
  const uint64_t first = newest_sequence_ + 1;
  if (pool_->spares() == 0)
    if (const Status made = pool_->create(now_); !made) return made;
  if (const Status status = begin_segment(pool_->take(), now_); !status) return status;
  for (const SurvivingSegment& surviving : plan.segments) {
    if (surviving.end <= plan.durable) continue;
    const SegmentFile& file = opening_->found.files[surviving.file];
    const SegmentView view = file.view();
    const uint64_t begin =
        std::max({from, plan.durable, view.start + kSegmentDataOffset}) - view.start;
    const Status status = rehome_records(view, begin, surviving.end - view.start, report);
    if (!status) return status;
    base::crash_here("recovery-tail-copied");
  }
  // At least one mark: it names the head, also when nothing was left to copy.
  if (batch_.size() == 0 && !mark_fits()) {
    if (const Status status = make_room(0, Space::cleans); !status) return status;
  }
  if (const Status status = write_gathered(now_, batch_.size() == 0 ? kMarkWatermarkOnly : 0);
      !status)
    return status;
  if (const Status status = commit_fresh_segments(); !status) return status;
  rehoming_ = false;
  durable_ = written_;
  for (const Segment* segment = segments_.at_or_after(first); segment != nullptr;
       segment = segments_.at_or_after(segment->sequence + 1))
    replay(*segment, segment->data_begin(), segment->end, sink, report);
  return {};
}

Status Log::rehome_records(const SegmentView& source, uint64_t begin, uint64_t end,
                           RecoveryReport& report) {
  for (uint64_t at = begin; at < end;) {
    const std::optional<Record> record = record_at(source, at, end);
    MR_ASSERT(record.has_value());
    at += record->end() - record->position;
    if (record->kind >= kReservedKinds) continue;
    const Bytes parts[] = {record->body};
    const Result<Position> position = append(record->kind, parts, Space::cleans);
    if (!position) return fail(position.error());
    report.bytes_rehomed += record->body.size();
    if (batch_.size() < kRehomeBatchBytes) continue;
    if (const Status status = write_gathered(now_, 0); !status) return status;
  }
  return {};
}

Status Log::commit_fresh_segments() {
  for (const FreshSegment& fresh : fresh_)
    if (const Status status = disk_.sync(fresh.file); !status) return status;
  if (const Status status = disk_.sync_directory(options_.directory); !status) return status;
  for (FreshSegment& fresh : fresh_) {
    if (&fresh != &fresh_.back()) fresh.header.flags = kSegmentContinues;
    const std::vector<std::byte> pages = segment_header_pages(fresh.header);
    const Bytes parts[] = {pages};
    base::crash_here("recovery-tail-not-committed");
    Status status = disk_.write(fresh.file, 0, parts);
    base::crash_here("recovery-tail-not-synced");
    if (status) status = disk_.sync(fresh.file);
    if (!status) return status;
  }
  fresh_.clear();
  return {};
}

// Now nothing needs the files any more that were freed before, cut off, or re-homed as a whole.
void Log::hand_over_files() {
  const RecoveryPlan& plan = opening_->plan;
  for (const SurvivingSegment& segment : plan.segments)
    if (!opening_->taken(segment.file)) give_to_pool(segment.file);
  for (const size_t index : plan.cut)
    give_to_pool(index);
  for (const size_t index : plan.freed)
    give_to_pool(index);
}

}  // namespace millrace::storage

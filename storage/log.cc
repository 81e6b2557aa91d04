#include "storage/log.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/crash_point.h"
#include "base/hash.h"
#include "base/planted.h"
#include "base/turn_trace.h"
#include "storage/checkpoint_file.h"
#include "storage/log_opening.h"
#include "storage/segment_header.h"

namespace millrace::storage {
namespace {

constexpr int64_t kIdleMs = 10;              // before a watermark-only mark
constexpr int64_t kBackgroundSyncMs = 1000;  // Durability::none
// Written faster than this, a log's next segments are not written once ahead: the zeros take half
// of the device and of a core from the traffic, whose commits are then so large that they gain
// nothing.
constexpr uint64_t kWriteAheadBytesPerMs = 16u << 10;
constexpr uint32_t kTokenLogShift = 48;
constexpr uint32_t kTokenTypeShift = 40;

}  // namespace

Log::Log(Disk& disk, const LogOptions& options) : disk_(disk), options_(options) {
  unsynced_since_ = kNever;
}

Log::~Log() {
  end_copy();
  for (const Segment* segment = segments_.head(); segment != nullptr;
       segment = segments_.at_or_after(segment->sequence + 1)) {
    disk_.unmap(segment->storage.map);
    disk_.close(segment->storage.file);
  }
}

// --- appending ---

Result<Position> Log::begin_record(uint16_t kind, uint64_t body_bytes, Space space,
                                   std::byte** body, uint64_t spread) {
  MR_ASSERT(kind < kReservedKinds);
  MR_ASSERT(body_bytes <= body_bytes_max());
  MR_ASSERT(active_ != nullptr);
  // A closed log too: while a broker stops, an answer can lead to one more request.
  if (fenced_ || closed_) return fail(Errc::shard_fenced);
  if (const Status status = make_room(record_stride(body_bytes), space, spread); !status)
    return fail(status.error());
  if (space != Space::leases && space != Space::frees)
    largest_record_ = std::max(largest_record_, sizeof(RecordHeader) + body_bytes);
  const Position position = end();
  *body = batch_.begin_record(kind, body_bytes);
  return position;
}

void Log::seal_record() {
  batch_.seal();
}

Result<Position> Log::append(uint16_t kind, std::span<const Bytes> parts, Space space) {
  uint64_t bytes = 0;
  for (const Bytes& part : parts)
    bytes += part.size();
  std::byte* body = nullptr;
  const Result<Position> position = begin_record(kind, bytes, space, &body);
  if (!position) return position;
  for (const Bytes& part : parts) {
    if (part.empty()) continue;
    std::memcpy(body, part.data(), part.size());
    body += part.size();
  }
  seal_record();
  return position;
}

Status Log::write_batch(TimeMs now) {
  now_ = std::max(now_, now);
  if (fenced_) return fail(Errc::shard_fenced);
  if (batch_.size() == 0) return {};
  return write_gathered(now_, 0);
}

Status Log::write_gathered(TimeMs now, uint32_t flags) {
  MR_ASSERT(!batch_.record_open());
  last_mark_had_records_ = batch_.records() > 0;
  CommitMark mark{};
  mark.flags = flags;
  mark.server_time_ms = now.value;
  mark.durable = durable_;
  mark.head_sequence = segments_.head()->sequence;
  mark.sequence = active_->sequence;
  mark.generation = active_->generation;
  const uint64_t chain = batch_.close(mark, chain_);
  const Bytes parts[] = {batch_.bytes()};
  base::turn_step("gathering a batch");
  base::crash_here("before-write");
  if (const Status status = disk_.write(active_->storage.file, written_ - active_->start, parts);
      !status)
    return fence(status.error());
  base::turn_step("writing it");
  base::crash_here("after-write");
  written_ += batch_.size();
  MR_ASSERT(written_ - active_->start <= segment_bytes_);
  active_->end = written_;
  chain_ = chain;
  bytes_written_ += batch_.size();
  rate_.add(batch_.size(), now);
  batch_.clear();
  batch_.begin_batch(active_->generation, active_->start, written_);
  last_mark_durable_ = durable_;
  last_mark_head_ = mark.head_sequence;
  pool_->on_mark(written_, durable_);
  unsynced_since_ = std::min(unsynced_since_, now);
  idle_since_ = now;
  return {};
}

bool Log::mark_fits() const {
  return written_ - active_->start + kMarkRecordBytes <= segment_bytes_;
}

Status Log::fence(Errc reason) {
  fenced_ = true;
  fence_reason_ = reason;
  batch_.clear();
  return fail(Errc::shard_fenced);
}

// --- segments ---

uint64_t Log::next_generation(uint64_t sequence) {
  return base::mix(options_.entropy, base::mix(sequence, ++generations_));
}

Status Log::begin_segment(const SegmentStorage& storage, TimeMs now) {
  auto segment = std::make_unique<Segment>();
  segment->storage = storage;
  segment->sequence = ++newest_sequence_;
  segment->generation = next_generation(segment->sequence);
  segment->start = segment->sequence * segment_bytes_;
  segment->end = segment->data_begin();

  SegmentHeader header{};
  header.log_id = options_.log_id;
  header.segment_bytes = segment_bytes_;
  header.sequence = segment->sequence;
  header.generation = segment->generation;
  if (active_ != nullptr) {
    header.previous_sequence = active_->sequence;
    header.previous_end = active_->end;
  }
  header.previous_chain = chain_;
  header.head_sequence =
      segments_.head() != nullptr ? segments_.head()->sequence : segment->sequence;
  header.durable = durable_;
  header.created_ms = now.value;
  if (rehoming_) {
    fresh_.push_back({storage.file, header});
  } else {
    // Not synced by itself: the first sync of this file covers it, and nothing in the file is
    // called durable before that.
    const std::vector<std::byte> pages = segment_header_pages(header);
    const Bytes parts[] = {pages};
    if (const Status status = disk_.write(storage.file, 0, parts); !status) {
      pool_->add_spare(storage);
      return fence(status.error());
    }
    bytes_written_ += pages.size();
    base::turn_step("beginning a segment");
    base::crash_here("segment-header-written");
  }
  active_ = segments_.add(std::move(segment));
  written_ = active_->end;
  batch_.begin_batch(active_->generation, active_->start, written_);
  return {};
}

// --- syncs and other jobs ---

uint64_t Log::next_token(JobType type) {
  return (uint64_t{options_.log_id} + 1) << kTokenLogShift |
         uint64_t{static_cast<uint8_t>(type)} << kTokenTypeShift |
         (++tokens_ & ((uint64_t{1} << kTokenTypeShift) - 1));
}

bool Log::owns_token(uint64_t token) const {
  return token >> kTokenLogShift == uint64_t{options_.log_id} + 1;
}

const Segment* Log::next_unsynced() const {
  if (durable_ == written_) return nullptr;
  // A durable position at a segment's very end belongs to that segment, not to the next.
  const Segment* segment = segments_.at_or_after((durable_ - 1) >> segment_shift_);
  while (segment != active_ && segment->end <= durable_)
    segment = segments_.at_or_after(segment->sequence + 1);
  return segment;
}

void Log::sync_through(Position position) {
  MR_ASSERT(position.value <= written_);
  sync_through_ = std::max(sync_through_, position.value);
}

bool Log::sync_wanted(TimeMs now) const {
  if (sync_in_flight() || durable_ == written_) return false;
  if (options_.durability == Durability::commit || durable_ < sync_through_) return true;
  if (unsynced_since_ == kNever) return false;
  if (options_.durability == Durability::interval)
    return now - unsynced_since_ >= options_.interval_ms;
  return now - unsynced_since_ >= kBackgroundSyncMs || next_unsynced() != active_;
}

void Log::submit_sync() {
  // Segments in order, one at a time: nothing in a segment is durable before all of the one before
  // it is. The target is what is written now; what comes later waits for the next sync.
  const Segment* segment = next_unsynced();
  base::crash_here("before-sync");
  sync_token_ = next_token(JobType::sync);
  sync_target_ = segment->end;
  sync_file_ = segment->storage.file;
  if (segment == active_) unsynced_since_ = kNever;
  Job job{};
  job.kind = JobKind::sync;
  job.token = sync_token_;
  job.offset = std::max(durable_, segment->start) - segment->start;
  job.bytes = segment->end - segment->start - job.offset;
  job.file = sync_file_;
  disk_.submit(std::move(job));
}

void Log::on_sync(const Completion& completion, TimeMs now) {
  sync_token_ = 0;
  if (fenced_) return;
  if (completion.error != Errc::ok &&
      !(base::planted(base::Bug::sync_retried) && disk_.sync(sync_file_))) {
    (void)fence(completion.error == Errc::ok ? Errc::io_error : completion.error);
    return;
  }
  ++syncs_;
  base::crash_here("after-sync");
  set_durable(sync_target_, now);
}

void Log::set_durable(uint64_t position, TimeMs now) {
  MR_ASSERT(position >= durable_ && position <= written_);
  durable_ = position;
  idle_since_ = now;
  pool_->on_durable(durable_, next_token(JobType::remove));
}

void Log::start_jobs(TimeMs now, bool hold_sync) {
  now_ = std::max(now_, now);
  if (fenced_ || closed_) return;
  if (disk_full()) note_free_space();
  give_up_copy_if_tight();
  // The mark that gives a freed file back may find its segment full to the last byte.
  if (batch_.size() == 0 && !mark_fits() && pool_->wants_mark(durable_) && pool_->disk_full() &&
      pool_->spares() > 0 && !rotate())
    return;
  if (batch_.size() == 0 && watermark_due() <= now_ && !write_gathered(now_, kMarkWatermarkOnly))
    return;
  if (better_segment_waits() && !rotate()) return;
  if (!hold_sync && sync_wanted(now_)) submit_sync();
  pool_->set_reserve(reserve_files());
  if (spare_wanted() && pool_->may_prepare(now_)) {
    prepare_token_ = next_token(JobType::prepare);
    pool_->prepare(prepare_token_, !filling_fast());
  } else if (over_bound(log_segments())) {
    pool_->remove_surplus(next_token(JobType::remove), spares_to_keep(), !mark_fits());
  }
  if (scrubber_ && scrubber_->due(now_))
    scrubber_->start(segments_, durable_, now_, next_token(JobType::scrub));
}

// The first segment of a new log was made on the spot: each small commit there costs the file
// system a write of its own metadata, and a second trip to the device. One that was written ahead
// waits.
bool Log::better_segment_waits() {
  return !active_->storage.written && pool_->has_written_spare() && batch_.size() == 0 &&
         pool_->spares() > pool_->reserve() && !pool_->disk_full() && !filling_fast() &&
         written_ - active_->start < segment_bytes_ / 2;
}

// A mark without records tells what the newest mark does not know: that all before it is durable,
// or that segments were freed. One such mark is enough, else each would ask for the next.
TimeMs Log::watermark_due() const {
  const bool gives_back = pool_->wants_mark(durable_);
  // The last place is not for a mark that only tells (see make_room()).
  const bool room_to_tell =
      pool_->spares() > 0 || written_ - active_->start + 2 * kMarkRecordBytes <= segment_bytes_;
  const bool news =
      (last_mark_had_records_ && last_mark_durable_ < durable_ && room_to_tell) || gives_back;
  if (!news || sync_in_flight() || durable_ != written_ || !mark_fits()) return kNever;
  return idle_since_ + kIdleMs;
}

bool Log::filling_fast() {
  return rate_.bytes_per_ms(now_) > kWriteAheadBytesPerMs;
}

TimeMs Log::next_deadline() const {
  if (fenced_ || closed_ || active_ == nullptr) return kNever;
  TimeMs next = watermark_due();
  if (!sync_in_flight() && durable_ != written_ && unsynced_since_ != kNever) {
    if (options_.durability == Durability::interval)
      next = std::min(next, unsynced_since_ + options_.interval_ms);
    if (options_.durability == Durability::none)
      next = std::min(next, unsynced_since_ + kBackgroundSyncMs);
  }
  if (spare_wanted()) next = std::min(next, pool_->retry_at());
  if (scrubber_) next = std::min(next, scrubber_->next_deadline());
  return next;
}

void Log::on_completion(const Completion& completion, TimeMs now) {
  now_ = std::max(now_, now);
  const auto type = static_cast<JobType>(completion.token >> kTokenTypeShift & 0xFF);
  switch (type) {
    case JobType::sync:
      if (completion.token == sync_token_) on_sync(completion, now_);
      break;
    case JobType::prepare:
      if (completion.token == prepare_token_) pool_->on_prepared(completion, now_);
      note_free_space();
      break;
    case JobType::checkpoint:
      if (completion.token == checkpoint_token_) checkpoint_token_ = 0;
      break;
    case JobType::scrub:
      if (!scrubber_ || !scrubber_->owns(completion.token)) break;
      if (const auto bad = scrubber_->on_read(completion, segments_)) fence_corrupt(*bad);
      break;
    case JobType::remove:  // a file that could not be removed is found by the next start
      break;
  }
}

Status Log::sync_all(TimeMs now) {
  while (durable_ != written_) {
    const Segment* segment = next_unsynced();
    if (const Status status = disk_.sync(segment->storage.file); !status)
      return fence(status.error());
    ++syncs_;
    set_durable(segment->end, now);
  }
  return {};
}

Status Log::close(TimeMs now) {
  now_ = std::max(now_, now);
  if (const Status status = write_batch(now_); !status) return status;
  // The error of a failed sync is reported once, to whoever asks first: the one in flight must be
  // heard before a blocking one can be believed.
  while (sync_in_flight()) {
    disk_.finish(JobKind::sync);
    Completion completions[16];
    const size_t count = disk_.reap(completions);
    for (const Completion& completion : std::span(completions).first(count))
      if (owns_token(completion.token)) on_completion(completion, now_);
    if (count == 0)
      break;  // its completion was reaped by somebody else: it was not ours to wait for
  }
  if (sync_in_flight()) return fail(Errc::timed_out);
  if (fenced_) return fail(Errc::shard_fenced);
  if (const Status status = sync_all(now_); !status) return status;
  // A segment in which nothing was durable before is not believed to have been closed: recovery
  // could not know that its header was.
  if (written_ == active_->data_begin()) {
    if (const Status status = write_gathered(now_, kMarkWatermarkOnly); !status) return status;
    if (const Status status = sync_all(now_); !status) return status;
  }
  if (mark_fits()) {
    if (const Status status = write_gathered(now_, kMarkCleanShutdown); !status) return status;
    if (const Status status = sync_all(now_); !status) return status;
  }
  closed_ = true;
  return {};
}

// --- figures ---

uint64_t Log::body_bytes_max() const {
  return segment_bytes_ - kSegmentDataOffset - sizeof(RecordHeader) - kMarkRecordBytes;
}

uint64_t Log::bytes_on_disk() const {
  return total_segments() * segment_bytes_;
}

// --- reading ---

Result<Record> Log::read_record(Position position) const {
  const Segment* segment = segments_.find(segment_of(position));
  if (segment == nullptr || position.value < segment->data_begin() ||
      position.value >= segment->end)
    return fail(Errc::corrupt);
  const std::optional<Record> record =
      record_at(segment->view(), position.value - segment->start, segment->end - segment->start);
  if (!record) return fail(Errc::corrupt);
  return *record;
}

// --- accounts ---

void Log::add_live(Position position, uint64_t bytes) {
  Segment* segment = segments_.find(segment_of(position));
  MR_ASSERT(segment != nullptr);
  excess_ -= excess_of(*segment);
  segment->live += bytes;
  excess_ += excess_of(*segment);
  live_ += bytes;
}

void Log::remove_live(Position position, uint64_t bytes) {
  Segment* segment = segments_.find(segment_of(position));
  MR_ASSERT(segment != nullptr);
  MR_ASSERT(segment->live >= bytes);
  excess_ -= excess_of(*segment);
  segment->live -= bytes;
  excess_ += excess_of(*segment);
  live_ -= bytes;
}

void Log::remove_apart(uint64_t bytes) {
  MR_ASSERT(apart_ >= bytes);
  apart_ -= bytes;
}

uint64_t Log::live_bytes(uint64_t segment_sequence) const {
  const Segment* segment = segments_.find(segment_sequence);
  return segment == nullptr ? 0 : segment->live;
}

// --- checkpoint ---

void Log::save_checkpoint(Position position, std::vector<std::byte> state) {
  MR_ASSERT(!checkpoint_in_flight());
  MR_ASSERT(position.value <= durable_ && position.value >= head_position_);
  const Segment* segment = segments_.find((position.value - 1) >> segment_shift_);
  MR_ASSERT(segment != nullptr);
  checkpoint_token_ = next_token(JobType::checkpoint);
  Job job{};
  job.kind = JobKind::replace_file;
  job.token = checkpoint_token_;
  job.path = options_.directory + "/" + kCheckpointFile;
  job.content = encode_checkpoint(options_.log_id, position.value, segment->generation, state);
  disk_.submit(std::move(job));
}

bool Log::checkpoint_in_flight() const {
  return checkpoint_token_ != 0;
}

}  // namespace millrace::storage

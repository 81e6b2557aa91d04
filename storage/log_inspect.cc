#include "storage/log_inspect.h"

#include <algorithm>
#include <cstring>

#include "storage/checkpoint_file.h"
#include "storage/recovery.h"
#include "storage/segment_files.h"

namespace millrace::storage {
namespace {

constexpr std::string_view kUseNames[] = {"in use", "freed",   "cut off",
                                          "blank",  "foreign", "unreadable"};

// The files of a directory and what a start would make of them.
class Inspection {
 public:
  explicit Inspection(Disk& disk) : disk_(disk) {}
  ~Inspection() { close_segment_files(disk_, found.storages); }
  Inspection(const Inspection&) = delete;
  Inspection& operator=(const Inspection&) = delete;

  Status read(const std::string& directory, std::optional<uint16_t> log_id, OpenMode mode) {
    const Status status = find_segment_files(disk_, directory, mode, found, &message);
    if (!status) return status;
    id = log_id.value_or(newest_id());
    const std::optional<Checkpoint> checkpoint = read_checkpoint(disk_, directory, id);
    plan = plan_recovery(found.files, id, durable_hint(checkpoint, found.files));
    return {};
  }

  VerifyReport report() const {
    VerifyReport r;
    r.error = plan.error;
    r.message = plan.message;
    for (const SegmentFile& file : found.files)
      r.header_copies_bad += file.reading.copy_bad;
    if (plan.error != Errc::ok) return r;
    r.clean_shutdown = plan.clean_mark.has_value();
    r.segments = plan.segments.size();
    r.torn_bytes = plan.torn_bytes;
    r.durable = Position{plan.durable};
    r.end = Position{plan.end};
    r.last_server_time = plan.last_server_time;
    if (!plan.segments.empty())
      r.head = Position{found.files[plan.segments.front().file].view().start + kSegmentDataOffset};
    for (const SurvivingSegment& segment : plan.segments) {
      const uint64_t begin = found.files[segment.file].view().start + kSegmentDataOffset;
      if (!r.clean_shutdown)
        r.rehomed_bytes += segment.end - std::clamp(plan.durable, begin, segment.end);
      for (const ByteRange& range : segment.damaged) {
        ++r.damaged_ranges;
        r.damaged_bytes += range.bytes();
      }
      walk(segment, [&](const Record& record) {
        if (record.kind >= kReservedKinds) return;
        ++r.records;
        r.bytes += record.body.size();
      });
    }
    return r;
  }

  // Calls `visit` for each surviving record, marks included.
  template <class Visit>
  void walk(const SurvivingSegment& segment, Visit visit) const {
    const SegmentView view = found.files[segment.file].view();
    auto damaged = segment.damaged.begin();
    for (uint64_t at = view.start + kSegmentDataOffset; at < segment.end;) {
      if (damaged != segment.damaged.end() && damaged->begin <= at) {
        at = damaged->end;
        ++damaged;
        continue;
      }
      const auto record = record_at(view, at - view.start, segment.end - view.start);
      if (!record) return;  // changed under our eyes
      at = record->end().value;
      visit(*record);
    }
  }

  SegmentRow row(size_t index) const {
    const SegmentFile& file = found.files[index];
    SegmentRow row;
    row.file = file.name;
    row.file_bytes = file.bytes.size();
    row.header = file.reading;
    row.use = use(index);
    for (const SurvivingSegment& segment : plan.segments)
      if (segment.file == index) row.end = segment.end;
    return row;
  }

  SegmentFiles found;
  RecoveryPlan plan;
  std::string message;
  uint16_t id = 0;

 private:
  uint16_t newest_id() const {
    const SegmentHeader* newest = nullptr;
    for (const SegmentFile& file : found.files) {
      const SegmentHeader& header = file.reading.header;
      if (file.reading.state == HeaderState::valid &&
          (newest == nullptr || header.sequence > newest->sequence))
        newest = &header;
    }
    return newest == nullptr ? uint16_t{0} : newest->log_id;
  }

  SegmentRow::Use use(size_t index) const {
    using Use = SegmentRow::Use;
    const SegmentFile& file = found.files[index];
    if (file.reading.state == HeaderState::blank) return Use::blank;
    if (file.reading.state != HeaderState::valid) return Use::unreadable;
    if (file.reading.header.log_id != id) return Use::foreign;
    const auto in = [&](const std::vector<size_t>& list) {
      return std::ranges::count(list, index) != 0;
    };
    if (in(plan.freed)) return Use::freed;
    if (in(plan.cut) || in(plan.dead)) return Use::cut_off;
    return Use::in_use;
  }

  Disk& disk_;
};

}  // namespace

std::string_view use_name(SegmentRow::Use use) {
  return kUseNames[static_cast<size_t>(use)];
}

Result<VerifyReport> inspect_log(Disk& disk, const std::string& directory,
                                 std::optional<uint16_t> log_id,
                                 const InspectCallbacks& callbacks) {
  Inspection inspection(disk);
  if (const Status status = inspection.read(directory, log_id, OpenMode::read_only); !status)
    return fail(status.error());
  if (callbacks.on_segment)
    for (size_t i = 0; i < inspection.found.files.size(); ++i)
      callbacks.on_segment(inspection.row(i));
  for (const SurvivingSegment& segment : inspection.plan.segments) {
    if (callbacks.on_damage)
      for (const ByteRange& range : segment.damaged)
        callbacks.on_damage(Position{range.begin}, range.bytes());
    inspection.walk(segment, [&](const Record& record) {
      if (record.kind != kKindCommitMark) {
        if (callbacks.on_record) callbacks.on_record(record);
        return;
      }
      MarkRow row{record.position, {}};
      std::memcpy(&row.mark, record.body.data(), sizeof row.mark);
      if (callbacks.on_mark) callbacks.on_mark(row);
    });
  }
  return inspection.report();
}

Result<VerifyReport> verify_log(Disk& disk, const std::string& directory,
                                std::optional<uint16_t> log_id) {
  return inspect_log(disk, directory, log_id, {});
}

Result<uint16_t> log_id_of(Disk& disk, const std::string& directory) {
  Inspection inspection(disk);
  if (const Status status = inspection.read(directory, std::nullopt, OpenMode::read_only); !status)
    return fail(status.error());
  return inspection.id;
}

}  // namespace millrace::storage

#include "tests/sim/damaged_log.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "storage/log.h"
#include "storage/log_inspect.h"
#include "storage/segment_header.h"
#include "tests/sim/sim_disk.h"

namespace millrace::sim {
namespace {

using storage::HeaderReading;
using storage::HeaderState;
using storage::Record;

// A record's header is 16 bytes; what pads it is nobody's.
LogBytes bytes_of(const LoggedRecord& record) {
  return {record.position, record.position + 16 + record.body.size()};
}
bool meet(const LogBytes& a, const LogBytes& b) {
  return a.begin < b.end && b.begin < a.end;
}

class Keeper final : public storage::ReplaySink {
 public:
  explicit Keeper(std::vector<LoggedRecord>& records) : records_(records) {}
  void on_record(const Record& record) override {
    records_.push_back({record.position.value, record.kind, std::string(as_text(record.body))});
  }

 private:
  std::vector<LoggedRecord>& records_;
};

// Compares what comes with what should, in order, and notes what does not come.
class Comparer final : public storage::ReplaySink {
 public:
  explicit Comparer(const std::vector<LoggedRecord>& records) : records_(records) {}
  void on_record(const Record& record) override {
    // The log's tail has moved to a fresh segment, so that only order and content tell.
    const size_t from = next_;
    while (next_ < records_.size() &&
           (records_[next_].kind != record.kind || records_[next_].body != as_text(record.body)))
      missing_.push_back(next_++);
    if (next_++ == records_.size() && violation_.empty())
      violation_ = fmt::format("a record of kind {} at {} that was not there, after number {}",
                               record.kind, record.position.value, from);
  }
  std::vector<size_t> missing() {
    while (next_ < records_.size())
      missing_.push_back(next_++);
    return std::move(missing_);
  }
  const std::string& violation() const { return violation_; }

 private:
  const std::vector<LoggedRecord>& records_;
  size_t next_ = 0;
  std::vector<size_t> missing_;
  std::string violation_;
};

}  // namespace

DamagedLog::DamagedLog(const SimDiskImage& image, std::string directory)
    : image_(image), directory_(std::move(directory)) {
  const auto copy = image_.clone();
  SimDisk disk(*copy);
  storage::InspectCallbacks callbacks;
  // Rows come by file name; a file that was used again may have an older segment's after it.
  callbacks.on_segment = [&](const storage::SegmentRow& row) {
    if (row.use != storage::SegmentRow::Use::in_use) return;
    segment_bytes_ = row.header.header.segment_bytes;
    files_[row.header.header.sequence] =
        row.file.find('/') == std::string::npos ? directory_ + "/" + row.file : row.file;
  };
  log_id_ = storage::log_id_of(disk, directory_).value_or(0);
  MR_ASSERT(storage::inspect_log(disk, directory_, log_id_, callbacks));
  for (const auto& [segment, file] : files_)
    segments_.push_back(segment);
  const auto whole = image_.clone();
  SimDisk of_whole(*whole);
  storage::LogOptions options;
  options.directory = directory_;
  options.log_id = log_id_;
  options.segment_bytes = segment_bytes_;
  std::string message;
  auto log = storage::Log::open(of_whole, options, &message);
  MR_ASSERT(log);
  Keeper keeper(records_);
  MR_ASSERT((*log)->recover((*log)->head(), keeper, TimeMs{1}));
}

std::set<uint16_t> DamagedLog::kinds_in(uint64_t segment) const {
  std::set<uint16_t> kinds;
  for (const LoggedRecord& record : records_)
    if (record.position / segment_bytes_ == segment) kinds.insert(record.kind);
  return kinds;
}

std::string DamagedLog::file_of(uint64_t segment) const {
  return files_.at(segment);
}

DamagedLog::Start DamagedLog::start(SimDiskImage& image) {
  ++looks_;
  Start result;
  SimDisk disk(image);
  storage::LogOptions options;
  options.directory = directory_;
  options.log_id = log_id_;
  options.segment_bytes = segment_bytes_;
  options.entropy = looks_;
  auto log = storage::Log::open(disk, options, &result.message);
  if (!log) return result;
  Comparer comparer(records_);
  const auto report = (*log)->recover((*log)->head(), comparer, TimeMs{1});
  if (!report) return result;
  result.open = true;
  result.violation = comparer.violation();
  result.missing = comparer.missing();
  result.damaged_ranges = report->damaged_ranges;
  result.damaged_bytes = report->damaged_bytes;
  return result;
}

std::string DamagedLog::only_these(const Start& start, const LogBytes& lost) const {
  if (!start.violation.empty()) return start.violation;
  // Of two alike it can't be told which is gone.
  const auto hit = [&](const LoggedRecord& missing) {
    return std::any_of(records_.begin(), records_.end(), [&](const LoggedRecord& one) {
      return meet(bytes_of(one), lost) && one.kind == missing.kind && one.body == missing.body;
    });
  };
  for (const size_t i : start.missing)
    if (!hit(records_[i]))
      return fmt::format("record {} of kind {} at {} is lost and was not hit", i, records_[i].kind,
                         records_[i].position);
  return {};
}

std::string DamagedLog::flip(uint64_t segment, uint64_t byte, uint32_t bit) {
  const auto image = image_.clone();
  image->flip_bit(file_of(segment), byte * 8 + bit);
  const uint64_t at = segment * segment_bytes_ + byte;
  const Start start = this->start(*image);
  hit_ = nullptr;
  if (!start.open) return "the log does not open: " + start.message;
  const std::string other = only_these(start, {at, at + 1});
  if (!other.empty()) return other;
  records_lost_ += start.missing.size();
  for (const LoggedRecord& record : records_)
    if (meet(bytes_of(record), {at, at + 1})) hit_ = &record;
  if ((hit_ != nullptr) != (start.missing.size() == 1))
    return "the record that was hit is served as if it were whole";
  if (hit_ == nullptr) return {};
  if (start.damaged_ranges != 1) return "a record is lost and no damage reported";
  const auto in_quarantine = [](const std::string& path) {
    return path.find("/quarantine-") != std::string::npos;
  };
  const std::vector<std::string> paths = image->paths();
  if (std::none_of(paths.begin(), paths.end(), in_quarantine))
    return "a record is lost and not in quarantine";
  return {};
}

std::string DamagedLog::cut(uint64_t file_bytes) {
  const uint64_t segment = segments_.back();
  const auto image = image_.clone();
  image->truncate(file_of(segment), file_bytes);
  const Start start = this->start(*image);
  if (!start.open) return "the log does not open: " + start.message;
  // What lost its batch's mark can't be told from what was never whole.
  const uint64_t needed = storage::kMarkRecordBytes + storage::kRecordAlignment;
  const uint64_t from = segment * segment_bytes_ + file_bytes - std::min(file_bytes, needed);
  records_lost_ += start.missing.size();
  return only_these(start, {from, UINT64_MAX});
}

std::string DamagedLog::lose(uint64_t segment, bool zeroed) {
  const auto image = image_.clone();
  const std::string path = file_of(segment);
  if (zeroed) {
    image->zero(path, 0, segment_bytes_);
  } else {
    image->erase(path);
  }
  Start start = this->start(*image);
  if (start.open) return "a segment is gone and the log opens";
  if (start.message.find(fmt::format("segment {}", segment)) == std::string::npos)
    return "the refusal does not name the segment: " + start.message;
  {
    SimDisk disk(*image);
    const auto repaired = storage::repair_log(disk, directory_, std::nullopt);
    if (!repaired || repaired->after.error != Errc::ok || repaired->actions.empty())
      return "it can't be repaired";
  }
  start = this->start(*image);
  if (!start.open) return "it does not open after a repair: " + start.message;
  records_lost_ += start.missing.size();
  return only_these(start, {segment * segment_bytes_, (segment + 1) * segment_bytes_});
}

std::string DamagedLog::swap(uint64_t one, uint64_t other) {
  const auto image = image_.clone();
  image->swap_files(file_of(one), file_of(other));
  const Start start = this->start(*image);
  if (!start.open) return "two files under each other's names: " + start.message;
  return only_these(start, {});
}

}  // namespace millrace::sim

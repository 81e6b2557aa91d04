// repair_log(): see storage/log_inspect.h.
#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "storage/log_inspect.h"
#include "storage/recovery.h"
#include "storage/segment_files.h"

namespace millrace::storage {
namespace {

// Each step takes away one reason to refuse; a log of many missing segments takes many.
constexpr int kStepsMax = 10000;

class Repair {
 public:
  Repair(Disk& disk, const std::string& directory, uint16_t log_id)
      : disk_(disk), directory_(directory), id_(log_id) {}

  // One step; false when there is nothing left to do, or nothing that can be done.
  Result<bool> step(std::vector<std::string>& actions) {
    SegmentFiles found;
    std::string message;
    if (const Status status =
            find_segment_files(disk_, directory_, OpenMode::read_write, found, &message);
        !status)
      return fail(status.error());
    const std::optional<Checkpoint> checkpoint = read_checkpoint(disk_, directory_, id_);
    const RecoveryPlan plan =
        plan_recovery(found.files, id_, durable_hint(checkpoint, found.files));
    Result<bool> done = false;
    if (plan.error == Errc::damaged && plan.segment_bytes != 0) done = fix(found, plan, actions);
    close_segment_files(disk_, found.storages);
    return done;
  }

 private:
  Result<bool> fix(SegmentFiles& found, const RecoveryPlan& plan,
                   std::vector<std::string>& actions) {
    if (plan.conflict) return set_aside(found.files[*plan.conflict], actions);
    // A header can be rebuilt from the marks behind it: then nothing is lost.
    for (size_t i = 0; i < found.files.size(); ++i) {
      const HeaderState state = found.files[i].reading.state;
      if (state != HeaderState::bad && state != HeaderState::blank) continue;
      const auto mark = wanted_mark(found.files[i], plan);
      if (mark) return rebuild_header(found, i, *mark, plan, actions);
    }
    if (plan.missing_sequence != 0) return replace_missing(found, plan, actions);
    return false;
  }

  Result<bool> set_aside(const SegmentFile& file, std::vector<std::string>& actions) {
    const std::string path = directory_ + "/" + file.name;
    Status status = disk_.rename(path, path + ".set-aside");
    if (status) status = disk_.sync_directory(directory_);
    if (!status) return fail(status.error());
    const SegmentHeader& h = file.reading.header;
    actions.push_back(fmt::format(
        "{} renamed to {}.set-aside: its positions {} to {} are lost "
        "unless another file has them",
        file.name, file.name, h.sequence * h.segment_bytes, (h.sequence + 1) * h.segment_bytes));
    return true;
  }

  // A mark of the missing segment, or of one newer than all that are known.
  static std::optional<CommitMark> wanted_mark(const SegmentFile& file, const RecoveryPlan& plan) {
    for (uint64_t at = kSegmentDataOffset; at + kMarkRecordBytes <= file.bytes.size();
         at += kRecordAlignment) {
      const auto found = unaided_mark_at(file.bytes, at, plan.segment_bytes);
      if (!found) continue;
      const uint64_t sequence = found->mark.sequence;
      if (plan.missing_sequence != 0 ? sequence == plan.missing_sequence
                                     : sequence > plan.newest_sequence)
        return found->mark;
    }
    return std::nullopt;
  }

  // The segment that comes before `sequence`, as far as it is there.
  static const SegmentFile* before(const SegmentFiles& found, uint64_t sequence, uint16_t id) {
    const SegmentFile* best = nullptr;
    for (const SegmentFile& file : found.files) {
      const SegmentHeader& h = file.reading.header;
      if (file.reading.state == HeaderState::valid && h.log_id == id && h.sequence < sequence &&
          (best == nullptr || h.sequence > best->reading.header.sequence))
        best = &file;
    }
    return best;
  }

  SegmentHeader header_for(const SegmentFiles& found, const RecoveryPlan& plan, uint64_t sequence,
                           uint64_t generation) const {
    SegmentHeader header{};
    header.log_id = id_;
    header.segment_bytes = plan.segment_bytes;
    header.sequence = sequence;
    header.generation = generation;
    if (const SegmentFile* previous = before(found, sequence, id_)) {
      header.previous_sequence = previous->reading.header.sequence;
      // Where the last whole batch ends: behind it there may be nothing, or older bytes.
      const SegmentView view = previous->view();
      uint64_t end = kSegmentDataOffset;
      for (auto mark = find_mark(view, end, plan.segment_bytes); mark;
           mark = find_mark(view, end, plan.segment_bytes)) {
        end = mark->end();
        header.previous_chain = mark->mark.chain;
      }
      header.previous_end = view.start + end;
    }
    // The head is what the other segments say; all before this one was durable.
    header.durable = sequence * plan.segment_bytes + kSegmentDataOffset;
    return header;
  }

  Result<bool> rebuild_header(SegmentFiles& found, size_t index, const CommitMark& mark,
                              const RecoveryPlan& plan, std::vector<std::string>& actions) {
    const SegmentFile& file = found.files[index];
    const std::string copy = directory_ + "/" + file.name + ".header-set-aside";
    const Bytes old = file.bytes.first(std::min<uint64_t>(file.bytes.size(), kSegmentDataOffset));
    Status status = write_new(copy, {old.begin(), old.end()});
    if (!status && status.error() != Errc::already_exists) return fail(status.error());
    SegmentHeader header = header_for(found, plan, mark.sequence, mark.generation);
    const std::vector<std::byte> pages = segment_header_pages(header);
    const Bytes parts[] = {pages};
    status = disk_.write(found.storages[index].file, 0, parts);
    if (status) status = disk_.sync(found.storages[index].file);
    if (!status) return fail(status.error());
    actions.push_back(
        fmt::format("{}: header of segment {} rebuilt from its records; the old bytes "
                    "are in {}.header-set-aside; nothing is lost",
                    file.name, mark.sequence, file.name));
    return true;
  }

  // An empty segment takes the missing one's place: a start then finds its bytes damaged and goes
  // on with all the others.
  Result<bool> replace_missing(SegmentFiles& found, const RecoveryPlan& plan,
                               std::vector<std::string>& actions) {
    const std::string name = segment_file_name(found.next_number);
    SegmentHeader header = header_for(found, plan, plan.missing_sequence,
                                      base::mix(plan.missing_sequence, found.next_number));
    std::vector<std::byte> content = segment_header_pages(header);
    content.resize(plan.segment_bytes);
    if (const Status status = write_new(directory_ + "/" + name, content); !status)
      return fail(status.error());
    const uint64_t start = plan.missing_sequence * plan.segment_bytes;
    actions.push_back(fmt::format("{} put in the place of segment {}: positions {} to {} are lost",
                                  name, plan.missing_sequence, start + kSegmentDataOffset,
                                  start + plan.segment_bytes));
    return true;
  }

  Status write_new(const std::string& path, const std::vector<std::byte>& content) {
    const Result<FileId> file = disk_.open(path, OpenMode::create_new);
    if (!file) return fail(file.error());
    const Bytes parts[] = {content};
    Status status = disk_.reserve(*file, content.size());
    if (status) status = disk_.write(*file, 0, parts);
    if (status) status = disk_.sync(*file);
    disk_.close(*file);
    if (status) status = disk_.sync_directory(directory_);
    return status;
  }

  Disk& disk_;
  const std::string& directory_;
  const uint16_t id_;
};

}  // namespace

Result<RepairReport> repair_log(Disk& disk, const std::string& directory,
                                std::optional<uint16_t> log_id) {
  RepairReport report;
  Result<uint16_t> id = log_id ? Result<uint16_t>(*log_id) : log_id_of(disk, directory);
  if (!id) return fail(id.error());
  Repair repair(disk, directory, *id);
  for (int i = 0; i < kStepsMax; ++i) {
    const Result<bool> changed = repair.step(report.actions);
    if (!changed) return fail(changed.error());
    if (!*changed) break;
  }
  Result<VerifyReport> after = verify_log(disk, directory, *id);
  if (!after) return fail(after.error());
  report.after = std::move(*after);
  return report;
}

}  // namespace millrace::storage

// log_inspect: looking into the log of a stopped broker, and making a damaged one start again. The
// library behind `millrace log inspect|verify|repair`.
//
// inspect_log() and verify_log() only read. verify_log() reads every byte with the same scan as a
// start and tells what that start would do. repair_log() takes away what a start refuses: a header
// unreadable in both copies is rebuilt from the marks behind it, a missing segment is replaced by
// an empty one, so that its bytes count as damage and the rest is served, a file that contradicts
// another is renamed to "<name>.set-aside". Nothing is deleted, and the answer says what is lost.
//
// For the last two the Disk must be locked by the caller: nothing else may have the directory open.
// inspect_log() may look at a broker's log while it runs: it then sees the log as it was at some
// time since, or fails with not_found, damaged or corrupt where segments are just being recycled.
// Errors: those of Disk; not_found if `directory` is not there.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/disk.h"
#include "storage/record.h"
#include "storage/segment_header.h"

namespace millrace::storage {

struct SegmentRow {
  std::string file;
  uint64_t file_bytes = 0;
  HeaderReading header;
  enum class Use : uint8_t {
    in_use,
    freed,       // before the head
    cut_off,     // behind the end, or cut off by an earlier recovery
    blank,       // prepared, never used
    foreign,     // of another log
    unreadable,  // both headers are bad
  } use = Use::blank;
  uint64_t end = 0;  // position behind what survives, if in use
};
std::string_view use_name(SegmentRow::Use use);

struct MarkRow {
  Position position;
  CommitMark mark;
};

// Receives what inspect_log() finds, in log order. Empty callbacks are skipped.
struct InspectCallbacks {
  std::function<void(const SegmentRow&)> on_segment;  // all files, before the records
  std::function<void(const Record&)> on_record;
  std::function<void(const MarkRow&)> on_mark;
  std::function<void(Position begin, uint64_t bytes)> on_damage;
};

// What a start would find and do.
struct VerifyReport {
  Errc error = Errc::ok;  // the start would be refused, with `message`
  std::string message;
  bool clean_shutdown = false;
  uint64_t segments = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;  // of their bodies
  uint64_t damaged_ranges = 0;
  uint64_t damaged_bytes = 0;
  uint64_t torn_bytes = 0;     // would be cut
  uint64_t rehomed_bytes = 0;  // of the log, would be copied to a fresh segment
  uint64_t header_copies_bad = 0;
  Position head;
  Position durable;
  Position end;
  TimeMs last_server_time{};
};

struct RepairReport {
  std::vector<std::string> actions;  // one line each: file, what was done, which positions are lost
  VerifyReport after;
};

// `log_id`: unset takes the id of the directory's newest segment.
[[nodiscard]] Result<VerifyReport> inspect_log(Disk& disk, const std::string& directory,
                                               std::optional<uint16_t> log_id,
                                               const InspectCallbacks& callbacks);
// The id in the headers of the directory's newest segment; 0 if there is none.
[[nodiscard]] Result<uint16_t> log_id_of(Disk& disk, const std::string& directory);
[[nodiscard]] Result<VerifyReport> verify_log(Disk& disk, const std::string& directory,
                                              std::optional<uint16_t> log_id);
[[nodiscard]] Result<RepairReport> repair_log(Disk& disk, const std::string& directory,
                                              std::optional<uint16_t> log_id);

}  // namespace millrace::storage

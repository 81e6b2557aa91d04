// DamagedLog: one log of a stopped node, and what a start makes of it when bytes of it have
// changed.
//
// Judged against what the undamaged log replays: what is lost is exactly the record that was hit,
// all others come in order and unchanged, and whatever is lost is reported as damage.
//
// Threads: one.  Memory: a copy of the image for each look, and of all records once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "millrace/types.h"
#include "tests/sim/sim_disk_image.h"

namespace millrace::sim {

struct LoggedRecord {
  uint64_t position = 0;
  uint16_t kind = 0;
  std::string body;
};
// Bytes of a log, by position.
struct LogBytes {
  uint64_t begin = 0;
  uint64_t end = 0;
};

class DamagedLog {
 public:
  // `image` is at rest and outlives this.
  DamagedLog(const SimDiskImage& image, std::string directory);

  const std::string& directory() const { return directory_; }
  uint64_t segment_bytes() const { return segment_bytes_; }
  // Those in use, and the kinds of the records in one.
  const std::vector<uint64_t>& segments() const { return segments_; }
  std::set<uint16_t> kinds_in(uint64_t segment) const;
  std::string file_of(uint64_t segment) const;

  // One bit of a segment's file. Empty: as promised.
  std::string flip(uint64_t segment, uint64_t byte, uint32_t bit);
  // The newest segment's file ends here. What was before the cut, and is not of the batch that was
  // cut, is there, and nothing else.
  std::string cut(uint64_t file_bytes);
  // A whole segment is missing, or zeros: a start is refused and says which; repair_log makes it
  // start, without what was in it.
  std::string lose(uint64_t segment, bool zeroed);
  // Two files under each other's names are the same log.
  std::string swap(uint64_t one, uint64_t other);

  uint64_t records_lost() const { return records_lost_; }
  uint64_t looks() const { return looks_; }
  // The record that the last flip hit; null: none.
  const LoggedRecord* hit() const { return hit_; }

 private:
  struct Start {
    bool open = false;
    std::string message;
    std::vector<size_t> missing;  // of records_
    std::string violation;
    uint64_t damaged_ranges = 0;
    uint64_t damaged_bytes = 0;
  };
  Start start(SimDiskImage& image);
  std::string only_these(const Start& start, const LogBytes& lost) const;

  const SimDiskImage& image_;
  const std::string directory_;
  uint16_t log_id_ = 0;
  uint64_t segment_bytes_ = 0;
  std::vector<LoggedRecord> records_;
  std::vector<uint64_t> segments_;
  std::map<uint64_t, std::string> files_;  // of segments_
  const LoggedRecord* hit_ = nullptr;
  uint64_t records_lost_ = 0;
  uint64_t looks_ = 0;
};

}  // namespace millrace::sim

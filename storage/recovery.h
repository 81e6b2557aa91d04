// recovery: decides from the bytes of a log's segments what of it survives. It only reads; Log
// carries the decision out, `millrace log verify` prints it.
//
// 1. Chain. From the newest segment back by `previous_sequence`. Segments it does not name are
//    spares, or were cut off by an earlier recovery.
// 2. Scan. Each segment batch by batch; after an invalid one, on in 8-byte steps to the next commit
//    mark. The highest durable position named anywhere, M, was once on stable storage: a hole
//    below it is damage, and its readable records are kept one by one; a hole at or past it is
//    where a write was torn, and the log ends there even if valid batches follow. So what
//    survives past M is an exact prefix of what was written.
// 3. Head. The oldest segment in use, as the newest surviving mark or header says. All from there
//    on must be present, or the log is refused.
//
// What lies past M may be in the page cache only, or named by a header that never reached the disk;
// Log::recover() therefore copies [M, end) to fresh segments. The header of a segment without
// durable data is never relied on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "millrace/result.h"
#include "storage/checkpoint_file.h"
#include "storage/log_reader.h"
#include "storage/segment_header.h"

namespace millrace::storage {

// A file of the log's directory as found.
struct SegmentFile {
  std::string name;
  uint32_t number = 0;
  HeaderReading reading;
  Bytes bytes;  // mapped; shorter than a segment if the file was cut
  SegmentView view() const {
    const SegmentHeader& h = reading.header;
    return {bytes, h.sequence * h.segment_bytes, h.sequence, h.generation};
  }
};

// The part of a file that survives: records from data_begin() to `end`, without `damaged`.
struct SurvivingSegment {
  size_t file = 0;  // index into the files
  uint64_t end = 0;
  std::vector<ByteRange> damaged;
};

struct RecoveryPlan {
  Errc error = Errc::ok;
  std::string message;             // one line for people on error
  std::optional<size_t> conflict;  // on error: the file that contradicts another
  uint64_t missing_sequence = 0;   // on error: the segment that is missing

  std::vector<SurvivingSegment> segments;  // in log order, from the head on; empty: a new log
  std::vector<size_t> cut;                 // files of this log's chain that lie wholly past the end
  std::vector<size_t> freed;               // files of the chain before the head
  std::vector<size_t> dead;    // files of this log outside the chain: cut off by a recovery before
  std::vector<size_t> unread;  // both headers bad, and nothing misses them: to be set aside
  std::optional<size_t> newest;  // the file whose header is the chain's last
  uint64_t segment_bytes = 0;    // 0: a new log
  uint64_t head_sequence = 0;
  uint64_t newest_sequence = 0;  // highest in any header, this log's or a dead one's
  uint64_t durable = 0;          // M, or where the log begins
  uint64_t durable_chain = 0;    // chain at M
  uint64_t end = 0;              // end of what survives, >= durable
  uint64_t end_chain = 0;
  uint64_t torn_bytes = 0;  // behind the end, as far as they can be told from older bytes
  TimeMs last_server_time{};
  std::optional<uint64_t> clean_mark;  // position of the clean-shutdown mark that ends the log
};

// The position of a checkpoint was durable when it was saved: a hint, if the segment it speaks of
// is still there, else 0.
uint64_t durable_hint(const std::optional<Checkpoint>& checkpoint,
                      const std::vector<SegmentFile>& files);

// `durable_hint`: a durable position known from elsewhere (the checkpoint), 0 if none.
RecoveryPlan plan_recovery(const std::vector<SegmentFile>& files, uint16_t log_id,
                           uint64_t durable_hint);

}  // namespace millrace::storage

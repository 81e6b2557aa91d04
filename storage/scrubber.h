// Scrubber: reads every byte of a log from the device once a period and compares it with its
// checksums, so that rot in what nobody reads is found while there still is a good copy of it.
//
// It goes round the log from the head to the durable end, one bounded read at a time, past the page
// cache where the file system can, and no faster than the period asks for. What the cache holds is
// what readers get and what was written, so where only the device's copy is bad it is written
// again and the kernel writes it back. Where both are bad there is nothing left to mend it with:
// on_read() says where, and the log goes the way of everything that is not what was written
// (Log::fence_corrupt). What the device refuses to read is told and passed over: a start would not
// get past it either.
//
// A round ends where the log was durable when it began: each byte is read within two periods of
// being written, and once a period from then on. A start begins a round. In the segment that is
// appended to, reads are small: they hold the file's lock.
//
// Threads: shard-local.  Memory: one read buffer while a read is under way, 256 KiB unless a record
// is larger. Source of the idea: ZFS; Bairavasundaram et al., FAST'08 (latent corruption is found
// by reading).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "storage/disk.h"
#include "storage/segment.h"

namespace millrace::storage {

struct ScrubFigures {
  uint64_t bytes = 0;       // read and right
  uint64_t rounds = 0;      // ended
  uint64_t mended = 0;      // stretches that were bad on the device only
  uint64_t unreadable = 0;  // reads that the device refused
};

class Scrubber {
 public:
  // A round takes `period_ms` (at least 1).
  Scrubber(Disk& disk, std::string directory, uint64_t segment_bytes, uint64_t period_ms,
           TimeMs now);

  // Whether start() would submit a read; it must then get a token.
  bool due(TimeMs now) const { return token_ == 0 && now >= due_; }
  // Begins or ends a round, or submits the next read of one. `durable`: of the log.
  void start(const SegmentTable& segments, uint64_t durable, TimeMs now, uint64_t token);
  bool owns(uint64_t token) const { return token_ != 0 && token == token_; }
  // Takes the completion of its read. A position: what is there is bad wherever it is read.
  std::optional<Position> on_read(const Completion& completion, const SegmentTable& segments);
  TimeMs next_deadline() const { return token_ == 0 ? due_ : kNever; }
  const ScrubFigures& figures() const { return figures_; }

 private:
  struct Reading {
    uint64_t sequence = 0;
    uint64_t generation = 0;
    uint64_t from = 0;   // offset in the file, a multiple of the page size
    uint64_t bytes = 0;  // a multiple of it too
    uint64_t begin = 0;  // offset of what is judged; a record begins there
    uint64_t limit = 0;  // offset behind all that this round reads of the segment
  };

  void plan_next(TimeMs now);
  void submit(const Segment& segment, uint64_t begin, uint64_t limit, bool sealed, uint64_t token);
  std::optional<Position> judge(const Segment& segment);
  bool mend(const Segment& segment, ByteRange range);
  void pass_over(const Segment& segment);

  Disk& disk_;
  const std::string directory_;
  const uint64_t segment_bytes_;
  const uint64_t period_ms_;
  uint64_t cursor_ = 0;  // position: everything before it was read in this round; 0: none is begun
  uint64_t round_limit_ = 0;  // position behind all that it reads
  uint64_t wanted_ = 0;       // bytes of the next read, if a record needs more than a piece
  TimeMs round_end_{};        // when this round ought to end
  TimeMs due_{};
  uint64_t token_ = 0;  // 0: no read under way
  Reading reading_{};
  std::shared_ptr<std::byte[]> buffer_;  // of the read under way
  ScrubFigures figures_;
};

}  // namespace millrace::storage

// SegmentPool: the files of a log that are not in use: spares ready for the next rotation, and
// freed segments whose file may not be overwritten yet.
//
// `reserve` spares are kept for a full disk, and one more for the next rotation; who may take how
// much of them is the log's to say (storage/log_space.cc). Files are made by an asynchronous job,
// which also writes them once ahead unless that would be in the way; if it is not done in time, or
// no thread does it (at start), one is made on the spot, not written ahead. After a failure the
// next try comes 100 ms later.
//
// A freed file becomes a spare once a commit mark is durable that (1) names a head behind it and
// (2) knows all of it to be durable. Without (1) a recovery would need the segment, without (2) it
// would take the overwritten bytes for a torn tail. A file shorter than a segment, as damage can
// leave it, is removed instead, and one that was made on the spot and left almost unused.
//
// Threads: shard-local.   Memory: 40 bytes a file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "storage/disk.h"
#include "storage/segment.h"

namespace millrace::storage {

class SegmentPool {
 public:
  SegmentPool(Disk& disk, std::string directory, uint64_t segment_bytes)
      : disk_(disk), directory_(std::move(directory)), bytes_(segment_bytes) {}
  ~SegmentPool();
  SegmentPool(const SegmentPool&) = delete;
  SegmentPool& operator=(const SegmentPool&) = delete;

  // Files numbered below this exist already.
  void set_next_number(uint32_t number) { next_number_ = number; }

  void add_spare(SegmentStorage storage);
  // There must be one. One that was written once, if there is.
  SegmentStorage take();
  bool has_written_spare() const { return std::ranges::any_of(spares_, &SegmentStorage::written); }
  // Makes a spare on the spot. A failure loses nothing: there is no data in the file. Errors:
  // disk_full, and what making a file can fail with.
  Status create(TimeMs now);
  // A failure is too fresh for another try.
  bool may_create(TimeMs now) const { return now >= retry_at_; }

  // A segment was freed whose last byte is before `end`.
  void release(SegmentStorage storage, uint64_t end);
  // A commit mark that ends at `mark_end` names a head behind all released segments and says
  // `durable`.
  void on_mark(uint64_t mark_end, uint64_t durable);
  // `token` comes back for each file that is removed instead of kept.
  void on_durable(uint64_t durable, uint64_t token);
  // Some released segment waits for a mark that could be written now.
  bool wants_mark(uint64_t durable) const;

  // Submits the preparation of a spare if one is missing and the time has come. `token` comes back.
  // `write_ahead`: zeros are written once over it, which makes small commits cheap later.
  bool wants_spare() const;
  bool may_prepare(TimeMs now) const { return !preparing_ && now >= retry_at_; }
  void prepare(uint64_t token, bool write_ahead);
  void on_prepared(const Completion& completion, TimeMs now);
  bool preparing() const { return preparing_; }
  TimeMs retry_at() const { return retry_at_; }

  // Removes one spare if there are more than `keep`, of them `released_too` the freed files that no
  // mark lets go before the next rotation; for that one spare stays.
  bool remove_surplus(uint64_t token, uint64_t keep, bool released_too);

  // Why the last file could not be made; ok once one was.
  Errc failure() const { return told_; }
  bool disk_full() const { return disk_full_; }
  void note_disk_full() { disk_full_ = true; }
  uint64_t reserve() const { return reserve_; }
  void set_reserve(uint64_t files);
  uint64_t spares() const { return spares_.size(); }
  uint64_t released() const { return released_.size(); }
  uint64_t files() const { return spares_.size() + released_.size() + (preparing_ ? 1 : 0); }

 private:
  void failed(Errc error, TimeMs now);
  void tell(Errc error);

  struct Released {
    SegmentStorage storage;
    uint64_t end = 0;
    uint64_t named_at = 0;  // end of the mark that lets it go; 0: not written yet
  };

  std::string path(uint32_t number) const;
  void remove(const SegmentStorage& storage, uint64_t token);

  Disk& disk_;
  const std::string directory_;
  const uint64_t bytes_;
  uint64_t reserve_ = 1;
  Errc told_ = Errc::ok;  // the last failure, until it is over
  uint32_t next_number_ = 1;
  std::vector<SegmentStorage> spares_;
  std::deque<Released> released_;
  bool preparing_ = false;
  uint32_t preparing_number_ = 0;
  bool preparing_written_ = false;
  bool disk_full_ = false;
  TimeMs retry_at_{};
};

}  // namespace millrace::storage

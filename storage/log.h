// Log: a shard's endless, append-only sequence of checksummed records, cut into segments.
//
// A record is a kind (uint16, the user's own; kinds from kReservedKinds up are the log's) and a
// body that is opaque here. Records appended in one loop turn are gathered and written by one
// write, closed by a commit mark (storage/format.h, docs/storage-format.md).
//
//   append()... -> [gathered] -> write_batch() -> [written: readable, survives the process] -> sync
//   -> [durable]
//
// A position is segment_sequence * segment_bytes + offset in the segment, so finding a record's
// segment is a shift. A record never spans segments. Positions are 8-byte aligned.
//
// Sync: natural group commit. One sync is in flight at most; end_turn() submits the next when bytes
// wait. The watermark is taken at submission, applied when the completion says ok. A failed sync or
// write fences the log for good: fenced() is true, nothing becomes durable any more, appends answer
// shard_fenced (promises a14, rule 3).
//
// Cleaning is oldest-first: segments are freed only from the head of the log. What an ack or lease
// record in a freed segment says is about messages in the same or an older segment, so it is
// covered by construction. The owner keeps live-byte accounts (add_live / remove_live) and, when
// needs_cleaning(), walks the head segment with read_head_record() and re-appends what is alive. A
// freed segment's file is recycled as a spare once a durable commit mark names the new head.
//
// A full disk (storage/log_space.cc, docs/storage-format.md): of the room that is left - the rest
// of the active segment and the spares - each class of append (Space) leaves the next one its part,
// so that sends stop first, then leases, then acks, and cleaning last. As cleaning can always carry
// one head, and gets the head's file for it, garbage always becomes room again, and then all
// classes go on by themselves.
//
// Threads: shard-local.  Memory: one gathering buffer (grows to the largest batch), the segment
// table, 24 bytes a segment.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "millrace/result.h"
#include "millrace/types.h"
#include "storage/batch_buffer.h"
#include "storage/disk.h"
#include "storage/record.h"
#include "storage/scrubber.h"
#include "storage/segment.h"
#include "storage/segment_pool.h"
#include "storage/write_rate.h"

namespace millrace::storage {

struct LogOptions {
  std::string
      directory;  // "shard-0", "catalog": one component below the Disk's root; made if missing
  uint16_t log_id = 0;  // written into each segment header; a segment of another log is foreign
  uint64_t segment_bytes =
      64u << 20;              // power of two; a log that exists keeps its own (see segment_bytes())
  uint32_t logs_on_disk = 1;  // that share its free space
  uint64_t disk_bytes_max =
      UINT64_MAX;  // segments beyond this are not made for records that grow the log
  Durability durability = Durability::commit;
  uint32_t interval_ms = 100;
  uint64_t scrub_period_ms = 0;  // in which each byte is read back from the device; 0: never
  uint64_t entropy =
      0;  // fresh random bits for this open; generations of new segments derive from it
};

// What recovery found, for the log line, `millrace log verify` and the tests.
struct RecoveryReport {
  uint64_t segments = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t torn_bytes_cut = 0;  // past the last durable position: never acknowledged (commit mode)
  uint64_t bytes_rehomed = 0;
  uint64_t damaged_ranges = 0;  // before the last durable position: quarantined
  uint64_t damaged_bytes = 0;
  TimeMs last_server_time{};  // newest server time found in a commit mark; 0 on a new log
  bool clean_shutdown = false;
  bool created = false;
};

// What a record does to the space a log takes, which decides how far it may go into the reserve.
enum class Space : uint8_t {
  grows,   // a message, a queue: what only adds; never touches the reserve
  leases,  // a lease or its extension: dead bytes at once, and without them nothing can be drained
  frees,   // an ack, a purge, a deletion
  moves,   // a message that goes to another queue: dead where it was, a little larger where it is
  cleans,  // what cleaning appends again: the head segment comes back for it
};

// What begin_copy() says is to be copied.
struct LogCopy {
  struct File {
    uint64_t sequence = 0;  // of the segment
    uint64_t bytes = 0;     // of its file, from the beginning
  };
  Position head, end;
  std::vector<File> files;  // in log order
};

// Receives every surviving record at open, in log order, from `from` on. `relocated` positions are
// where the record lives now.
class ReplaySink {
 public:
  virtual ~ReplaySink() = default;
  virtual void on_record(const Record& record) = 0;
};

class Log {
 public:
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Step 1 of opening: reads headers, decides head, tail and damage. Nothing is written yet.
  // Errors: format_too_new, damaged (a sealed segment is missing or both its headers are bad),
  // io_error, permission_denied. `message` gets one line for people naming the file on error.
  static Result<std::unique_ptr<Log>> open(Disk& disk, const LogOptions& options,
                                           std::string* message);

  // Step 2: replays records from `from` (the head, or the position of a checkpoint; must be head()
  // or a batch end <= durable()) to the end, re-homes the tail behind the last durable position
  // into a fresh synced segment, and makes the log ready to append. Quarantined bytes are copied to
  // "<directory>/quarantine-<position>" (exclusive; first 1000 ranges) before anything else.
  Result<RecoveryReport> recover(Position from, ReplaySink& sink, TimeMs now);

  // Appends a record whose body is the concatenation of `parts` (total <= body_bytes_max()).
  // Copied. Not yet readable. Errors: disk_full (nothing was appended), shard_fenced.
  [[nodiscard]] Result<Position> append(uint16_t kind, std::span<const Bytes> parts, Space space);

  // As append, but hands out the body to fill in place (8-byte aligned, uninitialised). The pointer
  // is valid until the next call; seal_record() computes the checksum and must be called before it.
  // For the one copy of a SEND. `spread`: bytes that carrying it may take beyond what it has.
  [[nodiscard]] Result<Position> begin_record(uint16_t kind, uint64_t body_bytes, Space space,
                                              std::byte** body, uint64_t spread = 0);
  void seal_record();

  // Ends the loop turn: closes the batch with a commit mark and writes it with one write.
  // Afterwards written() == end(). No-op if nothing was appended. Errors: shard_fenced (the log is
  // fenced now; what was gathered is dropped).
  [[nodiscard]] Status write_batch(TimeMs now);

  // Submits a sync if the durability asks for one (commit: bytes wait and none is in flight;
  // interval: due; none: each second and at rotation) and a preparation if a spare is missing. Also
  // the watermark-only record after 10 ms idle (promises 2b-7).
  // With `hold_sync` no sync is submitted: more to write is at hand.
  void start_jobs(TimeMs now, bool hold_sync = false);
  // Whatever the durability asks for: start_jobs() goes on syncing until `position` (at most
  // written()) is durable. For a record whose owner promises more than the log does.
  void sync_through(Position position);
  // Takes a completion that Disk::reap() returned for this log (owns_token()).
  bool owns_token(uint64_t token) const;
  void on_completion(const Completion& completion, TimeMs now);
  // When start_jobs wants to be called next though nothing happens; kNever if not at all.
  TimeMs next_deadline() const;

  // Writes and syncs all, marks a clean shutdown. Blocking. Afterwards only reads are allowed.
  [[nodiscard]] Status close(TimeMs now);

  // Where the data of the oldest segment in use begins.
  Position head() const { return {head_position_}; }
  // Where the next record will start (or its segment's successor).
  Position end() const { return {written_ + batch_.size()}; }
  Position written() const { return {written_}; }  // everything before it is readable
  Position durable() const { return {durable_}; }  // everything before it is on stable storage
  bool fenced() const { return fenced_; }
  bool sync_in_flight() const { return sync_token_ != 0; }
  bool disk_full() const;  // the last append or preparation found no space; cleared by itself
  // False while small records of that class would be refused with disk_full.
  bool has_room(Space space) const;
  uint64_t segment_bytes() const { return segment_bytes_; }
  uint64_t body_bytes_max() const;
  // Since open, by write_batch: for write-amplification figures.
  uint64_t bytes_written() const { return bytes_written_; }
  uint64_t bytes_on_disk() const;  // segments in use + spares + held for a copy
  uint64_t syncs() const { return syncs_; }
  ScrubFigures scrubbed() const { return scrubber_ ? scrubber_->figures() : ScrubFigures{}; }

  // Bytes at a written position, e.g. a message inside a record: valid until its segment is freed.
  // `bytes` must stay in the segment.
  const std::byte* at(Position position) const {
    const Segment* segment = segments_.find(position.value >> segment_shift_);
    MR_ASSERT(segment != nullptr);
    return segment->storage.map.data() + (position.value - segment->start);
  }
  // Reads and verifies the record at `position`. Error: corrupt.
  Result<Record> read_record(Position position) const;
  // What lies at `position` is not what was written there: a failed write-back that nobody was told
  // of yet, or rot. Says so and fences the log; the next open replays all of it, which verifies
  // every record, so the checkpoint goes. Blocks.
  void fence_corrupt(Position position);
  // Another log that this one's owner can't do without is fenced.
  void fence_as_well() { (void)fence(Errc::shard_fenced); }

  // --- live-byte accounts and cleaning ---
  // What the owner counts here for a record is as much as carrying it can ever take. That may sum
  // up to more than its segment holds.
  void add_live(Position position, uint64_t bytes);
  void remove_live(Position position, uint64_t bytes);
  uint64_t live_bytes(uint64_t segment_sequence) const;
  // How much of it is nowhere yet: what records of their own would add for things that share one.
  // Cleaning needs room for it; the bound on the disk is on the others.
  void add_apart(uint64_t bytes) { apart_ += bytes; }
  void remove_apart(uint64_t bytes);
  // The owner's own bytes that are alive. (Accounts that do not add up belong to a fenced log.)
  uint64_t live_bytes() const { return live_ - std::min(live_, apart_); }
  uint64_t segment_of(Position position) const { return position.value >> segment_shift_; }

  // True when the head segment should be cleaned now: it has no live bytes, or the log is larger
  // than its bound (4 x live_bytes() + 3 segments) allows. Never true for the segment that is being
  // appended to.
  bool needs_cleaning() const;
  // Cleaning cursor over the head segment's records; nullopt at its end (commit marks and damage
  // are skipped). The owner re-appends what is alive, a bounded number of records per turn, then
  // calls free_head() once the cursor ended and live_bytes(head) is 0 (carried messages were
  // removed from the old account and added to the new).
  std::optional<Record> next_head_record();
  void free_head();

  // --- a copy of the log as it is now, for a backup (log_copy.cc) ---
  // Writes what is gathered, and a mark that names the head if none does: what is then written is
  // the copy, an exact prefix of the log from its head on. Its files stay as they are until
  // end_copy(), also those of segments that are freed meanwhile; or until the disk has no room for
  // these, or the log is fenced. One at a time. `durable() >= end` is the caller's to see to.
  // Errors: shard_fenced, disk_full (no room for the mark).
  [[nodiscard]] Result<LogCopy> begin_copy(TimeMs now);
  void end_copy();
  bool copying() const { return copy_.has_value(); }
  // The file of a segment of the copy; kNoFile: it has none of that sequence. The first
  // bytes_copied bytes of it are the copy's.
  FileId copied_file(uint64_t sequence, uint64_t* bytes_copied) const;
  uint64_t copy_held_bytes() const { return held_segments() * segment_bytes_; }

  // --- checkpoint (a cache; the owner's bytes, checksummed here, tied to this log) ---
  // Submits the replacement of "<directory>/checkpoint" by `state` valid at `position` (must be
  // durable()).
  void save_checkpoint(Position position, std::vector<std::byte> state);
  bool checkpoint_in_flight() const;
  // The stored checkpoint if it is whole, of this log, and head() <= position <= durable end found
  // by open(), and no bytes before it are damaged; else nullopt.
  std::optional<std::pair<Position, std::vector<std::byte>>> load_checkpoint();
  // Between open() and recover(): the bytes of each segment's records that survive, rising. What a
  // checkpoint says lies elsewhere does not.
  std::vector<ByteRange> surviving() const;

 private:
  struct Opening;  // what open() found, until recover() has used it
  enum class JobType : uint8_t { sync, prepare, checkpoint, remove, scrub };

  Log(Disk& disk, const LogOptions& options);

  // log_open.cc
  Status read_directory(std::string* message);
  Status set_aside_damage();
  Status prepare_pool();
  void give_to_pool(size_t index);
  void adopt_segments();
  void replay(const Segment& segment, uint64_t from, uint64_t to, ReplaySink& sink,
              RecoveryReport& report);
  Status reopen_in_place();
  bool may_rehome() const;
  Status confirm_in_place();
  Status write_again(const Segment& segment, SegmentHeader header, uint64_t from);
  Status rehome(uint64_t from, ReplaySink& sink, RecoveryReport& report);
  Status rehome_records(const SegmentView& source, uint64_t begin, uint64_t end,
                        RecoveryReport& report);
  Status commit_fresh_segments();
  void hand_over_files();

  // log.cc
  uint64_t next_token(JobType type);
  uint64_t log_segments() const { return segments_.count() + pool_->files(); }
  uint64_t total_segments() const { return log_segments() + held_segments(); }
  // log_copy.cc
  uint64_t held_segments() const;
  void hand_back(std::unique_ptr<Segment> freed);
  void give_up_copy_if_tight();
  bool filling_fast();
  bool better_segment_waits();
  bool over_bound(uint64_t segments) const;
  bool may_grow(uint64_t files = 1) const;
  // log_space.cc
  uint64_t data_bytes() const { return segment_bytes_ - kSegmentDataOffset; }
  uint64_t room() const;
  uint64_t end_lost() const;
  uint64_t excess_of(const Segment& segment) const;
  void note_free_space();
  uint64_t cleaning_room() const;
  uint64_t room_to_leave(Space space, uint64_t bytes) const;
  bool leaves_enough(Space space, uint64_t taken, uint64_t leave) const;
  uint64_t reserve_files() const;
  bool may_create(Space space) const;
  uint64_t excess() const;
  uint64_t garbage_bytes() const;
  bool may_move() const;
  Status make_room(uint64_t bytes, Space space, uint64_t spread = 0);
  Status rotate();
  Status begin_segment(const SegmentStorage& storage, TimeMs now);
  Status write_gathered(TimeMs now, uint32_t flags);
  TimeMs watermark_due() const;
  bool has_garbage() const;
  bool spare_wanted() const;
  uint64_t spares_to_keep() const;
  bool mark_fits() const;
  Status fence(Errc reason);
  const Segment* next_unsynced() const;
  bool sync_wanted(TimeMs now) const;
  void submit_sync();
  void on_sync(const Completion& completion, TimeMs now);
  void set_durable(uint64_t position, TimeMs now);
  Status sync_all(TimeMs now);
  uint64_t next_generation(uint64_t sequence);

  // What recovery's fresh segments will be committed by, once their data is on stable storage.
  struct FreshSegment {
    FileId file = kNoFile;
    SegmentHeader header{};
  };

  Disk& disk_;
  LogOptions options_;
  uint64_t segment_bytes_ = 0;
  uint32_t segment_shift_ = 0;
  std::unique_ptr<Opening> opening_;
  std::unique_ptr<SegmentPool> pool_;
  std::optional<Scrubber> scrubber_;
  SegmentTable segments_;
  Segment* active_ = nullptr;
  BatchBuffer batch_;
  uint64_t chain_ = 0;  // at written()
  uint64_t written_ = 0;
  uint64_t durable_ = 0;
  uint64_t sync_through_ = 0;
  uint64_t head_position_ = 0;
  uint64_t newest_sequence_ = 0;
  uint64_t generations_ = 0;  // made since open
  bool fenced_ = false;
  Errc fence_reason_ = Errc::ok;  // what the disk said
  bool closed_ = false;
  bool rehoming_ = false;
  bool in_place_ = false;  // recovery keeps the segments as they are
  std::vector<FreshSegment> fresh_;

  struct Copy {
    uint64_t first = 0;  // sequences
    uint64_t last = 0;
    uint64_t end = 0;
    std::vector<std::unique_ptr<Segment>> freed{};  // since, oldest first
  };
  std::optional<Copy> copy_;  // nothing: none is under way

  uint64_t last_mark_durable_ = 0;  // what the newest mark written says
  uint64_t last_mark_head_ = 0;     // likewise, since open
  bool last_mark_had_records_ = false;
  TimeMs now_{};             // newest time told
  TimeMs unsynced_since_{};  // first write not yet covered by a submitted sync
  TimeMs idle_since_{};      // last write or sync
  WriteRate rate_;

  uint64_t tokens_ = 0;
  uint64_t sync_token_ = 0;  // 0: none in flight
  uint64_t sync_target_ = 0;
  FileId sync_file_ = kNoFile;
  uint64_t prepare_token_ = 0;
  uint64_t checkpoint_token_ = 0;

  uint64_t live_ = 0;            // what carrying all that is alive can take
  uint64_t apart_ = 0;           // add_apart()
  uint64_t excess_ = 0;          // sum of excess_of() over the segments
  uint64_t creatable_ = 0;       // data bytes of the segments that the disk has space for
  uint64_t largest_record_ = 0;  // seen since open, of those that cleaning may carry
  uint64_t head_cursor_ = 0;     // next_head_record(); 0: at the head's begin
  uint64_t bytes_written_ = 0;
  uint64_t syncs_ = 0;
};

}  // namespace millrace::storage

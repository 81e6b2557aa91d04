// Cleaner: empties the oldest segment of a shard's log so that it can be freed.
//
// step() walks the head segment's records a bounded stretch a turn. A message of an enqueue or
// carry record is carried (appended again) if it is alive and still lies exactly there; everything
// else in the segment is dead or about messages in it. Partitions whose slot end only this segment
// tells have it told again, so slots are never given out twice; that record counts as alive, so a
// log that holds little else is not cleaned round and round. Deduplication ids whose
// messages are gone are told again too; they are looked up many at a time, since each is a wait for
// memory that the next ones need not wait for. free_head() runs at the end of a turn, after the
// answers: until then views into the segment must live.
//
// Threads: shard-local.  Memory: 24 bytes for each id that is gathered, of one record and 100 more.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/shard_state.h"

namespace millrace::engine {

class Cleaner {
 public:
  explicit Cleaner(ShardState& state) : state_(state) {}

  // True if it did something; there is more to do then.
  bool step();
  void free_head();
  uint64_t carried_bytes() const { return carried_bytes_; }

 private:
  Result<uint64_t> carry_alive(const storage::Record& record);
  // An id that may be told nowhere else.
  struct Gathered {
    QueueId queue{};
    base::Hash128 id;
  };
  void gather_id(const Partition& partition, const std::byte* message);
  void gather_ids(const storage::Record& record);
  Status tell_gathered();
  Status tell(Partition& partition, std::span<const DedupMark> marks);

  ShardState& state_;
  std::optional<storage::Record> unfinished_;  // for want of space: gone on with
  bool walking_ = false;                       // part of the head segment is walked
  bool walked_ = false;                        // all of it
  uint64_t carried_bytes_ = 0;
  std::vector<Gathered> gathered_;
  std::vector<DedupMark> marks_;  // reused
};

}  // namespace millrace::engine

// Cleaner: empties the oldest segment of a shard's log so that it can be freed.
//
// step() walks the head segment's records a bounded stretch a turn. A message of an enqueue or
// carry record is carried (appended again) if it is alive and still lies exactly there; everything
// else in the segment is dead or about messages in it. Partitions whose slot end only this segment
// tells have it told again, so slots are never given out twice; that record counts as alive, so a
// log that holds little else is not cleaned round and round. free_head() runs at the end of a
// turn, after the answers: until then views into the segment must live.
//
// Threads: shard-local.  Memory: none.
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
  void keep_id(Partition& partition, const std::byte* message);
  void keep_id(Partition& partition, const base::Hash128& id);
  Status tell_dedup(const storage::Record& record);

  ShardState& state_;
  std::optional<storage::Record> unfinished_;  // for want of space: gone on with
  bool walking_ = false;                       // part of the head segment is walked
  bool walked_ = false;                        // all of it
  uint64_t carried_bytes_ = 0;
  std::vector<DedupMark> marks_;  // reused
};

}  // namespace millrace::engine

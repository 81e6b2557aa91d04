// CommitClock: how long answers wait for their sync, measured from turn to turn.
//
// A turn notes how many answers it parked for a sync and when; a later turn, which finds the sync
// done, counts them. The times are those that turns read anyway.
//
// Threads: shard-local.  Memory: 24 bytes for each turn that a sync takes.
#pragma once

#include <cstdint>

#include "engine/ring_queue.h"
#include "millrace/duration_histogram.h"
#include "millrace/types.h"

namespace millrace::engine {

class CommitClock {
 public:
  // Of all answers ever parked for a sync, those up to number `parked` wait for `end` at most.
  void note_parked(uint64_t parked, Position end, int64_t now_ns) {
    if (parked == noted_) return;
    waiting_.push({end, parked - noted_, now_ns});
    noted_ = parked;
  }
  void note_durable(Position durable, int64_t now_ns) {
    while (!waiting_.empty() && waiting_.front().end <= durable) {
      const Waiting done = waiting_.pop();
      times_.add(now_ns - done.since_ns, done.answers);
    }
  }
  const CommitTimes& times() const { return times_; }

 private:
  struct Waiting {
    Position end{};
    uint64_t answers = 0;
    int64_t since_ns = 0;
  };

  RingQueue<Waiting> waiting_;
  uint64_t noted_ = 0;
  CommitTimes times_;
};

}  // namespace millrace::engine

// ReferenceMessage: what is known of one message ever attempted; ReferenceRules: what its queue was
// created as. Both are the reference's (reference_queue.h).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "millrace/types.h"

namespace millrace::sim {

using Key = uint64_t;  // unique per message of a run, 0 is none

enum class Known : uint8_t {
  no,
  pending,
  unknown,
  yes
};  // pending: asked, not answered; unknown: a crash took the answer

// A place: shard << 48 | slot. A message has one in each queue it was in, and no other ever has it.
inline constexpr uint64_t kNoPlace = UINT64_MAX;
// Dead-letter queues behind one another, at most.
inline constexpr int kChainMax = 16;

struct ReferenceRules {
  uint32_t id = 0;  // the broker's number of the queue
  bool fifo = false;
  bool dedup_by_group = false;
  bool spread = false;                     // over shards, by group
  std::optional<uint32_t> dead_letters{};  // reference number of that queue
  uint32_t receives_max = 0;               // with dead_letters
  int64_t retention_ms = INT64_MAX / 4;
  uint64_t in_flight_max = UINT64_MAX / 2;  // all shards' shares together
};

struct ReferenceMessage {
  Key key = 0;
  uint32_t queue = 0;        // where it was seen last
  uint32_t first_queue = 0;  // where it was sent to
  uint64_t group = 0;        // 0: none
  uint64_t body_hash = 0;
  TimeMs sent_at{};  // the engine's own sending time is between these two
  TimeMs sent_by{kNever};
  uint64_t asked_event = 0;
  uint32_t delay_ms = 0;
  Known sent = Known::no;
  Known acked = Known::no;
  Known purged = Known::no;
  bool delivered = false;                  // at least once
  uint32_t receive_count = 0;              // highest seen since the last power loss
  std::vector<uint32_t> counts_seen = {};  // since then; none may come twice
  uint32_t count_high = 0;                 // it was no more when the newest lease known was given
  uint64_t lost_then = 0;                  // receives of its queue lost by then
  TimeMs hidden_until{};                   // no delivery before this
  uint64_t lease_event = 0;                // when the newest lease was shown, or prolonged
  uint32_t extends_pending = 0;
  bool extends_overlap = false;
  // An extend by the receipt of a lease that a power loss took back, and that the broker had given
  // anew under the same count before we heard of it (docs/wire-protocol.md, when two leases have
  // one receipt): how long that lease lasts is not known here.
  uint32_t extended_ahead = 0;
  uint32_t acks_pending = 0;
  uint64_t acked_event = 0;  // when the answer came: a receive asked for later must not bring it
  uint64_t purged_event = 0;
  uint64_t moved_event = 0;  // when it was first seen in `queue`, which is not the first one
  uint64_t seen_event = 0;   // at or after this it was in `queue`
  bool redriven = false;     // by a move task: with a new id, and all it was before is over
  bool ack_lost = false;  // by a lying sync: until it is delivered again, an ack that finds it gone
                          // may rest on that one
  bool in_a_hole = false;  // sent before a sync lied: it may lie where the disk has nothing, and be
                           // delivered from the page cache until the power fails
  std::vector<std::pair<uint32_t, uint64_t>> places = {};  // by queue

  uint64_t place_in(uint32_t in) const {
    for (const auto& [where, place] : places)
      if (where == in) return place;
    return kNoPlace;
  }
};

}  // namespace millrace::sim

// ReferenceQueue: what a standard queue promises, kept plainly beside the engine. Shares no code
// with it.
//
// One record per message ever attempted, keyed by a number that is part of its body. The
// simulator's clients report what they did and what they were told; the reference answers with a
// violation text when the engine broke a promise (promises.md a1-a8, C1-C11), and with an empty
// string otherwise. Outcomes that a crash left open are `unknown` and allow both.
//
// A power loss may end leases early and lower receive counts (a6); in `commit` durability it may do
// nothing else. In `none` it may also lose sends, acks and purges that were answered, so
// power_loss(false) turns those answers into unknown.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
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

struct ReferenceMessage {
  Key key = 0;
  uint32_t queue = 0;
  uint64_t body_hash = 0;
  TimeMs sent_at{};  // when the send was made: a lower bound of the engine's own time
  uint32_t delay_ms = 0;
  Known sent = Known::no;
  Known acked = Known::no;
  Known purged = Known::no;
  bool delivered = false;                  // at least once
  uint32_t receive_count = 0;              // highest seen since the last power loss
  std::vector<uint32_t> counts_seen = {};  // since then; none may come twice
  TimeMs hidden_until{};                   // no delivery before this
  uint32_t extends_pending = 0;
  bool extends_overlap = false;
  // An extend by the receipt of a lease that a power loss took back, and that the broker had given
  // anew under the same count before we heard of it (docs/wire-protocol.md, when two leases have
  // one receipt): how long that lease lasts is not known here.
  uint32_t extended_ahead = 0;
  uint32_t acks_pending = 0;
  uint64_t acked_event = 0;  // when the answer came: a receive asked for later must not bring it
  uint64_t purged_event = 0;
  bool ack_lost = false;  // by a lying sync: until it is delivered again, an ack that finds it gone
                          // may rest on that one
  bool in_a_hole = false;  // sent before a sync lied: it may lie where the disk has nothing, and be
                           // delivered from the page cache until the power fails
};

class ReferenceQueue {
 public:
  ReferenceQueue(bool delivered_is_durable, bool answers_in_order)
      : delivered_is_durable_(delivered_is_durable), answers_in_order_(answers_in_order) {}

  void send_asked(Key key, uint32_t queue, uint64_t body_hash, uint32_t delay_ms, TimeMs now);
  void send_answered(Key key, bool ok);

  // A delivery arrived. `asked_at` / `asked_event`: its lease can't have started earlier than that.
  struct Delivered {
    Key key;
    uint32_t queue;
    uint64_t body_hash;
    uint32_t receive_count;
    uint32_t visibility_ms;
    TimeMs asked_at;
    uint64_t asked_event;
  };
  std::string delivered(const Delivered& d, TimeMs now);

  void ack_asked(Key key);
  std::string ack_answered(Key key, bool ok, bool expired_answer, uint32_t generation,
                           uint64_t event, TimeMs now);

  void extend_asked(Key key, uint32_t visibility_ms, TimeMs now);
  void extend_answered(Key key, bool ok, uint32_t generation, uint32_t visibility_ms,
                       TimeMs asked_at);

  void purge_asked(uint32_t queue);
  void purge_answered(uint32_t queue, bool ok, uint64_t event);

  // The receive that a crash or a cancel swallowed may have raised counts and hidden messages.
  void receive_lost() { ++lost_receives_; }

  // Every answer still open becomes unknown. `power`: leases may be gone; `durable` false: answers
  // since the last sync may be too.
  void crashed(bool power, bool answers_hold);

  // Syncs that said ok have lost what they covered, and the first of them came after event
  // `since`. Of what was answered since nothing is certain; nor that any message sent so far is
  // still there, for cleaning may have carried it into what was lost.
  void syncs_lied(uint64_t since);

  // After the drain: every message that must exist was delivered and acked, or this says which was
  // lost.
  std::string check_drained() const;
  // Messages that must be in `queue` now, and those that may be; for the counters.
  struct Bounds {
    uint64_t at_least = 0, at_most = 0;
  };
  Bounds bounds(uint32_t queue) const;

  uint64_t size() const { return messages_.size(); }
  const ReferenceMessage* find(Key key) const;

 private:
  static bool may_exist(const ReferenceMessage& m);
  bool must_exist(const ReferenceMessage& m) const;

  std::unordered_map<Key, ReferenceMessage> messages_;
  std::map<uint32_t, std::vector<Key>> purge_pending_;  // messages a running purge may take
  uint64_t lost_receives_ = 0;
  bool delivered_is_durable_;
  bool answers_in_order_;  // with several shards answers may overtake each other
};

}  // namespace millrace::sim

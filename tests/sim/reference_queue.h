// ReferenceQueue: what queues promise, kept plainly beside the engine. Shares no code with it.
//
// One record per message ever attempted, keyed by a number that is part of it. The simulator's
// clients report what they did and what they were told; the reference answers with a violation text
// when the engine broke a promise (promises.md a1-a10, C1-C11), and with an empty string otherwise.
// Outcomes that a crash left open are `unknown` and allow both.
//
// A power loss may end leases early and lower receive counts (a6), but not those of a FIFO queue,
// which are shown when they are durable; in `commit` durability it may do nothing else. In `none`
// it may also lose sends, acks and purges that were answered, so power_loss(false) turns those
// answers into unknown.
//
// What was received often enough may be among the dead letters from the moment its lease may be
// over; nobody is told when. Until it is seen there, what must be here and what may be there are
// told apart (reference_dead_letters.cc). In the same way what was in the source of a move task
// while it ran may be somewhere else (reference_moves.cc).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "millrace/properties.h"
#include "tests/sim/reference_dedup.h"
#include "tests/sim/reference_message.h"
#include "tests/sim/reference_order.h"

namespace millrace::sim {

class ReferenceQueue {
 public:
  ReferenceQueue(bool delivered_is_durable, bool answers_in_order)
      : delivered_is_durable_(delivered_is_durable), answers_in_order_(answers_in_order) {}

  // Returns the queue's number here. Without this, a queue is a standard one that keeps all.
  uint32_t add_queue(const ReferenceRules& rules);
  void point_dead_letters(uint32_t queue, uint32_t at) {
    queues_.at(queue).rules.dead_letters = at;
  }
  const ReferenceRules& rules(uint32_t queue) const;

  struct Sent {
    Key key = 0;
    uint32_t queue = 0;
    uint64_t body_hash = 0;
    uint32_t delay_ms = 0;
    uint64_t group = 0;
    DedupId id{};  // FIFO
    uint64_t event = 0;
  };
  void send_asked(const Sent& sent, TimeMs now);
  // `place`: where it lies, or the message that it repeats. Of a refusal part of a spread run may
  // have been stored.
  std::string send_answered(Key key, bool ok, uint64_t place, uint64_t event, TimeMs now);

  // A delivery arrived. `asked_at` / `asked_event`: its lease can't have started earlier than that.
  struct Delivered {
    Key key = 0;
    uint32_t queue = 0;
    uint64_t body_hash = 0;
    uint32_t receive_count = 0;
    uint32_t visibility_ms = 0;
    TimeMs asked_at{};
    uint64_t asked_event = 0;
    uint64_t lost_when_asked = UINT64_MAX;  // receives_lost() then; at most what it is now
    uint64_t place = kNoPlace;
    TimeMs sent_at{kNever};
    const MovedFrom* moved = nullptr;
    std::span<const Key> before{};  // in the same answer
    uint64_t event = 0;
  };
  std::string delivered(const Delivered& d, TimeMs now);

  // A receive with an attempt id that was used before (reference_attempts.cc). It may give the
  // lease `receive_count` of `key` anew.
  void repeat_asked(Key key, uint32_t receive_count, uint32_t visibility_ms, TimeMs now);
  // It did. `in_doubt`: another with this id may be carried out later.
  std::string repeated(const Delivered& d, bool in_doubt);
  // Nothing happened to the lease that was shown, or prolonged, at `lease_event`; then it lasts at
  // least as long as lasts_until() says: its message may be over before.
  bool lease_untouched(Key key, uint32_t queue, uint64_t lease_event, TimeMs now) const;
  TimeMs lasts_until(Key key) const;

  // `queue` and `place`: where the receipt is from.
  void ack_asked(Key key, uint32_t queue, uint64_t place);
  struct Acked {
    Key key = 0;
    uint32_t queue = 0;
    uint64_t place = kNoPlace;
    bool ok = false;
    bool expired = false;  // the answer
    uint32_t generation = 0;
    uint64_t asked_event = 0;
    uint64_t event = 0;
  };
  std::string ack_answered(const Acked& a, TimeMs now);

  void extend_asked(Key key, uint32_t queue, uint64_t place, uint32_t visibility_ms, TimeMs now);
  struct Extended {
    Key key = 0;
    uint32_t queue = 0;
    uint64_t place = kNoPlace;
    bool ok = false;
    bool gone = false;  // the answer
    uint32_t generation = 0;
    uint32_t visibility_ms = 0;
    TimeMs asked_at{};
    uint64_t event = 0;
  };
  std::string extend_answered(const Extended& e, TimeMs now);

  // Returns the purge's number. A deletion is one more purge, and the last.
  uint64_t purge_asked(uint32_t queue, TimeMs now);
  void purge_answered(uint64_t purge, bool ok, uint64_t event, TimeMs now);
  void deleted(uint32_t queue, uint64_t event, TimeMs now);

  // A move task of `source` is asked for; asked at `asked_event`, the newest one is known to have
  // ended, or there is none.
  void move_asked(uint32_t source, uint64_t event);
  void move_answered(uint32_t source, bool started, uint64_t event);
  void move_ended(uint32_t source, uint64_t asked_event, uint64_t event);

  // Receives under way may have given leases already. One that a crash or a cancel swallowed may
  // have raised counts and hidden messages.
  void receive_asked(uint32_t queue) { ++queue_at(queue).receives_open; }
  uint64_t receives_lost(uint32_t queue) { return queue_at(queue).receives_lost; }
  void receive_answered(uint32_t queue) { --queue_at(queue).receives_open; }
  void receive_lost(uint32_t queue) {
    --queue_at(queue).receives_open;
    ++queue_at(queue).receives_lost;
  }
  void pushes(uint32_t queue, bool begin) {
    Queue& q = queue_at(queue);
    begin ? ++q.pushes_open : --q.pushes_open;
    q.receives_lost += begin ? 0 : 1000;
  }

  // Every answer still open becomes unknown. `power`: leases may be gone; `answers_hold` false:
  // answers since the last sync may be too.
  void crashed(bool power, bool answers_hold, uint64_t event, TimeMs now);

  // Syncs that said ok have lost what they covered, and the first of them came after event
  // `since`. Of what was answered since nothing is certain; nor that any message sent so far is
  // still there, for cleaning may have carried it into what was lost.
  void syncs_lied(uint64_t since);

  // After the drain: every message that must exist was delivered and acked, or this says which was
  // lost.
  std::string check_drained(TimeMs now) const;
  // Messages that must be in `queue` now, and those that may be; for the counters.
  struct Bounds {
    uint64_t at_least = 0, at_most = 0;
  };
  Bounds bounds(uint32_t queue, TimeMs now) const;

  uint64_t size() const { return messages_.size(); }
  uint64_t moves_seen() const { return moves_seen_; }
  uint64_t redrives_seen() const { return redrives_seen_; }
  const ReferenceMessage* find(Key key) const;
  // Whether it must be in `queue` now, for tests and coverage.
  bool must_be_in(Key key, uint32_t queue, TimeMs now) const;

 private:
  struct Queue {
    ReferenceRules rules{};
    uint64_t receives_open = 0;
    uint64_t pushes_open = 0;
    uint64_t receives_lost = 0;
    std::vector<Key> leased = {};  // of one with a limit
    uint64_t move_starts_open = 0;
    uint64_t move_asked_event = 0;  // of the newest move task
    uint64_t moves_until = 0;       // the last event before which one may have run
  };
  struct Purge {
    uint32_t queue = 0;
    std::vector<Key> taken = {};
  };

  Queue& queue_at(uint32_t queue);
  static bool may_exist(const ReferenceMessage& m);
  bool must_exist(const ReferenceMessage& m, TimeMs now) const;
  bool must_be_in(const ReferenceMessage& m, uint32_t queue, TimeMs now) const {
    return m.queue == queue && must_exist(m, now) && !may_be_elsewhere(m, now);
  }
  // Otherwise it moved on, and a receipt from there is about nothing.
  static bool is_at(const ReferenceMessage& m, uint32_t queue, uint64_t place) {
    return m.queue == queue && (!m.redriven || m.place_in(queue) == place);
  }
  static bool is_gone(const ReferenceMessage& m, uint32_t queue, uint64_t place) {
    return m.queue != queue || !may_exist(m) || m.place_in(queue) != place;
  }
  // After a lie the place of one message, and with it its receipts, may have become another's.
  // Null: not as far as is known.
  ReferenceMessage* heir(const ReferenceMessage& m, uint32_t queue, uint64_t place);
  static void extend_begins(ReferenceMessage& m, uint32_t visibility_ms, TimeMs now);
  void learn_place(ReferenceMessage& m, uint32_t queue, uint64_t place, uint64_t group);
  std::string check_place(ReferenceMessage& m, uint32_t queue, uint64_t place, uint64_t event,
                          TimeMs now);
  std::string check_times(ReferenceMessage& m, const Delivered& d, TimeMs now) const;
  std::string check_count(const ReferenceMessage& m, const Delivered& d) const;
  std::string check_order(const ReferenceMessage& m, const Delivered& d, TimeMs now);
  std::string check_in_flight(uint32_t queue, Key key, TimeMs now);
  void doubt_moved_into(uint32_t queue, TimeMs now);
  bool surely_over(const ReferenceMessage& m, TimeMs now) const;
  static void forget_leases(ReferenceMessage& m);
  void stand_in(ReferenceMessage& found, Key stood);

  // reference_dead_letters.cc
  int64_t shortest_retention(const ReferenceMessage& m) const;
  uint64_t most_receives(const ReferenceMessage& m) const;
  bool may_have_moved(const ReferenceMessage& m, TimeMs now) const;
  bool leads_to(uint32_t from, uint32_t to) const;  // by way of dead-letter queues
  bool may_be_two(const ReferenceMessage& m) const;
  std::string arrived(ReferenceMessage& m, const Delivered& d, TimeMs now);
  std::string check_passed_by(const ReferenceMessage& m, TimeMs now);

  // reference_moves.cc
  bool may_be_redriven(const ReferenceMessage& m, TimeMs now) const;
  bool may_be_elsewhere(const ReferenceMessage& m, TimeMs now) const {
    return may_have_moved(m, now) || may_be_redriven(m, now);
  }
  bool is_redriven(const ReferenceMessage& m, const Delivered& d) const;
  std::string redriven(ReferenceMessage& m, const Delivered& d, TimeMs now);

  std::unordered_map<Key, ReferenceMessage> messages_;
  std::unordered_map<Key, DedupId> ids_;
  std::map<uint32_t, Queue> queues_;
  std::map<uint64_t, Purge> purges_;  // under way
  uint64_t next_purge_ = 1;
  uint64_t purge_ended_event_ = 0;
  uint64_t moves_seen_ = 0;
  uint64_t redrives_seen_ = 0;
  bool any_moves_ = false;
  ReferenceOrder order_;
  ReferenceDedup dedup_;
  bool delivered_is_durable_;
  bool answers_in_order_;  // with several shards answers may overtake each other
};

}  // namespace millrace::sim

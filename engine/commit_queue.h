// CommitQueue: answers that wait for the log, and the deliveries they show.
//
// An answer is parked with the end of the record it depends on and the level that must reach it:
// written (this turn's write) or durable (a sync). One first-in-first-out queue a level, so that a
// step of the log answers all it covers. When the shard is fenced everything still parked is
// answered shard_fenced.
//
// Deliveries are gathered per turn in one reused array; answer() swaps it first, so a sink may make
// new requests from inside its callback. A receive whose asker is gone by then is given back.
//
// A sink that is gone is remembered together with the ends of the queues at that moment, and what
// it had parked is dropped when it is popped: cancelling costs the same however much is parked.
//
// A receive that waits for a sync may be answered when its messages were moved: it holds a copy.
//
// Threads: shard-local.  Memory: 160 bytes an answer at the largest number that ever waited.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/mailbox.h"
#include "engine/ring_queue.h"
#include "millrace/engine.h"

namespace millrace::engine {

struct Parked {
  enum class Kind : uint8_t {
    send,     // `send` to `to`
    receive,  // deliveries [first, first + count) to `to`; with `mail`, those it holds
    results,  // `count` results to `to`: `results`, or all ok if null
    mail,     // `mail` to shard `mail_to`; a receive_answer takes along its deliveries
  };
  Position end{};
  Kind kind{};
  uint32_t first = 0;
  uint32_t count = 0;
  ShardId mail_to{};
  ReplyTo to{};
  bool pushed = false;  // receive: of a subscription, whose end is told by its waiter
  bool kept = false;    // receive: of an attempt; leased still when nobody waits for it any more
  SendReply send{};
  std::unique_ptr<std::vector<Errc>> results{};
  std::unique_ptr<std::vector<uint64_t>> shard_slots{};  // send
  MailPtr mail{};
};

class CommitQueue {
 public:
  enum class Level : uint8_t { written, durable };

  // Ends of one level do not fall.
  void park(Level level, Parked parked);
  // From now on all but receives wait for a sync, whatever their level: who lowers what answer() is
  // told of syncs holds them back. (What a receive shows may move when the turn is over.)
  void hold(bool held) { held_ = held; }
  // Where leases of this turn are gathered; Parked::first counts from its start.
  std::vector<Delivery>& deliveries() { return gathering_; }

  // Answers all that is reached, in order. Mails are posted to `mailbox`; give_back(deliveries) is
  // called for receives that were cancelled.
  template <class GiveBack>
  void answer(Position written, Position durable, Mailbox& mailbox, GiveBack&& give_back);
  // Answers everything with `error`.
  void fail_all(Errc error, Mailbox& mailbox);

  // No call to the sink happens afterwards for what is parked now.
  void cancel(const ReplySink* sink);
  // The parked receives of this reply are given back.
  void cancel_receives(ReplyTo reply);

  // The position a sync must reach for the newest that waits for one; 0 if none does.
  Position wants_durable() const {
    return durable_.empty() ? Position{} : durable_[durable_.size() - 1].end;
  }
  // How many answers were ever parked for a sync.
  uint64_t parked_durable() const { return durable_.pushed(); }
  size_t waiting_durable() const { return durable_.size(); }
  bool empty() const { return written_.empty() && durable_.empty(); }
  size_t size() const { return written_.size() + durable_.size(); }

 private:
  static size_t index(Level level) { return static_cast<size_t>(level); }
  RingQueue<Parked>& queue(Level level) { return level == Level::written ? written_ : durable_; }
  const RingQueue<Parked>& queue(Level level) const {
    return level == Level::written ? written_ : durable_;
  }
  void deliver(Parked& parked, Errc error, std::span<const Delivery> deliveries, Mailbox& mailbox);
  // Of an answer just popped.
  bool gone(Level level, const Parked& parked) const {
    if (parked.kind == Parked::Kind::mail) return false;
    if (parked.to.sink == nullptr) return true;
    if (canceled_.empty()) [[likely]]
      return false;
    const auto found = canceled_.find(parked.to.sink);
    return found != canceled_.end() && queue(level).popped() <= found->second[index(level)];
  }
  static constexpr size_t kCanceledKept = 64;

  RingQueue<Parked> written_;
  RingQueue<Parked> durable_;
  std::vector<Delivery> gathering_;
  std::vector<Delivery> showing_;
  // What was pushed to each level when the sink went. Swept when it has doubled since the last
  // time.
  std::unordered_map<const ReplySink*, std::array<uint64_t, 2>> canceled_;
  size_t sweep_canceled_at_ = kCanceledKept;
  bool held_ = false;
};

// `count` times ok, for results that went well.
std::span<const Errc> all_ok(size_t count);

template <class GiveBack>
void CommitQueue::answer(Position written, Position durable, Mailbox& mailbox,
                         GiveBack&& give_back) {
  // Receives wait for `written` only and a turn writes all it gathered: every one parked so far is
  // answered here, out of showing_.
  showing_.clear();
  showing_.swap(gathering_);
  for (const Level level : {Level::written, Level::durable}) {
    auto& parked = queue(level);
    const Position reached = level == Level::written ? written : durable;
    while (!parked.empty() && parked.front().end <= reached) {
      Parked next = parked.pop();
      const auto deliveries = next.kind == Parked::Kind::receive || next.kind == Parked::Kind::mail
                                  ? std::span<const Delivery>(showing_)
                                  : std::span<const Delivery>();
      const auto own = next.kind == Parked::Kind::receive && next.mail != nullptr
                           ? std::span<const Delivery>(next.mail->deliveries)
                       : deliveries.empty() ? deliveries
                                            : deliveries.subspan(next.first, next.count);
      if (!gone(level, next))
        deliver(next, Errc::ok, own, mailbox);
      else if (!next.kept)
        give_back(own);
    }
  }
  if (!canceled_.empty() && empty()) [[unlikely]]
    canceled_.clear();
}

}  // namespace millrace::engine

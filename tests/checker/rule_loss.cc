// C1: nothing acknowledged is lost. C13: what a power loss may take is the end of a shard's log,
// never its middle.
//
// One search for lost messages serves both: a loss that no promise allows is C1; a loss that the
// durability mode allows must still leave a prefix, and is handed to C13.
#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "tests/checker/rules.h"

namespace millrace::checker {
namespace {

enum class Fate : uint8_t { safe, lost, unknown };

struct Loss {
  const Send* send;
  Nanoseconds last_seen;  // begin of the last operation that proves it existed
};

class LossSearch {
 public:
  LossSearch(const History& history, const Limits& limits, Findings& findings)
      : history_(history), limits_(limits), findings_(findings) {
    for (const Send& send : history.sends())
      if (send.dedup != 0 && send.outcome != Outcome::fail)
        ids_[{send.queue, send.dedup}].push_back(&send);
  }

  void examine(KeyId key) {
    const Send* send = history_.send_of(key);
    if (send == nullptr || send->outcome == Outcome::fail) return;
    const std::span<const uint32_t> receives = history_.receives_of(key);
    const bool acked = send->outcome == Outcome::ok;
    if (!acked && receives.empty()) return;  // nobody promised anything
    if (receives.empty() && is_repeated(*send)) return findings_.undecided(Rule::c1);
    const QueueFacts& queue = history_.facts(send->queue);
    const Fate fate =
        receives.empty() ? fate_of_unseen(*send, queue) : fate_of_seen(*send, receives, queue);
    if (fate == Fate::unknown) findings_.undecided(Rule::c1);
    if (fate != Fate::unknown) findings_.checked(Rule::c1);
    if (fate != Fate::lost) return;
    Nanoseconds existed = acked ? send->done : kForever;
    Nanoseconds last_seen = send->inv;
    const Receive* last = nullptr;
    for (const uint32_t at : receives) {
      last = &history_.receive(at);
      existed = std::min(existed, last->done);
      last_seen = std::max(last_seen, last->inv);
    }
    const Drain& drain = queue.drains.back();
    // A send of unknown outcome was promised only what its own line says; nothing, if it says
    // nothing.
    Durability promised = send->durability;
    if (!acked && promised.level == Durability::Level::absent) {
      promised.level = Durability::Level::none;
    }
    if (history_.faults().may_undo(last_seen, existed, promised, drain.done, limits_.sync_slack)) {
      allowed_.push_back({send, last_seen});
      return;
    }
    findings_.violation(
        Rule::c1, existed, {send->lines, last == nullptr ? Lines{} : last->lines, drain.lines},
        [&]() -> std::string {
          if (last == nullptr) return "a message was acknowledged and never received";
          return "a message was received, never deleted, and gone when the queue was drained";
        });
  }

  const std::vector<Loss>& allowed() const { return allowed_; }

 private:
  // One of several sends that are, or may be, one message: another of them may have come.
  bool is_repeated(const Send& send) const {
    if (send.dedup == 0) return false;
    const std::vector<const Send*>& sends = ids_.at({send.queue, send.dedup});
    return std::any_of(sends.begin(), sends.end(), [&](const Send* other) {
      return other != &send &&
             (other->outcome == Outcome::unknown || other->message_id == send.message_id);
    });
  }
  // The dead-letter queues were drained after this.
  bool dead_letters_drained_after(const QueueFacts& queue, Nanoseconds t) const {
    const QueueFacts* at = &queue;
    for (size_t steps = 0; at->receives_max != 0 && steps < history_.queues().size(); ++steps) {
      at = &history_.facts(at->dead_letters);
      if (at->drains.empty() || at->drains.back().inv < t) return false;
    }
    return true;
  }
  // What move tasks bring elsewhere, no task running any more, is found there.
  bool moved_drained(const Send& send) const {
    const std::vector<QueueId> reach = history_.reach(send.queue);
    return std::none_of(reach.begin(), reach.end(),
                        [this](QueueId queue) { return history_.facts(queue).drains.empty(); });
  }
  bool excused(const Send& send, const Drain& drain) const {
    const std::vector<QueueId> reach = history_.reach(send.queue);
    return drain.done - send.inv >= limits_.retention ||
           std::any_of(reach.begin(), reach.end(), [&](QueueId queue) {
             return history_.facts(queue).removed_after(send.inv);
           });
  }

  Fate fate_of_unseen(const Send& send, const QueueFacts& queue) const {
    if (queue.drains.empty()) return Fate::unknown;
    const Drain& drain = queue.drains.back();
    if (!dead_letters_drained_after(queue, drain.done) || !moved_drained(send))
      return Fate::unknown;
    const Nanoseconds due = send.done + queue.delay_ms(send.delay_ms, send.inv) * kMillisecond;
    if (drain.inv < send.done || drain.done < due) return Fate::unknown;
    return excused(send, drain) ? Fate::safe : Fate::lost;
  }

  // Received before the drain and never deleted: it must have come back.
  Fate fate_of_seen(const Send& send, std::span<const uint32_t> receives,
                    const QueueFacts& queue) const {
    for (const uint32_t at : history_.calls_of(send.key)) {
      const LeaseCall& call = history_.call(at);
      if (call.is_delete && call.outcome != Outcome::fail) return Fate::safe;
    }
    if (queue.drains.empty()) return Fate::unknown;
    const Drain& drain = queue.drains.back();
    for (const uint32_t at : receives) {
      const Receive& receive = history_.receive(at);
      if (receive.queue != send.queue || receive.done >= drain.inv) return Fate::unknown;
      Nanoseconds back =
          receive.done + queue.visibility_ms(receive.visibility_ms, receive.inv) * kMillisecond;
      for (const uint32_t change : history_.calls_of(send.key, receive.receipt)) {
        const LeaseCall& call = history_.call(change);
        if (call.is_delete || call.outcome == Outcome::fail) continue;
        if (call.done == kForever) return Fate::unknown;
        back = std::max(back, call.done + call.visibility_ms * kMillisecond);
      }
      if (back >= drain.done) return Fate::unknown;
    }
    if (!dead_letters_drained_after(queue, drain.done) || !moved_drained(send))
      return Fate::unknown;
    return excused(send, drain) ? Fate::safe : Fate::lost;
  }

  const History& history_;
  const Limits& limits_;
  Findings& findings_;
  std::vector<Loss> allowed_;
  std::map<std::pair<QueueId, uint64_t>, std::vector<const Send*>> ids_;  // by deduplication id
};

// Of one shard: the message highest in the log that was acknowledged before a given power loss and
// received after the last one, so that it outlived all of them.
struct Survivor {
  Nanoseconds acked;
  const Send* send;
  const Receive* proof;
};

class PrefixCheck {
 public:
  explicit PrefixCheck(const History& history) : history_(history) {
    const Nanoseconds last_power = history.faults().power().last_end();
    for (const Receive& receive : history.receives()) {
      if (receive.inv <= last_power) continue;
      const Send* send = history.send_of(receive.key);
      if (send == nullptr || send->outcome != Outcome::ok || !send->has_place()) continue;
      survivors_[send->shard].push_back({send->done, send, &receive});
    }
    // By time of acknowledgement, each entry replaced by the highest in the log so far.
    for (auto& [shard, list] : survivors_) {
      std::sort(list.begin(), list.end(),
                [](const Survivor& a, const Survivor& b) { return a.acked < b.acked; });
      for (size_t at = 1; at < list.size(); ++at) {
        if (list[at - 1].send->position <= list[at].send->position) continue;
        list[at].send = list[at - 1].send;
        list[at].proof = list[at - 1].proof;
      }
    }
  }

  void check(const Loss& loss, Findings& findings) const {
    if (loss.send->outcome != Outcome::ok) return;
    if (!loss.send->has_place()) {
      findings.undecided(Rule::c13);
      return;
    }
    findings.checked(Rule::c13);
    const auto shard = survivors_.find(loss.send->shard);
    if (shard == survivors_.end()) return;
    const Nanoseconds power = history_.faults().power().first_ending_after(loss.last_seen);
    const auto end = std::lower_bound(
        shard->second.begin(), shard->second.end(), power,
        [](const Survivor& survivor, Nanoseconds t) { return survivor.acked < t; });
    if (end == shard->second.begin()) return;
    const Survivor& highest = *(end - 1);
    if (highest.send->position <= loss.send->position) return;
    findings.violation(Rule::c13, loss.send->done,
                       {loss.send->lines, highest.send->lines, highest.proof->lines}, [&] {
                         return fmt::format(
                             "a message at {}:{} was lost while one acknowledged before the same "
                             "power loss at {}:{} survived",
                             loss.send->shard, loss.send->position, highest.send->shard,
                             highest.send->position);
                       });
  }

 private:
  const History& history_;
  std::map<uint32_t, std::vector<Survivor>> survivors_;
};

}  // namespace

void check_loss(const History& history, const Limits& limits, Findings& findings) {
  LossSearch search(history, limits, findings);
  for (KeyId key = 0; key < history.messages(); ++key)
    search.examine(key);
  if (search.allowed().empty()) return;
  const PrefixCheck prefix(history);
  for (const Loss& loss : search.allowed())
    prefix.check(loss, findings);
}

}  // namespace millrace::checker

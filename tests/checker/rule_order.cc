// C6: in a group of a FIFO queue nothing overtakes what stands before it, and sequence numbers rise
// and are never given twice.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "tests/checker/rules.h"

namespace millrace::checker {
namespace {

// A message with its sequence number, and the time in which it surely stood in its queue.
struct Standing {
  const Send* send = nullptr;
  uint64_t sequence = 0;
  Nanoseconds from = kForever, until = 0;
};

bool same_answer(const Receive& a, const Receive& b) {
  return a.lines.file == b.lines.file && a.lines.begin == b.lines.begin;
}

class Group {
 public:
  Group(const History& history, const Limits& limits, Findings& findings)
      : history_(history), limits_(limits), findings_(findings) {}

  void add(KeyId key, const Send& send) {
    Standing standing{.send = &send, .sequence = send.sequence};
    const std::span<const uint32_t> receives = history_.receives_of(key);
    if (send.outcome == Outcome::ok) standing.from = send.done;
    for (const uint32_t at : receives) {
      const Receive& receive = history_.receive(at);
      if (receive.queue != send.queue) continue;
      if (standing.sequence == 0) standing.sequence = receive.sequence;
      standing.from = std::min(standing.from, receive.done);
    }
    standing.until = surely_until(key, send);
    if (send.outcome == Outcome::unknown && send.dedup != 0)
      perhaps_first_[send.dedup].push_back(send.inv);
    if (standing.sequence == 0) return findings_.undecided(Rule::c6);
    messages_.push_back(standing);
  }

  void check() {
    check_rising();
    check_overtaking();
  }

 private:
  // No later than the first thing that may have taken it away.
  Nanoseconds surely_until(KeyId key, const Send& send) const {
    const QueueFacts& queue = history_.facts(send.queue);
    Nanoseconds until = send.inv + limits_.retention;
    if (send.durability.level != Durability::Level::commit &&
        send.durability.level != Durability::Level::absent &&
        history_.faults().power().touches(send.inv, kForever))
      return 0;
    for (const uint32_t at : history_.calls_of(key))
      if (const LeaseCall& call = history_.call(at);
          call.is_delete && call.outcome != Outcome::fail)
        until = std::min(until, call.inv);
    for (const Removal& removal : queue.removals)
      if (removal.outcome != Outcome::fail && removal.done >= send.inv)
        until = std::min(until, removal.inv);
    if (queue.receives_max == 0) return until;
    // After so many receives, seen or not, it may be a dead letter.
    uint32_t receives = 0;
    Nanoseconds seen = 0;
    for (const uint32_t at : history_.receives_of(key)) {
      const Receive& receive = history_.receive(at);
      // It is one, though the last receive from here was seen by nobody.
      if (receive.queue != send.queue) return std::min(until, seen);
      if (++receives >= queue.receives_max || receive.n >= queue.receives_max)
        return std::min(until, receive.inv);
      seen = receive.inv;
    }
    return queue.hidden_receives.empty() ? until : 0;
  }

  // In the order of the sends; and no number twice.
  void check_rising() {
    std::vector<const Standing*> by_done;
    for (const Standing& one : messages_)
      if (one.send->outcome == Outcome::ok) by_done.push_back(&one);
    std::vector<const Standing*> by_inv = by_done;
    std::sort(by_done.begin(), by_done.end(),
              [](const auto* a, const auto* b) { return a->send->done < b->send->done; });
    std::sort(by_inv.begin(), by_inv.end(),
              [](const auto* a, const auto* b) { return a->send->inv < b->send->inv; });
    const Standing* highest = nullptr;
    auto before = by_done.begin();
    for (const Standing* one : by_inv) {
      for (; before != by_done.end() && (*before)->send->done < one->send->inv; ++before)
        if (highest == nullptr || (*before)->sequence > highest->sequence) highest = *before;
      findings_.checked(Rule::c6);
      // A repeated send has the number of the first.
      if (highest == nullptr || highest->sequence <= one->sequence ||
          (one->send->dedup != 0 && !first_of_its_id(*one)))
        continue;
      findings_.violation(Rule::c6, one->send->done, {highest->send->lines, one->send->lines},
                          [] { return "a later send of a group got a smaller sequence number"; });
    }
  }
  bool first_of_its_id(const Standing& one) const {
    // One that was never answered may have been the first, seen by nobody.
    if (const auto found = perhaps_first_.find(one.send->dedup); found != perhaps_first_.end())
      for (const Nanoseconds inv : found->second)
        if (inv <= one.send->inv) return false;
    return std::none_of(messages_.begin(), messages_.end(), [&](const Standing& other) {
      return other.send != one.send && other.sequence == one.sequence &&
             other.send->inv <= one.send->inv;
    });
  }

  void check_overtaking() {
    // What happens, by time: a message is gone, one is there, one is received.
    struct Change {
      Nanoseconds t;
      int kind;
      const Standing* standing;
      const Receive* receive;
    };
    std::vector<Change> changes;
    // Sends that are one message stand in one place: from the first on, until it may be gone.
    std::map<uint64_t, Standing> places;
    for (const Standing& one : messages_) {
      Standing& place = places.try_emplace(one.sequence, one).first->second;
      if (history_.receives_of(place.send->key).empty()) place.send = one.send;
      place.from = std::min(place.from, one.from);
      place.until = std::min(place.until, one.until);
    }
    for (const auto& [sequence, one] : places) {
      if (one.from < one.until) {
        changes.push_back({one.from, 1, &one, nullptr});
        changes.push_back({one.until, 0, &one, nullptr});
      }
      for (const uint32_t at : history_.receives_of(one.send->key))
        if (const Receive& receive = history_.receive(at);
            receive.queue == one.send->queue && stood_at(receive, one.sequence))
          changes.push_back({receive.done, 2, &one, &receive});
    }
    std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
      return std::tie(a.t, a.kind) < std::tie(b.t, b.kind);
    });
    const auto by_place = [](const Standing* a, const Standing* b) {
      return std::tie(a->sequence, a->send) < std::tie(b->sequence, b->send);
    };
    std::set<const Standing*, decltype(by_place)> there(by_place);
    for (const Change& change : changes) {
      if (change.kind == 0) there.erase(change.standing);
      if (change.kind == 1) there.insert(change.standing);
      if (change.kind != 2) continue;
      findings_.checked(Rule::c6);
      for (const Standing* other : there) {
        if (other->sequence >= change.standing->sequence) break;
        if (other->from > change.receive->inv || given_with(*other, *change.receive)) continue;
        findings_.violation(Rule::c6, change.t, {other->send->lines, change.receive->lines}, [] {
          return "a message was received while one of its group stood before it";
        });
        break;
      }
    }
  }
  // A message that a move task brought back stands at another place.
  static bool stood_at(const Receive& receive, uint64_t sequence) {
    return receive.sequence == 0 || receive.sequence == sequence;
  }
  bool given_with(const Standing& other, const Receive& receive) const {
    for (const uint32_t at : history_.receives_of(other.send->key)) {
      const Receive& its = history_.receive(at);
      if (same_answer(its, receive) && its.lines.end < receive.lines.end) return true;
    }
    return false;
  }

  const History& history_;
  const Limits& limits_;
  Findings& findings_;
  std::vector<Standing> messages_;
  std::map<uint64_t, std::vector<Nanoseconds>> perhaps_first_;  // by deduplication id
};

}  // namespace

void check_order(const History& history, const Limits& limits, Findings& findings) {
  std::map<std::pair<QueueId, uint64_t>, Group> groups;
  std::map<std::pair<QueueId, uint64_t>, const Send*> given;
  for (const Send& send : history.sends()) {
    if (send.group == 0 || send.outcome == Outcome::fail) continue;
    groups.try_emplace({send.queue, send.group}, history, limits, findings)
        .first->second.add(send.key, send);
    if (send.sequence == 0 || send.outcome != Outcome::ok) continue;
    const auto [at, fresh] = given.try_emplace({send.queue, send.sequence}, &send);
    const Send& other = *at->second;
    if (fresh || (send.dedup != 0 && send.dedup == other.dedup)) continue;
    findings.violation(Rule::c6, send.done, {other.lines, send.lines},
                       [] { return "a sequence number was given to two messages"; });
  }
  for (auto& [name, group] : groups)
    group.check();
}

}  // namespace millrace::checker

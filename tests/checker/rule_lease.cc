// C4: a lease lasts its visibility timeout. C5: no more deliveries than lease ends explain.
// C8: the receive count rises by one with each receive.
//
// A pair of receives that breaks both C4 and C5 is reported once: under C4 if the second began
// after the first was answered (a lease was cut short), under C5 if they overlap or share an answer
// (two copies were handed out).
#include <algorithm>

#include <fmt/format.h>

#include "tests/checker/rules.h"

namespace millrace::checker {
namespace {

Nanoseconds lease_length(const History& history, const Receive& receive) {
  return history.facts(receive.queue).visibility_ms(receive.visibility_ms, receive.inv) *
         kMillisecond;
}

bool may_be_moved(const History& history, const Receive& receive) {
  const Send* send = history.send_of(receive.key);
  return send != nullptr && history.may_be_moved(send->queue, receive.done);
}

// Receives without an answer, from any of the queues the message can have been in.
size_t hidden_on_the_way(const History& history, const Receive& receive, Nanoseconds from) {
  const Send* send = history.send_of(receive.key);
  size_t hidden = history.facts(receive.queue).hidden_receives.touching(from, receive.done);
  if (send == nullptr || receive.queue == send->queue) return hidden;
  for (const QueueId queue : history.reach(send->queue))
    if (queue != receive.queue)
      hidden += history.facts(queue).hidden_receives.touching(from, receive.done);
  return hidden;
}

// A move task starts the count again: which of two overlapping receives came first can't be told.
// What began first may have waited in the queue that the task moves to.
bool either_may_be_moved(const History& history, const Receive& first, const Receive& second) {
  return second.inv < first.done && (may_be_moved(history, first) || may_be_moved(history, second));
}

bool has_visibility_change(const History& history, const Receive& lease) {
  const std::span<const uint32_t> calls = history.calls_of(lease.key, lease.receipt);
  return std::any_of(calls.begin(), calls.end(), [&](uint32_t at) {
    return !history.call(at).is_delete && history.call(at).outcome != Outcome::fail;
  });
}

// Walks the receives of one message in lease order. `started` is the earliest moment at which the
// lease of the current receive can have begun, given all that came before it.
class LeaseWalk {
 public:
  LeaseWalk(const History& history, const Limits& limits, Findings& findings)
      : history_(history), limits_(limits), findings_(findings) {}

  void walk(std::span<const uint32_t> receives) {
    started_ = history_.receive(receives.front()).inv;
    for (size_t at = 1; at < receives.size(); ++at) {
      step(history_.receive(receives[at - 1]), history_.receive(receives[at]));
    }
  }

 private:
  void step(const Receive& first, const Receive& second) {
    const Nanoseconds chain = started_;
    started_ = second.inv;
    if (either_may_be_moved(history_, first, second)) return findings_.undecided(Rule::c4);
    findings_.checked(Rule::c4);
    // After a power loss the lease record may be gone: an earlier return is allowed (a6).
    if (history_.faults().power().touches(first.inv, second.done)) return;
    const Nanoseconds end = earliest_lease_end(history_, first, second.inv, second.done);
    if (second.done < end - limits_.epsilon && !possible_the_other_way(first, second)) {
      report_early(first, second, end);
      return;
    }
    // Only counts tell the order of overlapping receives for sure.
    if (first.n == 0 || second.n <= first.n) return;
    const Nanoseconds chained_end = has_visibility_change(history_, first)
                                        ? end
                                        : std::max(end, chain + lease_length(history_, first));
    const Nanoseconds begin = std::max(second.inv, chained_end - limits_.epsilon);
    if (begin > second.done) {
      findings_.violation(Rule::c5, second.done, {first.lines, second.lines}, [&] {
        return fmt::format(
            "receive {} of the message cannot be explained: the leases before it, one after the "
            "other, end {} ms after it",
            second.n, (begin - second.done) / kMillisecond);
      });
      return;
    }
    started_ = begin;
  }

  // Overlapping receives may have been given in the other order.
  bool possible_the_other_way(const Receive& first, const Receive& second) const {
    if (second.inv >= first.done) return false;
    if (first.n != 0 && second.n != 0 && first.n != second.n) return false;
    const Nanoseconds end = earliest_lease_end(history_, second, first.inv, first.done);
    return first.done >= end - limits_.epsilon;
  }

  void report_early(const Receive& first, const Receive& second, Nanoseconds end) {
    const Nanoseconds early_ms = (end - second.done) / kMillisecond;
    if (second.inv >= first.done) {
      findings_.violation(Rule::c4, second.done, {first.lines, second.lines}, [&] {
        return fmt::format("a message came back at least {} ms before its lease ended", early_ms);
      });
    } else {
      findings_.violation(Rule::c5, second.done, {first.lines, second.lines}, [&] {
        return fmt::format(
            "a message was delivered twice with no lease end in between (at least {} ms early)",
            early_ms);
      });
    }
  }

  const History& history_;
  const Limits& limits_;
  Findings& findings_;
  Nanoseconds started_ = 0;
};

void check_first_count(const History& history, const Receive& first, Findings& findings) {
  const Send* send = history.send_of(first.key);
  if (send == nullptr) return;
  findings.checked(Rule::c8);
  const size_t hidden = hidden_on_the_way(history, first, send->inv);
  if (first.n <= 1 + hidden) return;
  findings.violation(Rule::c8, first.done, {send->lines, first.lines}, [&] {
    return fmt::format("the first receive has count {}, at most {} was possible", first.n,
                       1 + hidden);
  });
}

void check_next_count(const History& history, const Receive& first, const Receive& second,
                      Findings& findings) {
  const size_t hidden = hidden_on_the_way(history, second, first.inv);
  if (either_may_be_moved(history, first, second) ||
      (may_be_moved(history, second) && (second.n <= first.n || second.n > first.n + 1 + hidden)))
    return findings.undecided(Rule::c8);
  findings.checked(Rule::c8);
  // A power loss may lower the count, never raise it (a6).
  const bool may_fall = history.faults().power().touches(first.inv, second.done);
  if (second.n <= first.n && !may_fall) {
    findings.violation(Rule::c8, second.done, {first.lines, second.lines}, [&] {
      return fmt::format("the receive count went from {} to {}", first.n, second.n);
    });
    return;
  }
  if (second.n <= first.n + 1 + hidden) return;
  findings.violation(Rule::c8, second.done, {first.lines, second.lines}, [&] {
    return fmt::format("the receive count went from {} to {}, at most {} was possible", first.n,
                       second.n, first.n + 1 + hidden);
  });
}

}  // namespace

Nanoseconds earliest_lease_end(const History& history, const Receive& lease, Nanoseconds next_inv,
                               Nanoseconds next_done) {
  Nanoseconds end = lease.inv + lease_length(history, lease);
  Nanoseconds unsure = kForever;  // the earliest end that a change of unknown effect can give
  Nanoseconds last_done = lease.inv;
  for (const uint32_t at : history.calls_of(lease.key, lease.receipt)) {
    const LeaseCall& call = history.call(at);
    if (call.inv >= next_done) break;
    if (call.is_delete || call.outcome == Outcome::fail) continue;
    const Nanoseconds moved = call.inv + call.visibility_ms * kMillisecond;
    const bool certain =
        call.outcome == Outcome::ok && call.done <= next_inv && call.inv >= last_done;
    if (certain) {
      end = moved;
      last_done = call.done;
    } else {
      unsure = std::min(unsure, moved);
    }
  }
  return std::min(end, unsure);
}

void check_lease(const History& history, const Limits& limits, Findings& findings) {
  LeaseWalk leases(history, limits, findings);
  for (KeyId key = 0; key < history.messages(); ++key) {
    const std::span<const uint32_t> receives = history.receives_of(key);
    if (receives.empty()) continue;
    findings.checked(Rule::c5);
    leases.walk(receives);
    const Receive* before = nullptr;
    for (const uint32_t at : receives) {
      const Receive& receive = history.receive(at);
      if (receive.n == 0) {
        findings.undecided(Rule::c8);
        before = nullptr;
        continue;
      }
      if (before != nullptr) {
        check_next_count(history, *before, receive, findings);
      } else if (at == receives.front()) {
        check_first_count(history, receive, findings);
      }
      before = &receive;
    }
  }
}

}  // namespace millrace::checker

// C11: a delayed message is not early and not late. C12: nothing hangs and nothing is left over.
#include <algorithm>

#include <fmt/format.h>

#include "tests/checker/rules.h"

namespace millrace::checker {
namespace {

// A message is late when somebody was surely asking for it a second after it was due: a receive
// that was waiting when it fell due and got it only then, or one that came back empty.
void check_late(const History& history, const Limits& limits, const Send& send,
                const Receive& first, Nanoseconds due, Findings& findings) {
  const QueueFacts& queue = history.facts(send.queue);
  const bool surely_first =
      first.n == 1 || (first.n == 0 && !queue.hidden_receives.touches(send.inv, first.done));
  // In a group it waits for those before it.
  if (send.outcome != Outcome::ok || send.group != 0 || first.queue != send.queue ||
      !surely_first || history.may_be_moved(send.queue, first.done) ||
      !history.faults().quiet(send.inv, first.done)) {
    return;
  }
  const Nanoseconds limit = due + limits.late;
  if (first.inv <= due && first.done > limit + limits.epsilon) {
    findings.violation(Rule::c11, first.done, {send.lines, first.lines}, [&] {
      return fmt::format("a waiting receive got the message {} ms after it was due",
                         (first.done - due) / kMillisecond);
    });
    return;
  }
  const EmptyReceive* empty = queue.empty_within(limit + limits.epsilon, first.inv);
  if (empty == nullptr) return;
  findings.violation(Rule::c11, empty->done, {send.lines, empty->lines, first.lines}, [&] {
    return fmt::format("a receive came back empty {} ms after the message was due",
                       (empty->inv - due) / kMillisecond);
  });
}

void check_delay(const History& history, const Limits& limits, const Send& send,
                 std::span<const uint32_t> receives, Findings& findings) {
  const Nanoseconds delay =
      history.facts(send.queue).delay_ms(send.delay_ms, send.inv) * kMillisecond;
  findings.checked(Rule::c11);
  const Receive* first = &history.receive(receives.front());
  for (const uint32_t at : receives) {
    if (history.receive(at).done < first->done) first = &history.receive(at);
  }
  // Before its send it was invented, which is C2's affair.
  if (delay > 0 && first->done >= send.inv && first->done < send.inv + delay - limits.epsilon) {
    findings.violation(Rule::c11, first->done, {send.lines, first->lines}, [&] {
      return fmt::format("a message was received {} ms before it was due",
                         (send.inv + delay - first->done) / kMillisecond);
    });
    return;
  }
  if (send.outcome == Outcome::ok) {
    check_late(history, limits, send, *first, send.done + delay, findings);
  }
}

void check_sends(const History& history, const Limits& limits, Findings& findings) {
  for (const Send& send : history.sends()) {
    if (send.waited == 0) continue;
    findings.checked(Rule::c12);
    if (send.waited <= limits.send_wait ||
        !history.faults().quiet(send.inv, send.inv + send.waited)) {
      continue;
    }
    findings.violation(Rule::c12, send.inv + send.waited, {send.lines}, [&] {
      return fmt::format("a send waited {} ms", send.waited / kMillisecond);
    });
  }
}

void check_drains(const History& history, Findings& findings) {
  for (const QueueFacts& queue : history.queues()) {
    for (const Drain& drain : queue.drains) {
      if (!drain.counted) {
        findings.undecided(Rule::c12);
        continue;
      }
      findings.checked(Rule::c12);
      if (drain.left == 0) continue;
      findings.violation(Rule::c12, drain.done, {drain.lines}, [&] {
        return fmt::format("the server counts {} messages in a drained queue", drain.left);
      });
    }
  }
}

void check_boots(const History& history, const Limits& limits, Findings& findings) {
  constexpr double kGib = 1024.0 * 1024 * 1024;
  constexpr double kGibMax = 1e6;  // keeps the product within 64 bits
  for (const Boot& boot : history.faults().boots()) {
    findings.checked(Rule::c12);
    const double gib = std::clamp(static_cast<double>(boot.log_bytes) / kGib, 1.0, kGibMax);
    const auto allowed = static_cast<Nanoseconds>(gib * static_cast<double>(limits.boot_per_gib));
    if (boot.done - boot.inv <= allowed) continue;
    findings.violation(Rule::c12, boot.done, {boot.lines}, [&] {
      return fmt::format("the server took {} ms to start, {} ms are allowed for its log",
                         (boot.done - boot.inv) / kMillisecond, allowed / kMillisecond);
    });
  }
}

}  // namespace

void check_timing(const History& history, const Limits& limits, Findings& findings) {
  for (KeyId key = 0; key < history.messages(); ++key) {
    const std::span<const uint32_t> receives = history.receives_of(key);
    const Send* send = history.send_of(key);
    if (send == nullptr || receives.empty()) continue;
    check_delay(history, limits, *send, receives, findings);
  }
  check_sends(history, limits, findings);
  check_drains(history, findings);
  check_boots(history, limits, findings);
}

}  // namespace millrace::checker

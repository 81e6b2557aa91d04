// C9: a message leaves for the dead letters after as many receives as its queue allows, no sooner
// and no later, and does not come back.
#include <fmt/format.h>

#include "tests/checker/rules.h"

namespace millrace::checker {
namespace {

// Receives that a power loss made the queue forget.
size_t forgotten(const History& history, const Receive& first, const Receive& last) {
  return history.faults().power().touching(first.inv, last.done);
}

void check_message(const History& history, std::span<const uint32_t> receives, Findings& findings) {
  const Receive* moved = nullptr;  // the first that was received as a dead letter
  const Receive* first = nullptr;  // of those from the queue that `count` counts
  uint32_t count = 0;
  uint32_t last_n = 0;
  QueueId counted = history.receive(receives.front()).queue;
  const QueueId sent_to = history.send_of(history.receive(receives.front()).key)->queue;
  for (const uint32_t at : receives) {
    const Receive& receive = history.receive(at);
    const QueueFacts& queue = history.facts(receive.queue);
    findings.checked(Rule::c9);
    // A move task made it a new message: it is counted from here.
    if (receive.n != 0 && receive.n <= last_n && history.may_be_moved(sent_to, receive.done)) {
      moved = first = nullptr;
      counted = receive.queue;
      count = 0;
    }
    last_n = receive.n;
    if (moved != nullptr && history.leads_to(receive.queue, moved->queue) &&
        receive.inv > moved->done) {
      findings.violation(Rule::c9, receive.done, {moved->lines, receive.lines},
                         [] { return "a dead letter was received from the queue it had left"; });
      return;
    }
    if (receive.queue != counted && history.leads_to(counted, receive.queue)) {
      const uint32_t allowed = history.facts(counted).receives_max;
      if (receive.n != 0 && receive.n <= allowed) {
        findings.violation(Rule::c9, receive.done, {receive.lines}, [&] {
          return fmt::format("a message became a dead letter after {} receives of {}",
                             receive.n - 1, allowed);
        });
        return;
      }
      moved = &receive;
      counted = receive.queue;
      count = 0;
      first = nullptr;
    }
    if (receive.queue != counted || queue.receives_max == 0) continue;
    if (first == nullptr) first = &receive;
    ++count;
    const size_t excused = forgotten(history, *first, receive);
    if (count <= queue.receives_max + excused &&
        (receive.n == 0 || receive.n <= queue.receives_max))
      continue;
    findings.violation(Rule::c9, receive.done, {first->lines, receive.lines}, [&] {
      return fmt::format("a message was received {} times from a queue that allows {}",
                         std::max(count, receive.n), queue.receives_max);
    });
    return;
  }
}

}  // namespace

void check_dead_letters(const History& history, const Limits&, Findings& findings) {
  for (KeyId key = 0; key < history.messages(); ++key) {
    const Send* send = history.send_of(key);
    const std::span<const uint32_t> receives = history.receives_of(key);
    if (send == nullptr || receives.empty() || history.facts(send->queue).receives_max == 0)
      continue;
    check_message(history, receives, findings);
  }
}

}  // namespace millrace::checker

// C2: what is received was sent, unchanged, to this queue, under one MessageId of its own.
#include <algorithm>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "tests/checker/rules.h"

namespace millrace::checker {
namespace {

// Why this receive cannot be of its message; null if it can.
const char* what_is_wrong(const History& history, const Receive& receive) {
  const Send* send = history.send_of(receive.key);
  if (send == nullptr) return "its key was never sent";
  if (send->outcome == Outcome::fail) return "its send was refused";
  if (receive.done < send->inv) return "it came before it was sent";
  if (receive.queue != send->queue) {
    const std::vector<QueueId> reach = history.reach(send->queue);
    if (std::find(reach.begin(), reach.end(), receive.queue) == reach.end())
      return "it was sent to another queue";
  }
  if (receive.hash != send->hash) return "its body or attributes changed";
  if (history.may_be_moved(send->queue, receive.done)) return nullptr;
  const Receive& first = history.receive(history.receives_of(receive.key).front());
  const Fingerprint expected = send->message_id.empty() ? first.message_id : send->message_id;
  if (!receive.message_id.empty() && !expected.empty() && receive.message_id != expected) {
    return "its MessageId is not the one of its send";
  }
  return nullptr;
}

// Two sends of different keys must not be answered with one MessageId.
void check_message_ids(const History& history, Findings& findings) {
  const std::deque<Send>& sends = history.sends();
  std::vector<uint32_t> order;
  for (uint32_t at = 0; at < sends.size(); ++at) {
    if (sends[at].outcome == Outcome::ok && !sends[at].message_id.empty()) order.push_back(at);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (sends[a].message_id != sends[b].message_id)
      return sends[a].message_id < sends[b].message_id;
    return sends[a].done < sends[b].done;
  });
  for (size_t at = 1; at < order.size(); ++at) {
    const Send& earlier = sends[order[at - 1]];
    const Send& later = sends[order[at]];
    if (earlier.message_id != later.message_id) continue;
    if (later.dedup != 0 && later.dedup == earlier.dedup && later.queue == earlier.queue) continue;
    findings.violation(Rule::c2, later.done, {earlier.lines, later.lines},
                       [] { return "two sends were answered with the same MessageId"; });
  }
}

}  // namespace

void check_identity(const History& history, const Limits&, Findings& findings) {
  for (const Receive& receive : history.receives()) {
    findings.checked(Rule::c2);
    const char* wrong = what_is_wrong(history, receive);
    if (wrong == nullptr) continue;
    const Send* send = history.send_of(receive.key);
    findings.violation(Rule::c2, receive.done,
                       {send == nullptr ? Lines{} : send->lines, receive.lines},
                       [&] { return fmt::format("a message was received although {}", wrong); });
  }
  check_message_ids(history, findings);
}

}  // namespace millrace::checker

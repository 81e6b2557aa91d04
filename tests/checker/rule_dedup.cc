// C7: sends with one deduplication id within the window are one message: one MessageId, and at most
// one body that is delivered.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/checker/rules.h"

namespace millrace::checker {
namespace {

// One message as its sends tell of it. It was accepted between these two.
struct Accepted {
  Nanoseconds from = kForever, to = kForever;
  const Send* first = nullptr;
  const Receive* delivered = nullptr;
  bool certain = true;
};

class Id {
 public:
  Id(const History& history, const Limits& limits, Findings& findings)
      : history_(history), limits_(limits), findings_(findings) {}

  void add(const Send& send) { sends_.push_back(&send); }

  void check() {
    std::sort(sends_.begin(), sends_.end(),
              [](const Send* a, const Send* b) { return a->inv < b->inv; });
    for (const Send* send : sends_) {
      if (send->outcome == Outcome::unknown) unknown_from_ = std::min(unknown_from_, send->inv);
      if (send->outcome == Outcome::ok && send->message_id.empty())
        return findings_.undecided(Rule::c7);
      if (send->outcome == Outcome::ok) answered(*send);
    }
    std::vector<const Accepted*> all;
    for (const auto& [id, one] : messages_)
      all.push_back(&one);
    std::sort(all.begin(), all.end(),
              [](const Accepted* a, const Accepted* b) { return a->from < b->from; });
    for (size_t at = 0; at < all.size(); ++at) {
      findings_.checked(Rule::c7);
      if (at > 0) check_two(*all[at - 1], *all[at]);
    }
  }

 private:
  void answered(const Send& send) {
    Accepted& one = messages_[send.message_id];
    const bool fresh = one.first == nullptr;
    if (fresh) one.first = &send;
    // An attempt of unknown outcome may have been the one that was accepted.
    if (fresh) one.from = std::min(send.inv, unknown_from_);
    one.to = std::min(one.to, send.done);
    one.certain = one.certain && !(history_.faults().power().touches(send.inv, kForever) &&
                                   (send.durability.level == Durability::Level::none ||
                                    send.durability.level == Durability::Level::interval));
    if (!fresh && send.inv > one.to + limits_.dedup_window + limits_.epsilon)
      findings_.violation(Rule::c7, send.done, {one.first->lines, send.lines}, [&] {
        return fmt::format("a send was called a duplicate of one {} s before it",
                           (send.inv - one.to) / kSecond);
      });
    for (const uint32_t at : history_.receives_of(send.key)) {
      const Receive& receive = history_.receive(at);
      if (one.delivered == nullptr) one.delivered = &receive;
      if (one.delivered->key == receive.key) continue;
      findings_.violation(Rule::c7, receive.done, {one.delivered->lines, receive.lines},
                          [] { return "two bodies with one deduplication id were delivered"; });
    }
  }

  void check_two(const Accepted& a, const Accepted& b) {
    const Nanoseconds from = std::min(a.from, b.from);
    const Nanoseconds to = std::max(a.to, b.to);
    if (to - from > limits_.dedup_window - limits_.epsilon) return;
    if (!a.certain || !b.certain) return findings_.undecided(Rule::c7);
    for (const Removal& removal : history_.facts(a.first->queue).removals)
      if (removal.outcome != Outcome::fail && removal.inv <= to && removal.done >= from) return;
    findings_.violation(Rule::c7, to, {a.first->lines, b.first->lines}, [&] {
      return fmt::format(
          "two sends with one deduplication id, at most {} ms apart, got two MessageIds",
          (to - from) / kMillisecond);
    });
  }

  const History& history_;
  const Limits& limits_;
  Findings& findings_;
  std::vector<const Send*> sends_;
  std::map<Fingerprint, Accepted> messages_;
  Nanoseconds unknown_from_ = kForever;
};

}  // namespace

void check_dedup(const History& history, const Limits& limits, Findings& findings) {
  std::map<std::pair<QueueId, uint64_t>, Id> ids;
  for (const Send& send : history.sends())
    if (send.dedup != 0 && send.outcome != Outcome::fail)
      ids.try_emplace({send.queue, send.dedup}, history, limits, findings).first->second.add(send);
  for (auto& [name, id] : ids)
    id.check();
}

}  // namespace millrace::checker

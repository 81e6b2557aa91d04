// C3: a deleted message stays deleted. C10: a purged message stays purged.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "tests/checker/rules.h"

namespace millrace::checker {
namespace {

// The receives of one message, arranged for the two questions the rules ask.
class Deliveries {
 public:
  explicit Deliveries(const History& history) : history_(history) {}

  void load(std::span<const uint32_t> receives) {
    receives_ = receives;
    by_inv_.assign(receives.begin(), receives.end());
    std::sort(by_inv_.begin(), by_inv_.end(), [this](uint32_t a, uint32_t b) {
      return history_.receive(a).inv < history_.receive(b).inv;
    });
    by_receipt_.clear();
    for (uint32_t rank = 0; rank < receives.size(); ++rank)
      by_receipt_.push_back(rank);
    std::sort(by_receipt_.begin(), by_receipt_.end(),
              [this](uint32_t a, uint32_t b) { return receipt(a) < receipt(b); });
    soonest_later_.assign(receives.size(), kForever);
    for (size_t rank = receives.size(); rank-- > 1;) {
      soonest_later_[rank - 1] =
          std::min(soonest_later_[rank], history_.receive(receives[rank]).inv);
    }
  }

  // The first receive that began after `t`, or null.
  const Receive* begun_after(Nanoseconds t) const {
    const auto at = std::upper_bound(by_inv_.begin(), by_inv_.end(), t,
                                     [this](Nanoseconds wanted, uint32_t index) {
                                       return wanted < history_.receive(index).inv;
                                     });
    return at == by_inv_.end() ? nullptr : &history_.receive(*at);
  }

  // Whether the lease with this receipt was surely the newest one all the time until `t`.
  bool newest_until(uint64_t wanted, Nanoseconds t, Nanoseconds epsilon) const {
    const auto at =
        std::lower_bound(by_receipt_.begin(), by_receipt_.end(), wanted,
                         [this](uint32_t rank, uint64_t r) { return receipt(rank) < r; });
    if (at == by_receipt_.end() || receipt(*at) != wanted) return false;
    if (soonest_later_[*at] < t) return false;
    const Receive& lease = history_.receive(receives_[*at]);
    // A receive whose answer was lost may have taken a newer lease once this one was over.
    const bool may_be_over = history_.faults().power().touches(lease.inv, t) ||
                             earliest_lease_end(history_, lease, t, t) - epsilon < t;
    // ... or it went to the dead letters, where this delete does not reach it.
    return !may_be_over || (history_.facts(lease.queue).receives_max == 0 &&
                            history_.facts(lease.queue).moved_from >= t &&
                            !history_.facts(lease.queue).hidden_receives.touches(lease.inv, t));
  }

 private:
  uint64_t receipt(uint32_t rank) const { return history_.receive(receives_[rank]).receipt; }

  const History& history_;
  std::span<const uint32_t> receives_;
  std::vector<uint32_t> by_inv_, by_receipt_;
  std::vector<Nanoseconds> soonest_later_;  // per rank: the smallest inv of the receives after it
};

void check_deletes(const History& history, const Limits& limits, KeyId key,
                   const Deliveries& deliveries, Findings& findings) {
  for (const uint32_t at : history.calls_of(key)) {
    const LeaseCall& call = history.call(at);
    if (!call.is_delete || call.outcome != Outcome::ok) continue;
    const Receive* after = deliveries.begun_after(call.done);
    if (after == nullptr) {
      findings.checked(Rule::c3);
      continue;
    }
    if (!deliveries.newest_until(call.receipt, call.done, limits.epsilon)) {
      findings.undecided(Rule::c3);
      continue;
    }
    findings.checked(Rule::c3);
    if (history.faults().may_undo(call.inv, call.done, call.durability, after->done,
                                  limits.sync_slack)) {
      continue;
    }
    findings.violation(Rule::c3, after->done, {call.lines, after->lines}, [&] {
      return fmt::format("a message was received {} ms after its delete was acknowledged",
                         (after->done - call.done) / kMillisecond);
    });
  }
}

// The moment by which the message surely existed, or kForever.
Nanoseconds existed_at(const History& history, const Send& send,
                       std::span<const uint32_t> receives) {
  Nanoseconds t = send.outcome == Outcome::ok ? send.done : kForever;
  for (const uint32_t at : receives)
    t = std::min(t, history.receive(at).done);
  return t;
}

void check_purges(const History& history, const Limits& limits, const Send& send,
                  std::span<const uint32_t> receives, const Deliveries& deliveries,
                  Findings& findings) {
  const std::vector<Removal>& removals = history.facts(send.queue).removals;
  if (removals.empty()) return;
  const Nanoseconds existed = existed_at(history, send, receives);
  auto removal = std::upper_bound(removals.begin(), removals.end(), existed,
                                  [](Nanoseconds t, const Removal& r) { return t < r.inv; });
  for (; removal != removals.end(); ++removal) {
    if (removal->outcome != Outcome::ok) continue;
    findings.checked(Rule::c10);
    const Receive* after = deliveries.begun_after(removal->done);
    if (after == nullptr) return;
    // It may have been among the dead letters by then, and even be back.
    if (after->queue != send.queue || history.may_be_moved(send.queue, after->done)) continue;
    if (history.faults().may_undo(removal->inv, removal->done, removal->durability, after->done,
                                  limits.sync_slack)) {
      continue;
    }
    findings.violation(Rule::c10, after->done, {send.lines, removal->lines, after->lines}, [&] {
      return fmt::format("a message was received {} ms after a purge that covers it",
                         (after->done - removal->done) / kMillisecond);
    });
    return;
  }
}

}  // namespace

void check_removal(const History& history, const Limits& limits, Findings& findings) {
  Deliveries deliveries(history);
  for (KeyId key = 0; key < history.messages(); ++key) {
    const std::span<const uint32_t> receives = history.receives_of(key);
    if (receives.empty()) continue;
    deliveries.load(receives);
    check_deletes(history, limits, key, deliveries, findings);
    const Send* send = history.send_of(key);
    if (send != nullptr) check_purges(history, limits, *send, receives, deliveries, findings);
  }
}

}  // namespace millrace::checker

#include "tests/checker/faults.h"

#include <algorithm>

namespace millrace::checker {

void Faults::add(Op op, Nanoseconds inv, Nanoseconds done) {
  if (op == Op::power) power_.add(inv, done);
  if (op == Op::power || op == Op::kill) deaths_.push_back(done);
  if (op == Op::full || op == Op::clock) {
    windows_.add(inv, done);
  } else {
    until_boot_.push_back({inv, done});
  }
}

void Faults::seal() {
  std::sort(boots_.begin(), boots_.end(),
            [](const Boot& a, const Boot& b) { return a.done < b.done; });
  for (const Boot& boot : boots_)
    windows_.add(boot.inv, boot.done);
  for (const Stretch& stretch : until_boot_) {
    const auto next =
        std::upper_bound(boots_.begin(), boots_.end(), stretch.inv,
                         [](Nanoseconds t, const Boot& boot) { return t < boot.done; });
    windows_.add(stretch.inv, next == boots_.end() ? kForever : std::max(next->done, stretch.done));
  }
  std::sort(deaths_.begin(), deaths_.end());
  power_.seal();
  windows_.seal();
}

bool Faults::may_undo(Nanoseconds inv, Nanoseconds done, Durability promised, Nanoseconds until,
                      Nanoseconds sync_slack) const {
  switch (promised.level) {
    case Durability::Level::absent:
    case Durability::Level::commit:
      return false;
    case Durability::Level::none:
      return power_.touches(inv, until);
    case Durability::Level::interval:
      break;
  }
  if (done == kForever) return power_.touches(inv, until);
  const Nanoseconds safe = done + promised.interval_ms * kMillisecond + sync_slack;
  return power_.touches(inv, std::min(until, safe));
}

Nanoseconds Faults::death_after(Nanoseconds t) const {
  const auto next = std::upper_bound(deaths_.begin(), deaths_.end(), t);
  return next == deaths_.end() ? kForever : *next;
}

}  // namespace millrace::checker

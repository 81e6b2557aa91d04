// Faults: what the harness did to the server and when.
//
// Three questions are asked of it: was the run free of faults in a stretch of time; could a power
// loss have undone something acknowledged then; and when did the process that held a request die.
#pragma once

#include <vector>

#include "tests/checker/interval_set.h"
#include "tests/checker/records.h"

namespace millrace::checker {

class Faults {
 public:
  void add(Op op, Nanoseconds inv, Nanoseconds done);
  void add_boot(const Boot& boot) { boots_.push_back(boot); }
  void seal();

  // No kill, power loss, I/O error, full disk, clock change or start touches (begin, end). A kill,
  // a power loss and an I/O error last until the next start is complete.
  bool quiet(Nanoseconds begin, Nanoseconds end) const { return !windows_.touches(begin, end); }

  const IntervalSet& power() const { return power_; }

  // Whether a power loss that touches (inv, until) may have taken back what was acknowledged at
  // `done` with this promise (promises.md a3). `sync_slack`: the longest sync to be reckoned with.
  bool may_undo(Nanoseconds inv, Nanoseconds done, Durability promised, Nanoseconds until,
                Nanoseconds sync_slack) const;

  // The end of the process that was, or came to be, alive at `t`: nothing sent to it acts later.
  Nanoseconds death_after(Nanoseconds t) const;

  const std::vector<Boot>& boots() const { return boots_; }

 private:
  struct Stretch {
    Nanoseconds inv, done;
  };
  IntervalSet power_, windows_;
  std::vector<Stretch> until_boot_;
  std::vector<Nanoseconds> deaths_;
  std::vector<Boot> boots_;
};

}  // namespace millrace::checker

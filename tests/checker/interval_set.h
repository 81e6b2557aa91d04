// IntervalSet: stretches of time, and the question whether one of them, or how many, touch another.
//
// Used for power losses, fault windows and receives of unknown outcome. Filled first, then sealed,
// then asked: O(n log n) once, O(log n) a question. Open ends: stretches that only meet do not
// touch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "tests/checker/event.h"

namespace millrace::checker {

class IntervalSet {
 public:
  void add(Nanoseconds begin, Nanoseconds end) {
    begins_.push_back(begin);
    ends_.push_back(end);
  }

  void seal() {
    std::sort(begins_.begin(), begins_.end());
    std::sort(ends_.begin(), ends_.end());
  }

  // How many stretches touch (begin, end): those that begin before its end, less those over by its
  // begin. The second kind is part of the first as long as begin < end.
  size_t touching(Nanoseconds begin, Nanoseconds end) const {
    if (begin >= end) return 0;
    const auto begun = std::lower_bound(begins_.begin(), begins_.end(), end) - begins_.begin();
    const auto over = std::upper_bound(ends_.begin(), ends_.end(), begin) - ends_.begin();
    return static_cast<size_t>(begun - over);
  }
  bool touches(Nanoseconds begin, Nanoseconds end) const { return touching(begin, end) != 0; }

  // The begin of the first stretch whose end is after `t`, or kForever. Right when stretches do not
  // overlap each other, which power losses never do.
  Nanoseconds first_ending_after(Nanoseconds t) const {
    const auto at = std::upper_bound(ends_.begin(), ends_.end(), t) - ends_.begin();
    return static_cast<size_t>(at) == begins_.size() ? kForever : begins_[static_cast<size_t>(at)];
  }
  Nanoseconds last_end() const { return ends_.empty() ? 0 : ends_.back(); }
  bool empty() const { return begins_.empty(); }

 private:
  std::vector<Nanoseconds> begins_, ends_;
};

}  // namespace millrace::checker

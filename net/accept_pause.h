// AcceptPause: the little while in which a reactor does not accept, after the kernel had no
// descriptor or memory for a connection. Accepting at once again would only fail again, as fast as
// the thread can turn.   Threads: the reactor's.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "base/os_clock.h"

namespace millrace::net {

class AcceptPause {
 public:
  // Whether this errno of an accept is a lack of ours; others are the bad luck of one peer (a
  // connection reset before it was accepted) and no reason to stop.
  static bool calls_for_one(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == ENOSPC;
  }

  void begin() { until_ns_ = base::os_monotonic_ns() + kLengthNs; }
  void cancel() { until_ns_ = 0; }
  // True once, when it is over.
  bool ends() {
    if (until_ns_ == 0 || base::os_monotonic_ns() < until_ns_) return false;
    until_ns_ = 0;
    return true;
  }
  // A wait (negative: for ever) cut to the end of the pause.
  int64_t limit(int64_t wait_ns) const {
    if (until_ns_ == 0) return wait_ns;
    const int64_t left = std::max<int64_t>(1, until_ns_ - base::os_monotonic_ns());
    return wait_ns < 0 ? left : std::min(wait_ns, left);
  }

 private:
  static constexpr int64_t kLengthNs = 100'000'000;
  int64_t until_ns_ = 0;  // 0: no pause
};

}  // namespace millrace::net

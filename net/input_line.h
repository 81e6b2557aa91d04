// InputLine: the connections of a reactor whose last piece was long (net/input_pacing.h), in the
// order in which they are read again, as many in a turn as it has time for.
//
// A connection that closed may still stand in it, also under its number's next holder: what is
// called for each must bear that.   Threads: the reactor's.
#pragma once

#include <cstdint>
#include <deque>

#include "base/os_clock.h"
#include "net/input_pacing.h"

namespace millrace::net {

class InputLine {
 public:
  bool empty() const { return connections_.empty(); }
  void join(uint32_t connection) { connections_.push_back(connection); }
  // A long piece was handled in this time.
  void handled(size_t bytes, int64_t ns) { pacing_.handled(bytes, ns); }

  // The events of the last turn are handled.
  void begin_turn() {
    if (!empty()) pacing_.begin_turn(base::os_monotonic_ns() - told_ns_);
  }
  // Calls read(connection, bytes at most) for those at its head, each of whom leaves the line
  // first. After begin_turn(), once.
  template <class Read>
  void serve(uint32_t bytes_max, Read read) {
    for (size_t left = connections_.size(); left > 0; --left) {
      const uint32_t piece_bytes = pacing_.next_piece(bytes_max);
      if (piece_bytes == 0) return;
      const uint32_t connection = connections_.front();
      connections_.pop_front();
      read(connection, piece_bytes);
    }
  }
  // The turn's events are about to be handled.
  void end_turn() {
    if (!empty()) told_ns_ = base::os_monotonic_ns();
  }

 private:
  InputPacing pacing_;
  std::deque<uint32_t> connections_;
  int64_t told_ns_ = 0;
};

}  // namespace millrace::net

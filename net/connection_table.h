// ConnectionTable: a reactor's connections by number, and the events it tells about them.
//
// A number is given out again only after the batch of events in which its `closed` was told: until
// then the caller may still meet it. What happens between two turns (a close, a socket that epoll
// would not take) is told first in the next batch, so that every event comes out of run_turn().
// `State` is the reactor's own part of a connection, default-constructed while the number is free;
// its `ended` says that `end` was told.   Threads: the reactor's.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "net/reactor.h"

namespace millrace::net {

template <class State>
class ConnectionTable {
 public:
  uint32_t add(const State& state) {
    if (free_.empty()) {
      states_.push_back(state);
      return static_cast<uint32_t>(states_.size() - 1);
    }
    const uint32_t id = free_.back();
    free_.pop_back();
    states_[id] = state;
    return id;
  }
  State& operator[](uint32_t id) { return states_[id]; }
  const State& operator[](uint32_t id) const { return states_[id]; }
  auto begin() const { return states_.begin(); }
  auto end() const { return states_.end(); }

  // A turn's batch is told between these two; it stays until the next begin_turn().
  void begin_turn() {
    free_.insert(free_.end(), told_closed_.begin(), told_closed_.end());
    told_closed_.clear();
    events_.clear();
    std::swap(events_, early_);
    for (const Event& event : events_) {
      if (event.kind == EventKind::closed) told_closed_.push_back(event.connection);
    }
    in_turn_ = true;
  }
  std::span<const Event> end_turn() {
    in_turn_ = false;
    return events_;
  }
  bool nothing_told() const { return events_.empty(); }

  void tell(const Event& event) { (in_turn_ ? events_ : early_).push_back(event); }
  // `end`, once; a second time only for an error after the peer had merely stopped sending.
  void tell_end(uint32_t id, int error) {
    State& state = states_[id];
    if (state.broken || (state.ended && error == 0)) return;
    state.ended = true;
    state.broken = error != 0;
    tell({.kind = EventKind::end, .connection = id, .error = error});
  }
  // The socket is closed and the kernel holds nothing of the connection any more.
  void tell_closed(uint32_t id) {
    states_[id] = {};
    if (in_turn_) told_closed_.push_back(id);
    tell({.kind = EventKind::closed, .connection = id});
  }

 private:
  std::vector<State> states_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> told_closed_;  // in the batch under way: free after it
  std::vector<Event> events_;
  std::vector<Event> early_;  // made between turns
  bool in_turn_ = false;
};

}  // namespace millrace::net

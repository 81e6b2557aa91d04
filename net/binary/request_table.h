// RequestTable: the requests of one connection that the shard has not answered yet.
//
// A request's token, which the shard gives back with the answer, is its place here. Places are
// reused; the table grows to the most that were ever under way at once, up to Limits::inflight_max,
// and trim() gives it up. Threads: shard-local.   Memory: 24 bytes a place.
#pragma once

#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "millrace/wire.h"

namespace millrace::net {

struct PendingRequest {
  uint64_t correlation = 0;  // 0: the place is free
  uint32_t queue = 0;        // 0: about no queue
  uint32_t count = 0;  // of the messages or entries it has; in a free place: the next free one
  wire::Opcode opcode{};
  bool waits = false;    // a RECEIVE that asked to wait for messages
  bool details = false;  // a QUEUE_STATS that asked for attributes, tags and times
};

class RequestTable {
 public:
  uint32_t size() const { return size_; }

  uint32_t add(const PendingRequest& request) {
    ++size_;
    if (free_ == kNone) {
      places_.push_back(request);
      return static_cast<uint32_t>(places_.size() - 1);
    }
    const uint32_t place = free_;
    free_ = places_[place].count;
    places_[place] = request;
    return place;
  }

  PendingRequest& at(uint32_t place) { return places_[place]; }
  PendingRequest remove(uint32_t place) {
    MR_ASSERT(place < places_.size() && places_[place].correlation != 0);
    const PendingRequest request = places_[place];
    places_[place] = {.count = free_};
    free_ = place;
    --size_;
    return request;
  }

  // Calls fn(place, request) for each; fn may remove that one.
  template <class Fn>
  void for_each(Fn&& fn) {
    for (uint32_t place = 0; place < places_.size(); ++place) {
      if (places_[place].correlation != 0) fn(place, places_[place]);
    }
  }

  void clear() {
    places_.clear();
    free_ = kNone;
    size_ = 0;
  }
  void trim() {
    if (size_ > 0) return;
    clear();
    places_.shrink_to_fit();
  }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  std::vector<PendingRequest> places_;
  uint32_t free_ = kNone;
  uint32_t size_ = 0;
};

}  // namespace millrace::net

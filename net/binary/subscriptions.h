// Subscriptions of one connection, and how much of the client's credit the shard may use at once.
//
// The client's credit can be thousands of messages; the shard gets a window of it that is worth
// about kWindowBytes, and more only while the output is under its bound. So a peer that grants much
// and reads nothing holds a window of messages leased, not its whole credit. Threads: shard-local.
// Memory: 40 bytes each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace millrace::net {

struct Subscription {
  uint64_t correlation = 0;  // 0: the place is free
  uint64_t credit = 0;       // the client's, not yet given to the shard
  uint64_t granted = 0;      // given to the shard and not used yet
  uint64_t largest = 128;    // message of the last push, bytes
  uint32_t queue = 0;

  static constexpr uint64_t kWindowBytes = 1u << 20;
  static constexpr uint64_t kWindowMessages = 4096;
  static constexpr uint64_t kFirstWindow = 64;

  // Takes from the credit what may be given to the shard now; 0: nothing.
  uint64_t take_grant() {
    const uint64_t window = std::clamp<uint64_t>(kWindowBytes / largest, 1, kWindowMessages);
    // Half-empty before it is filled: a grant a push would be a call a message.
    if (granted > window / 2) return 0;
    const uint64_t grant = std::min(credit, window - granted);
    credit -= grant;
    granted += grant;
    return grant;
  }
};

class Subscriptions {
 public:
  static constexpr uint32_t kMax = 256;
  static constexpr uint32_t kNotFound = 0xFFFFFFFF;

  // kNotFound if there are kMax.
  uint32_t add(const Subscription& subscription) {
    for (uint32_t place = 0; place < places_.size(); ++place) {
      if (places_[place].correlation != 0) continue;
      places_[place] = subscription;
      return place;
    }
    if (places_.size() == kMax) return kNotFound;
    places_.push_back(subscription);
    return static_cast<uint32_t>(places_.size() - 1);
  }
  uint32_t find(uint64_t correlation) const {
    for (uint32_t place = 0; place < places_.size(); ++place) {
      if (places_[place].correlation == correlation) return place;
    }
    return kNotFound;
  }
  Subscription& at(uint32_t place) { return places_[place]; }
  void remove(uint32_t place) { places_[place] = {}; }

  template <class Fn>
  void for_each(Fn&& fn) {
    for (uint32_t place = 0; place < places_.size(); ++place) {
      if (places_[place].correlation != 0) fn(place, places_[place]);
    }
  }

 private:
  std::vector<Subscription> places_;
};

}  // namespace millrace::net

#include "engine/fair_groups.h"

#include <map>
#include <optional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/prng.h"

namespace millrace::engine {
namespace {

constexpr Slot kNoEnd{UINT64_MAX};

GroupKey tenant(uint64_t n) {
  return {n * 0x9E3779B97F4A7C15ULL, n};
}

// A partition's slot index and its groups, driven as the partition does it. Group 0: none.
class Tenants : public testing::Test {
 protected:
  uint64_t send(uint64_t group, std::optional<TimerKind> hidden = {}) {
    const Slot slot = index_.append(Position{(raw(index_.end()) + 1) * 8});
    if (!hidden) index_.set_ready(slot, true);
    if (group != 0) groups_.join(slot, tenant(group), hidden);
    return raw(slot);
  }
  void send(uint64_t group, int count) {
    for (int i = 0; i < count; ++i)
      send(group);
  }
  void lease(uint64_t slot) {
    index_.set_ready(Slot{slot}, false);
    groups_.hide(Slot{slot});
    groups_.lease_began(Slot{slot});
    ++in_flight_;
  }
  void give_back(uint64_t slot) {
    groups_.lease_ended(Slot{slot});
    --in_flight_;
    if (!groups_.show(Slot{slot})) index_.set_ready(Slot{slot}, true);
  }
  void take_away(uint64_t slot, bool leased) {
    if (leased) {
      groups_.lease_ended(Slot{slot});
      --in_flight_;
    }
    index_.erase(Slot{slot});
    groups_.leave(Slot{slot});
  }
  std::vector<uint64_t> receive(size_t max, Slot end = kNoEnd) {
    std::vector<uint64_t> slots;
    groups_.begin(end, in_flight_);
    while (slots.size() < max) {
      const auto slot = groups_.next();
      if (!slot) break;
      slots.push_back(raw(*slot));
    }
    for (const uint64_t slot : slots)
      lease(slot);
    return slots;
  }

  SlotIndex index_;
  FairGroups groups_{index_};
  uint64_t in_flight_ = 0;
};
using Slots = std::vector<uint64_t>;

TEST_F(Tenants, WithNobodyNoisyTheOldestComesFirst) {
  send(1, 3);  // 0 1 2
  send(0, 1);  // 3
  send(2, 1);  // 4
  send(1, 1);  // 5
  EXPECT_EQ(receive(2), (Slots{0, 1}));
  EXPECT_EQ(receive(10), (Slots{2, 3, 4, 5}));
  EXPECT_EQ(receive(10), Slots{});
}

TEST_F(Tenants, WhoHasMuchInFlightWaitsForTheOthers) {
  send(1, 100);  // 0 to 99
  send(2, 2);    // 100, 101
  send(0, 1);    // 102
  EXPECT_EQ(receive(30).size(), 30u);
  EXPECT_EQ(receive(5), (Slots{100, 101, 102, 30, 31}));
  send(0, 1);
  EXPECT_EQ(receive(2), (Slots{103, 32}));
}

TEST_F(Tenants, BelowThirtyInFlightNobodyIsNoisy) {
  send(1, 100);
  send(2, 1);
  EXPECT_EQ(receive(29).size(), 29u);
  EXPECT_EQ(receive(1), Slots{29});
  EXPECT_EQ(receive(1), Slots{100});
}

TEST_F(Tenants, ATenthOfWhatIsInFlightIsNotNoisy) {
  send(0, 270);                          // 0 to 269
  send(1, 40);                           // 270 to 309
  send(2, 1);                            // 310
  EXPECT_EQ(receive(300).size(), 300u);  // 30 of group 1, of 300
  EXPECT_EQ(receive(1), Slots{300});     // now 31 of 301
  EXPECT_EQ(receive(1), Slots{310});
}

TEST_F(Tenants, OfNoisyOnesTheOneWithTheFewestInFlightGoesFirst) {
  send(1, 60);  // 0 to 59
  send(2, 60);  // 60 to 119
  for (uint64_t slot = 0; slot < 34; ++slot)
    lease(slot);
  for (uint64_t slot = 60; slot < 92; ++slot)
    lease(slot);
  EXPECT_EQ(receive(5), (Slots{92, 93, 34, 94, 35}));
}

TEST_F(Tenants, WhoseLeasesEndIsQuietAgain) {
  send(1, 50);
  EXPECT_EQ(receive(40).size(), 40u);
  send(2, 1);  // 50
  EXPECT_EQ(receive(2), (Slots{50, 40}));
  for (uint64_t slot = 0; slot < 40; ++slot)
    take_away(slot, true);
  send(2, 1);  // 51
  EXPECT_EQ(receive(2), (Slots{41, 42}));
}

TEST_F(Tenants, WhatCameBackIsFirstOfItsGroup) {
  send(1, 6);
  EXPECT_EQ(receive(4).size(), 4u);
  give_back(2);
  give_back(0);
  EXPECT_EQ(receive(1), Slots{2});  // in the order they came back
  EXPECT_EQ(receive(3), (Slots{0, 4, 5}));
  // An empty list is as good as new: back in their places.
  give_back(4);
  give_back(5);
  EXPECT_EQ(receive(10), (Slots{4, 5}));
}

TEST_F(Tenants, WhatIsDelayedIsInNoList) {
  const uint64_t delayed = send(1, TimerKind::delay);
  send(1, 1);
  EXPECT_EQ(receive(10), Slots{1});
  EXPECT_TRUE(groups_.show(Slot{delayed}));
  EXPECT_EQ(receive(10), Slots{delayed});
}

TEST_F(Tenants, NothingAboveTheEndIsGiven) {
  send(1, 3);
  send(2, 1);
  EXPECT_EQ(receive(10, Slot{2}), (Slots{0, 1}));
  EXPECT_EQ(receive(10, Slot{3}), Slots{2});
  for (int i = 0; i < 40; ++i)
    lease(send(2));
  EXPECT_EQ(receive(10, Slot{3}), Slots{});
  EXPECT_FALSE(groups_.something_aside(kNoEnd));
  EXPECT_EQ(receive(0), Slots{});
  groups_.begin(kNoEnd, in_flight_);
  EXPECT_EQ(groups_.next(), Slot{3});  // noisy, and set aside by this
  EXPECT_TRUE(groups_.something_aside(kNoEnd));
  EXPECT_FALSE(groups_.something_aside(Slot{3}));
  EXPECT_FALSE(index_.next_ready(Slot{0}, kNoEnd).has_value());
}

// Against plain sets: each receive gives as many as there are, none twice, and none of a noisy
// group while it leaves one of another.
TEST_F(Tenants, AgreeWithPlainSetsOverRandomTraffic) {
  struct Message {
    uint64_t group = 0;
    enum class State { ready, leased, delayed } state = State::ready;
  };
  base::Prng random(7);
  std::map<uint64_t, Message> messages;
  uint64_t noisy_receives = 0;
  const auto pick = [&](Message::State state) -> std::optional<uint64_t> {
    auto at = messages.lower_bound(random.below(raw(index_.end()) + 1));
    for (int tries = 0; tries < 20 && at != messages.end(); ++tries, ++at)
      if (at->second.state == state) return at->first;
    return std::nullopt;
  };
  for (int step = 0; step < 40'000; ++step) {
    const bool filling = step / 4'000 % 2 == 0;
    const uint64_t dice = random.below(100);
    if (dice < (filling ? 45u : 20u)) {
      // One of the groups sends as much as all others; some messages are of none.
      const uint64_t group = random.below(2) == 0 ? 1 : random.below(12);
      const bool delayed = random.below(10) == 0;
      const uint64_t slot = send(group, delayed ? std::optional(TimerKind::delay) : std::nullopt);
      messages[slot] = {group, delayed ? Message::State::delayed : Message::State::ready};
    } else if (dice < 60) {
      std::map<uint64_t, uint64_t> in_flight, ready;
      uint64_t ready_in_all = 0;
      for (const auto& [slot, message] : messages) {
        in_flight[message.group] += message.state == Message::State::leased;
        if (message.state == Message::State::ready) ++ready[message.group], ++ready_in_all;
      }
      const auto noisy = [&](uint64_t group) {
        return group != 0 && in_flight[group] >= 30 && in_flight[group] * 10 > in_flight_;
      };
      const size_t max = 1 + random.below(10);
      const Slots got = receive(max);
      ASSERT_EQ(got.size(), std::min<size_t>(max, ready_in_all)) << step;
      bool some_noisy = false;
      for (const uint64_t slot : got) {
        Message& message = messages.at(slot);
        ASSERT_EQ(message.state, Message::State::ready) << step;
        message.state = Message::State::leased;
        --ready[message.group];
        some_noisy = some_noisy || noisy(message.group);
      }
      noisy_receives += some_noisy;
      // in_flight_ has grown since; noisy() is asked of what was.
      in_flight_ -= got.size();
      for (const auto& [group, left] : ready) {
        ASSERT_TRUE(!some_noisy || left == 0 || noisy(group)) << step;
      }
      in_flight_ += got.size();
    } else if (dice < 90) {
      if (const auto slot = pick(Message::State::leased)) {
        if (random.below(2) == 0) {
          give_back(*slot);
          messages[*slot].state = Message::State::ready;
        } else {
          take_away(*slot, true);
          messages.erase(*slot);
        }
      }
    } else if (dice < 95) {
      if (const auto slot = pick(Message::State::delayed)) {
        if (!groups_.show(Slot{*slot})) index_.set_ready(Slot{*slot}, true);
        messages[*slot].state = Message::State::ready;
      }
    } else if (const auto slot = pick(Message::State::ready)) {
      take_away(*slot, false);
      messages.erase(*slot);
    }
  }
  EXPECT_GT(noisy_receives, 500u);
}

TEST_F(Tenants, AMillionGroupsOfOneMessageCostAtMost72BytesEach) {
  constexpr uint64_t kGroups = 1'000'000;
  for (uint64_t i = 0; i < kGroups; ++i)
    send(i + 1);
  // 60 a group, 12 a message; the slot index's 5 are apart.
  EXPECT_LE(groups_.memory_bytes(), kGroups * 72);
  for (uint64_t i = 0; i < kGroups; ++i)
    take_away(i, false);
  EXPECT_EQ(groups_.groups(), 0u);
  EXPECT_LE(groups_.memory_bytes(), uint64_t{1} << 20);
}

}  // namespace
}  // namespace millrace::engine

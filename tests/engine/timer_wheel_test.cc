#include "engine/timer_wheel.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/prng.h"

namespace millrace::engine {
namespace {

constexpr int64_t kNow = 1'800'000'000'000;  // 2027
constexpr int64_t kDay = 86'400'000;

struct Fired {
  uint64_t slot;
  int64_t deadline;
  friend bool operator==(const Fired&, const Fired&) = default;
};

TimerTarget about(uint64_t slot) {
  return {1, TimerKind::lease, Slot{slot}};
}

// Everything that is due at `now`.
std::vector<Fired> advance(TimerWheel& wheel, int64_t now) {
  std::vector<Fired> fired;
  for (int turn = 0; turn < 1000; ++turn) {
    wheel.advance(TimeMs{now}, UINT32_MAX, [&](const TimerTarget& target, TimeMs deadline) {
      fired.push_back({raw(target.slot), deadline.value});
    });
    if (wheel.next_deadline().value > now) break;
  }
  return fired;
}

TEST(TimerWheel, FiresAtItsDeadlineNotBefore) {
  TimerWheel wheel(TimeMs{kNow});
  wheel.start(TimeMs{kNow + 30'000}, about(5));
  EXPECT_TRUE(advance(wheel, kNow + 29'999).empty());
  EXPECT_EQ(advance(wheel, kNow + 30'000), (std::vector<Fired>{{5, kNow + 30'000}}));
  EXPECT_TRUE(advance(wheel, kNow + kDay).empty());
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimerWheel, GivesBackItsTargetWhole) {
  TimerWheel wheel(TimeMs{kNow});
  constexpr Slot kLast{(uint64_t{1} << 48) - 1};
  constexpr uint32_t kPartition = (1u << 31) - 1;
  const TimerId timer = wheel.start(TimeMs{kNow + 9}, {kPartition, TimerKind::delay, kLast});
  EXPECT_EQ(wheel.target(timer).partition, kPartition);
  EXPECT_EQ(wheel.target(timer).kind, TimerKind::delay);
  EXPECT_EQ(wheel.target(timer).slot, kLast);
  EXPECT_EQ(wheel.deadline(timer), TimeMs{kNow + 9});
  TimerTarget target;
  EXPECT_EQ(wheel.advance(TimeMs{kNow + 9}, 10, [&](const TimerTarget& t, TimeMs) { target = t; }),
            1u);
  EXPECT_EQ(target.partition, kPartition);
  EXPECT_EQ(target.kind, TimerKind::delay);
  EXPECT_EQ(target.slot, kLast);
}

TEST(TimerWheel, ADeadlineThatIsPastFiresOnTheNextAdvance) {
  TimerWheel wheel(TimeMs{kNow});
  wheel.start(TimeMs{kNow}, about(1));
  wheel.start(TimeMs{kNow - kDay}, about(2));
  EXPECT_EQ(wheel.next_deadline(), TimeMs{kNow});
  EXPECT_EQ(advance(wheel, kNow).size(), 2u);
}

TEST(TimerWheel, FiresInDeadlineOrderThroughAllLevels) {
  TimerWheel wheel(TimeMs{kNow});
  const int64_t after[] = {60 * kDay, 1,      255,        256,  257,
                           65'535,    65'536, 16'777'216, kDay, 50 * kDay};
  for (const int64_t ms : after)
    wheel.start(TimeMs{kNow + ms}, about(static_cast<uint64_t>(ms)));
  const std::vector<Fired> fired = advance(wheel, kNow + 61 * kDay);
  ASSERT_EQ(fired.size(), std::size(after));
  for (size_t i = 1; i < fired.size(); ++i)
    EXPECT_LT(fired[i - 1].deadline, fired[i].deadline);
}

TEST(TimerWheel, TakesAtMostWhatItIsAskedFor) {
  TimerWheel wheel(TimeMs{kNow});
  for (uint64_t slot = 0; slot < 10; ++slot)
    wheel.start(TimeMs{kNow + 5}, about(slot));
  const auto ignore = [](const TimerTarget&, TimeMs) {};
  EXPECT_EQ(wheel.advance(TimeMs{kNow + 5}, 4, ignore), 4u);
  EXPECT_EQ(wheel.size(), 6u);
  EXPECT_LE(wheel.next_deadline().value, kNow + 5);
  EXPECT_EQ(wheel.advance(TimeMs{kNow + 5}, 4, ignore), 4u);
  EXPECT_EQ(wheel.advance(TimeMs{kNow + 5}, 4, ignore), 2u);
  EXPECT_EQ(wheel.next_deadline(), kNever);
}

TEST(TimerWheel, StopsAndRestartsAtEveryLevel) {
  const int64_t spans[] = {0, 3, 300, 70'000, 20'000'000, 55 * kDay};
  for (const int64_t from : spans) {
    for (const int64_t to : spans) {
      TimerWheel wheel(TimeMs{kNow});
      // Neighbours in the same bucket, so that first, middle and last of a list are unlinked.
      std::vector<TimerId> timers;
      for (uint64_t slot = 0; slot < 5; ++slot) {
        timers.push_back(wheel.start(TimeMs{kNow + from}, about(slot)));
      }
      wheel.stop(timers[4]);
      wheel.stop(timers[2]);
      wheel.restart(timers[0], TimeMs{kNow + to});
      EXPECT_EQ(wheel.size(), 3u);
      EXPECT_EQ(wheel.deadline(timers[0]), TimeMs{kNow + to});
      std::multimap<int64_t, uint64_t> expected{{kNow + to, 0}, {kNow + from, 1}, {kNow + from, 3}};
      std::multimap<int64_t, uint64_t> fired;
      for (const int64_t at : {std::min(from, to), std::max(from, to), 56 * kDay}) {
        for (const Fired& f : advance(wheel, kNow + at)) {
          EXPECT_LE(f.deadline, kNow + at) << "early";
          fired.emplace(f.deadline, f.slot);
        }
      }
      const std::set<std::pair<int64_t, uint64_t>> want(expected.begin(), expected.end());
      const std::set<std::pair<int64_t, uint64_t>> got(fired.begin(), fired.end());
      EXPECT_EQ(fired.size(), 3u);
      EXPECT_EQ(got, want) << from << " to " << to;
    }
  }
}

TEST(TimerWheel, MayBeChangedByWhatItFires) {
  TimerWheel wheel(TimeMs{kNow});
  wheel.start(TimeMs{kNow + 1}, about(1));
  const TimerId victim = wheel.start(TimeMs{kNow + 2}, about(2));
  const TimerId moved = wheel.start(TimeMs{kNow + 3}, about(3));
  std::vector<uint64_t> fired;
  wheel.advance(TimeMs{kNow + 10}, 100, [&](const TimerTarget& target, TimeMs) {
    fired.push_back(raw(target.slot));
    if (raw(target.slot) != 1) return;
    wheel.stop(victim);
    wheel.restart(moved, TimeMs{kNow + 20});
    wheel.start(TimeMs{kNow + 4}, about(4));
  });
  EXPECT_EQ(fired, (std::vector<uint64_t>{1, 4}));
  EXPECT_EQ(wheel.size(), 1u);
}

TEST(TimerWheel, NextDeadlineLeadsToATimerInFewSteps) {
  for (const int64_t ms : {int64_t{1}, int64_t{77}, int64_t{30'000}, int64_t{900'000}, kDay / 2,
                           40 * kDay, 400 * kDay}) {
    TimerWheel wheel(TimeMs{kNow});
    wheel.start(TimeMs{kNow + ms}, about(1));
    int wakes = 0;
    int64_t now = kNow;
    while (wheel.size() > 0) {
      const int64_t next = wheel.next_deadline().value;
      ASSERT_GT(next, now) << ms;
      ASSERT_LE(next, kNow + ms);
      now = next;
      advance(wheel, now);
      ++wakes;
    }
    EXPECT_EQ(now, kNow + ms);
    // One per level, and one per 2^32 ms beyond them.
    EXPECT_LE(wakes, 5 + ms / (int64_t{1} << 32)) << ms;
  }
}

TEST(TimerWheel, NextDeadlineOfAnEmptyWheelIsNever) {
  TimerWheel wheel(TimeMs{kNow});
  EXPECT_EQ(wheel.next_deadline(), kNever);
  wheel.stop(wheel.start(TimeMs{kNow + 5}, about(1)));
  EXPECT_EQ(wheel.next_deadline(), kNever);
}

TEST(TimerWheel, TimeNeverGoesBack) {
  TimerWheel wheel(TimeMs{kNow});
  advance(wheel, kNow + 1000);
  wheel.start(TimeMs{kNow + 500}, about(1));
  EXPECT_EQ(advance(wheel, kNow + 600).size(), 1u);
  wheel.start(TimeMs{kNow + 1001}, about(2));
  EXPECT_TRUE(advance(wheel, kNow + 900).empty());
  EXPECT_EQ(advance(wheel, kNow + 1001).size(), 1u);
}

TEST(TimerWheel, ABucketFullOfTimersComesDownInBoundedSteps) {
  TimerWheel wheel(TimeMs{kNow});
  constexpr uint32_t kTimers = 5 * TimerWheel::kCascadeMax / 2;
  constexpr int64_t kDeadline = kNow + 40'000'000;
  for (uint64_t slot = 0; slot < kTimers; ++slot)
    wheel.start(TimeMs{kDeadline}, about(slot));
  uint32_t fired = 0;
  const auto count = [&](const TimerTarget&, TimeMs) { ++fired; };
  int turns = 0;
  while (wheel.next_deadline().value <= kDeadline && turns < 100) {
    wheel.advance(TimeMs{kDeadline}, UINT32_MAX, count);
    ++turns;
  }
  EXPECT_EQ(fired, kTimers);
  EXPECT_GE(turns, 3);
}

TEST(TimerWheel, StopsWhatIsHalfwayBetweenLevels) {
  TimerWheel wheel(TimeMs{kNow});
  constexpr uint32_t kTimers = 3 * TimerWheel::kCascadeMax;
  constexpr int64_t kDeadline = kNow + 40'000'000;
  std::vector<TimerId> timers;
  for (uint64_t slot = 0; slot < kTimers; ++slot) {
    timers.push_back(wheel.start(TimeMs{kDeadline}, about(slot)));
  }
  wheel.advance(TimeMs{kDeadline}, UINT32_MAX, [](const TimerTarget&, TimeMs) {});
  for (const TimerId timer : timers)
    wheel.stop(timer);
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_TRUE(advance(wheel, kDeadline + kDay).empty());
}

TEST(TimerWheel, MemoryOfABurstIsGivenBackWhenTheLastTimerEnds) {
  TimerWheel wheel(TimeMs{kNow});
  std::vector<TimerId> timers;
  for (uint64_t slot = 0; slot < 1'000'000; ++slot) {
    timers.push_back(wheel.start(TimeMs{kNow + 30'000}, about(slot)));
  }
  EXPECT_LE(wheel.memory_bytes(), 25'000'000u);
  for (const TimerId timer : timers)
    wheel.stop(timer);
  EXPECT_LE(wheel.memory_bytes(), 500'000u);
}

// Random operations beside a sorted set.
class WheelModel {
 public:
  explicit WheelModel(uint64_t seed) : random_(seed) {}

  void run(int operations) {
    for (int i = 0; i < operations && !::testing::Test::HasFatalFailure(); ++i) {
      const uint64_t dice = random_.below(100);
      if (timers_.empty() || dice < 45) {
        start();
      } else if (dice < 60) {
        restart();
      } else if (dice < 75) {
        stop();
      } else {
        advance();
      }
      check_next_deadline();
    }
  }

 private:
  struct Timer {
    TimerId id;
    int64_t deadline;
    bool late;  // was due when it was started
  };

  int64_t span() {
    constexpr int64_t kSpans[] = {1,         10,         256,  5'000,    65'536,
                                  3'600'000, 16'777'216, kDay, 60 * kDay};
    return static_cast<int64_t>(random_.below(static_cast<uint64_t>(kSpans[random_.below(9)]) + 1));
  }
  std::map<uint64_t, Timer>::iterator any() {
    auto it = timers_.lower_bound(random_.below(next_slot_));
    return it == timers_.end() ? timers_.begin() : it;
  }
  void start() {
    const int64_t deadline = now_ + span() - (random_.chance(1, 20) ? 1000 : 0);
    const uint64_t slot = next_slot_++;
    timers_[slot] = {wheel_.start(TimeMs{deadline}, about(slot)), deadline, deadline <= now_};
    deadlines_.insert(deadline);
  }
  void restart() {
    Timer& timer = any()->second;
    deadlines_.erase(deadlines_.find(timer.deadline));
    timer.deadline = now_ + span();
    timer.late = timer.deadline <= now_;
    deadlines_.insert(timer.deadline);
    wheel_.restart(timer.id, TimeMs{timer.deadline});
  }
  void stop() {
    const auto it = any();
    wheel_.stop(it->second.id);
    deadlines_.erase(deadlines_.find(it->second.deadline));
    timers_.erase(it);
  }
  void advance() {
    now_ +=
        random_.chance(1, 3) ? std::min(span(), kDay) : static_cast<int64_t>(random_.below(300));
    int64_t last = INT64_MIN;
    const auto max = static_cast<uint32_t>(random_.between(1, 50));
    uint32_t n = max;
    while (n == max) {
      n = wheel_.advance(TimeMs{now_}, max, [&](const TimerTarget& target, TimeMs deadline) {
        const auto it = timers_.find(raw(target.slot));
        ASSERT_NE(it, timers_.end()) << "fired twice, or after it was stopped";
        ASSERT_EQ(it->second.deadline, deadline.value);
        ASSERT_LE(deadline.value, now_) << "early";
        if (!it->second.late) {
          ASSERT_GE(deadline.value, last) << "out of order";
          last = deadline.value;
        }
        deadlines_.erase(deadlines_.find(deadline.value));
        timers_.erase(it);
      });
    }
    if (!deadlines_.empty()) {
      ASSERT_GT(*deadlines_.begin(), now_) << "late";
    }
  }
  void check_next_deadline() {
    ASSERT_EQ(wheel_.size(), timers_.size());
    const int64_t next = wheel_.next_deadline().value;
    if (deadlines_.empty()) {
      ASSERT_EQ(next, kNever.value);
      return;
    }
    ASSERT_LE(next, std::max(now_, *deadlines_.begin()));
    if (*deadlines_.begin() <= now_) return;
    ASSERT_GT(next, now_);
    // In the same 256 ms it is exact.
    if (*deadlines_.begin() / 256 == now_ / 256) {
      ASSERT_EQ(next, *deadlines_.begin());
    }
  }

  base::Prng random_;
  int64_t now_ = kNow;
  TimerWheel wheel_{TimeMs{kNow}};
  uint64_t next_slot_ = 1;
  std::map<uint64_t, Timer> timers_;  // by slot
  std::multiset<int64_t> deadlines_;
};

TEST(TimerWheel, AgreesWithASortedSetUnderRandomOperations) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    WheelModel(seed).run(100'000);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace millrace::engine

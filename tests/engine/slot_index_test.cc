#include "engine/slot_index.h"

#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/engine/ready_slots.h"

namespace millrace::engine {
namespace {

constexpr Slot kAll{UINT64_MAX};
constexpr uint64_t kGroup = 64 * kPage;

TEST(SlotIndex, AppendedMessageIsAliveAndNotReady) {
  SlotIndex index;
  const Slot slot = index.append(at(0));
  EXPECT_EQ(slot, Slot{0});
  EXPECT_EQ(index.end(), Slot{1});
  EXPECT_TRUE(index.live(slot));
  EXPECT_FALSE(index.ready(slot));
  EXPECT_EQ(index.position(slot), at(0));
  EXPECT_EQ(index.receive_count(slot), 0u);
  EXPECT_EQ(index.timer(slot), kNoTimer);
  EXPECT_EQ(index.next_ready(Slot{0}, kAll), std::nullopt);
  EXPECT_EQ(index.live_count(), 1u);
  EXPECT_EQ(index.ready_count(), 0u);
}

TEST(SlotIndex, EmptyIndexAnswersForAnySlot) {
  SlotIndex index;
  for (const Slot slot : {Slot{0}, Slot{kPage}, Slot{kGroup}, Slot{(uint64_t{1} << 48) - 1}}) {
    EXPECT_FALSE(index.live(slot));
    EXPECT_FALSE(index.ready(slot));
    EXPECT_EQ(index.timer(slot), kNoTimer);
    EXPECT_EQ(index.ready_run(slot, 10, kAll), 0u);
    EXPECT_EQ(index.next_live(slot), std::nullopt);
    EXPECT_EQ(index.next_ready(slot, kAll), std::nullopt);
  }
  EXPECT_EQ(index.first_live(), index.end());
}

TEST(SlotIndex, HoldsAtThePageAndGroupEdges) {
  for (const uint64_t edge : {uint64_t{64}, uint64_t{kPage}, uint64_t{2 * kPage}, kGroup}) {
    SlotIndex index;
    append_ready(index, edge + 1);
    EXPECT_FALSE(index.live(Slot{edge + 1}));
    EXPECT_EQ(index.ready_run(Slot{edge - 2}, 100, kAll), 3u);
    EXPECT_EQ(index.ready_run(Slot{edge - 2}, 100, Slot{edge}), 2u);
    EXPECT_EQ(index.ready_run(Slot{edge - 2}, 1, kAll), 1u);
    EXPECT_EQ(index.next_ready(Slot{edge}, kAll), Slot{edge});
    EXPECT_EQ(index.next_ready(Slot{edge}, Slot{edge}), std::nullopt);
    EXPECT_EQ(index.next_live(Slot{edge}), Slot{edge});
    index.erase(Slot{edge});
    EXPECT_EQ(index.next_ready(Slot{edge}, kAll), std::nullopt);
    EXPECT_EQ(index.next_live(Slot{edge}), std::nullopt);
    index.erase(Slot{edge - 1});
    EXPECT_EQ(index.live_count(), edge - 1);
    append_ready(index, 1);
    EXPECT_EQ(index.next_ready(Slot{edge - 1}, kAll), Slot{edge + 1});
    EXPECT_EQ(index.ready_run(Slot{0}, UINT32_MAX, kAll), edge - 1);
  }
}

TEST(SlotIndex, ReadyMessagesComeInOrderAndBackAgain) {
  SlotIndex index;
  append_ready(index, 3 * kPage);
  for (uint64_t n = 0; n < 3 * kPage; ++n) {
    ASSERT_EQ(index.next_ready(Slot{0}, kAll), Slot{n});
    index.set_ready(Slot{n}, false);
  }
  EXPECT_EQ(index.next_ready(Slot{0}, kAll), std::nullopt);
  // Leases that end, the later first: the hint moves back each time.
  for (const uint64_t n : {2 * kPage + 5, kPage + 5, 5u}) {
    index.set_ready(Slot{n}, true);
    EXPECT_EQ(index.next_ready(Slot{0}, kAll), Slot{n});
  }
  EXPECT_EQ(index.next_ready(Slot{6}, kAll), Slot{kPage + 5});
  EXPECT_EQ(index.next_ready(Slot{0}, Slot{5}), std::nullopt);
  EXPECT_EQ(index.next_ready(Slot{0}, Slot{6}), Slot{5});
}

TEST(SlotIndex, ARunIsAppendedWithItsOffsets) {
  for (const uint64_t before : {0u, 1u, 63u, 64u, kPage - 1, kPage}) {
    SlotIndex index;
    append_ready(index, before);
    std::vector<uint32_t> offsets;
    for (uint32_t n = 0; n < 3000; ++n)
      offsets.push_back(n * 40 + n % 3 * 8);
    const Slot first = index.append_run(Position{1 << 20}, offsets);
    EXPECT_EQ(raw(first), before);
    EXPECT_EQ(raw(index.end()), before + 3000);
    EXPECT_EQ(index.live_count(), before + 3000);
    EXPECT_EQ(index.ready_count(), before);
    for (uint32_t n = 0; n < 3000; ++n) {
      ASSERT_TRUE(index.live(first + n));
      ASSERT_EQ(index.position(first + n).value, (1u << 20) + offsets[n]);
    }
    EXPECT_EQ(index.set_ready_run(first, 3000), 3000u);
    EXPECT_EQ(index.set_ready_run(first, 3000), 0u);
    EXPECT_EQ(index.ready_run(first, UINT32_MAX, kAll), 3000u);
  }
}

TEST(SlotIndex, AnEmptyRunChangesNothing) {
  SlotIndex index;
  EXPECT_EQ(index.append_run(Position{64}, {}), Slot{0});
  EXPECT_EQ(index.end(), Slot{0});
  EXPECT_EQ(index.set_ready_run(Slot{0}, 10), 0u);
}

TEST(SlotIndex, ARunBecomesReadyExceptWhatIsDelayedOrGone) {
  SlotIndex index;
  const std::vector<uint32_t> offsets(2 * kPage, 0);
  index.append_run(Position{4096}, offsets);
  index.set_timer(Slot{3}, TimerId{1});
  index.set_timer(Slot{kPage}, TimerId{2});
  index.erase(Slot{4});
  EXPECT_EQ(index.set_ready_run(Slot{2}, 2 * kPage), 2 * kPage - 5);
  EXPECT_FALSE(index.ready(Slot{1}));
  EXPECT_TRUE(index.ready(Slot{2}));
  EXPECT_FALSE(index.ready(Slot{3}));
  EXPECT_FALSE(index.ready(Slot{4}));
  EXPECT_FALSE(index.ready(Slot{kPage}));
  EXPECT_EQ(index.ready_count(), 2 * kPage - 5);
}

TEST(SlotIndex, PositionsOutOfThePagesRangeAreKeptExactly) {
  constexpr uint64_t kRange = (uint64_t{UINT32_MAX} + 1) * 8;  // 32 GiB
  SlotIndex index;
  append_ready(index, 10);
  index.move(Slot{1}, Position{at(0).value + kRange - 8});  // the last that fits
  const uint64_t narrow_bytes = index.memory_bytes();
  EXPECT_EQ(index.position(Slot{1}).value, at(0).value + kRange - 8);
  index.move(Slot{2}, Position{at(0).value + kRange});
  EXPECT_GT(index.memory_bytes(), narrow_bytes);
  index.move(Slot{3}, Position{uint64_t{1} << 62});
  index.move(Slot{4}, Position{8});  // before the base
  EXPECT_EQ(index.position(Slot{0}), at(0));
  EXPECT_EQ(index.position(Slot{1}).value, at(0).value + kRange - 8);
  EXPECT_EQ(index.position(Slot{2}).value, at(0).value + kRange);
  EXPECT_EQ(index.position(Slot{3}).value, uint64_t{1} << 62);
  EXPECT_EQ(index.position(Slot{4}).value, 8u);
  EXPECT_EQ(index.position(Slot{9}), at(9));
  // Appends go on in a page that was widened, one at a time and as a run.
  index.append(Position{uint64_t{1} << 61});
  const std::vector<uint32_t> offsets{0, 8, 16};
  index.append_run(Position{uint64_t{3} << 60}, offsets);
  EXPECT_EQ(index.position(Slot{10}).value, uint64_t{1} << 61);
  EXPECT_EQ(index.position(Slot{13}).value, (uint64_t{3} << 60) + 16);
}

TEST(SlotIndex, AStretchIsFromTheLeastToTheGreatestPosition) {
  SlotIndex index;
  append_ready(index, 3 * kPage);
  const auto stretch = [&](uint64_t first, uint32_t count) {
    const SlotIndex::Stretch found = index.stretch_of(Slot{first}, count);
    return std::pair(found.first, found.last);
  };
  EXPECT_EQ(stretch(5, 1), std::pair(at(5), at(5)));
  EXPECT_EQ(stretch(5, 2 * kPage), std::pair(at(5), at(4 + 2 * kPage)));
  index.move(Slot{10}, at(9'000'000));  // carried
  EXPECT_EQ(stretch(5, 10), std::pair(at(5), at(9'000'000)));
  index.move(Slot{12}, Position{uint64_t{1} << 60});
  index.move(Slot{13}, Position{8});
  EXPECT_EQ(stretch(5, kPage), std::pair(Position{8}, Position{uint64_t{1} << 60}));
}

TEST(SlotIndex, LiveSlotsAreVisitedThoughTheyAreErasedMeanwhile) {
  SlotIndex index;
  append_ready(index, 3 * kPage);
  for (uint64_t n = 0; n < 2 * kPage; n += 2)
    index.erase(Slot{n});
  std::vector<uint64_t> seen;
  index.for_each_live(Slot{kPage - 4}, Slot{uint64_t{1} << 40}, [&](SlotIndex::Entry entry) {
    seen.push_back(raw(entry.slot()));
    EXPECT_EQ(index.position(entry), at(seen.back()));
    if (seen.back() < 2 * kPage) index.erase(entry);
  });
  ASSERT_EQ(seen.size(), 2 + kPage / 2 + kPage);
  EXPECT_EQ(seen[0], kPage - 3);
  EXPECT_EQ(seen[2], kPage + 1);
  EXPECT_EQ(seen.back(), 3 * kPage - 1);
  EXPECT_EQ(index.live_count(), kPage / 2 - 2 + kPage);
}

TEST(SlotIndex, AppendsThatJumpFarAheadInThePageAreKeptExactly) {
  SlotIndex index;
  index.append(Position{8});
  index.append(Position{uint64_t{1} << 40});
  const std::vector<uint32_t> offsets{0, 4096};
  index.append_run(Position{uint64_t{1} << 41}, offsets);
  EXPECT_EQ(index.position(Slot{0}).value, 8u);
  EXPECT_EQ(index.position(Slot{1}).value, uint64_t{1} << 40);
  EXPECT_EQ(index.position(Slot{3}).value, (uint64_t{1} << 41) + 4096);
}

TEST(SlotIndex, ReceiveCountsAreExactBeyondAByte) {
  SlotIndex index;
  append_ready(index, 3);
  for (const uint32_t count : {1u, 254u, 255u, 256u, 1u << 31, UINT32_MAX, 255u, 254u, 0u}) {
    index.set_receive_count(Slot{1}, count);
    EXPECT_EQ(index.receive_count(Slot{1}), count);
    EXPECT_EQ(index.receive_count(Slot{0}), 0u);
    EXPECT_EQ(index.receive_count(Slot{2}), 0u);
  }
}

TEST(SlotIndex, ATimerKeepsAMessageFromBeingReadyUntilItIsCleared) {
  SlotIndex index;
  append_ready(index, 2);
  index.set_ready(Slot{0}, false);
  index.set_timer(Slot{0}, TimerId{7});
  EXPECT_EQ(index.timer(Slot{0}), TimerId{7});
  EXPECT_EQ(index.timer(Slot{1}), kNoTimer);
  EXPECT_EQ(index.holder(Slot{0}), 0u);
  index.set_timer(Slot{0}, TimerId{8}, 5);
  EXPECT_EQ(index.timer(Slot{0}), TimerId{8});
  EXPECT_EQ(index.holder(Slot{0}), 5u);
  EXPECT_EQ(index.holder(Slot{1}), 0u);
  index.set_timer(Slot{0}, kNoTimer);
  EXPECT_EQ(index.holder(Slot{0}), 0u);
  index.set_timer(Slot{0}, kNoTimer);
  EXPECT_EQ(index.timer(Slot{0}), kNoTimer);
  index.set_ready(Slot{0}, true);
  EXPECT_EQ(index.next_ready(Slot{0}, kAll), Slot{0});
}

TEST(SlotIndex, StartsAtALaterSlotWhileEmpty) {
  SlotIndex index;
  append_ready(index, 5);
  for (uint64_t n = 0; n < 5; ++n)
    index.erase(Slot{n});
  constexpr uint64_t kStart = kGroup * 3 + 77;
  index.start_at(Slot{kStart});
  EXPECT_EQ(index.first_live(), Slot{kStart});
  EXPECT_EQ(index.append(at(1)), Slot{kStart});
  EXPECT_FALSE(index.live(Slot{kStart - 1}));
  EXPECT_TRUE(index.live(Slot{kStart}));
}

TEST(SlotIndex, SlotsSkippedInReplayAreDead) {
  SlotIndex index;
  index.append_at(Slot{10}, at(0));
  index.append_at(Slot{11}, at(1));
  index.append_at(Slot{kPage - 1}, at(2));
  index.append_at(Slot{kPage}, at(3));
  index.append_at(Slot{5 * kGroup + 3}, at(4));
  std::vector<uint64_t> live;
  index.for_each_live([&](Slot slot) { live.push_back(raw(slot)); });
  EXPECT_EQ(live, (std::vector<uint64_t>{10, 11, kPage - 1, kPage, 5 * kGroup + 3}));
  EXPECT_EQ(index.end(), Slot{5 * kGroup + 4});
  EXPECT_EQ(index.position(Slot{kPage}), at(3));
}

TEST(SlotIndex, ADeadSlotBroughtBackIsAsNew) {
  SlotIndex index;
  append_ready(index, 3);
  index.set_receive_count(Slot{1}, 300);
  index.erase(Slot{1});
  index.skip_to(Slot{3 * kGroup});
  for (const uint64_t slot : {uint64_t{1}, uint64_t{2 * kGroup}, kGroup + 7, 3 * kGroup - 1}) {
    index.insert(Slot{slot}, at(slot));
    EXPECT_TRUE(index.live(Slot{slot}));
    EXPECT_FALSE(index.ready(Slot{slot}));
    EXPECT_EQ(index.position(Slot{slot}), at(slot));
    EXPECT_EQ(index.receive_count(Slot{slot}), 0u);
  }
  index.insert(Slot{5}, Position{8});  // before the page's base
  EXPECT_EQ(index.position(Slot{5}), Position{8});
  EXPECT_EQ(index.position(Slot{2}), at(2));
  std::vector<uint64_t> live;
  index.for_each_live([&](Slot slot) { live.push_back(raw(slot)); });
  EXPECT_EQ(live, (std::vector<uint64_t>{0, 1, 2, 5, kGroup + 7, 2 * kGroup, 3 * kGroup - 1}));
  EXPECT_EQ(index.append(at(1)), Slot{3 * kGroup});
}

TEST(SlotIndex, AStragglerHoldsItsPageAndNothingElse) {
  SlotIndex index;
  append_ready(index, 1);
  const uint64_t one_page = index.memory_bytes();
  std::vector<uint32_t> offsets(1000);
  uint64_t position = 1 << 20;
  for (int batch = 0; batch < 10'000; ++batch, position += 8000) {
    for (uint32_t n = 0; n < 1000; ++n)
      offsets[n] = n * 8;
    const Slot first = index.append_run(Position{position}, offsets);
    index.set_ready_run(first, 1000);
    for (uint32_t n = 0; n < 1000; ++n)
      index.erase(first + n);
  }
  EXPECT_EQ(index.live_count(), 1u);
  EXPECT_EQ(index.next_ready(Slot{0}, kAll), Slot{0});
  EXPECT_EQ(index.next_ready(Slot{1}, kAll), std::nullopt);
  // Two pages and two groups at most, whatever passed by.
  EXPECT_LE(index.memory_bytes(), 2 * one_page + 1024);
}

TEST(SlotIndex, ClearToErasesWhatIsBelowInAnyState) {
  for (const uint64_t below : {uint64_t{0}, uint64_t{1}, uint64_t{kPage}, uint64_t{kPage + 70},
                               kGroup + 5, kGroup + 2 * kPage, 2 * kGroup}) {
    SlotIndex index;
    append_ready(index, kGroup + 2 * kPage);
    uint64_t timers_below = 0;
    for (uint64_t n = 0; n < raw(index.end()); n += 100) {
      index.set_ready(Slot{n}, false);
      index.set_timer(Slot{n}, TimerId{static_cast<uint32_t>(n)});
      index.set_receive_count(Slot{n}, 300);
      timers_below += n < below;
    }
    index.erase(Slot{1});
    const uint64_t live = index.live_count();
    const uint64_t erased = std::min(below, raw(index.end())) - (below > 1 ? 1 : 0);
    uint64_t stopped = 0;
    EXPECT_EQ(index.clear_to(Slot{below},
                             [&](TimerId timer) {
                               EXPECT_EQ(static_cast<uint32_t>(timer), stopped * 100);
                               ++stopped;
                             }),
              erased);
    EXPECT_EQ(stopped, timers_below);
    EXPECT_EQ(index.live_count(), live - erased);
    EXPECT_GE(raw(index.first_live()), std::min(below, raw(index.end())));
    if (const auto ready = index.next_ready(Slot{0}, kAll)) {
      EXPECT_GE(raw(*ready), below);
    }
    append_ready(index, 1);
    EXPECT_EQ(index.end(), Slot{kGroup + 2 * kPage + 1});
  }
}

TEST(SlotIndex, ClearToTellsEverySlotIfAsked) {
  SlotIndex index;
  append_ready(index, 2 * kPage);
  index.set_ready(Slot{5}, false);
  index.set_timer(Slot{5}, TimerId{9});
  uint64_t next = 0;
  index.clear_to(Slot{kPage + 3}, [&](Slot slot, Position position, TimerId timer) {
    EXPECT_EQ(raw(slot), next);
    EXPECT_EQ(position, at(next));
    EXPECT_EQ(timer, next == 5 ? TimerId{9} : kNoTimer);
    ++next;
  });
  EXPECT_EQ(next, kPage + 3);
}

TEST(SlotIndex, MisuseStopsTheProcess) {
  SlotIndex index;
  append_ready(index, 2);
  EXPECT_DEATH(index.append(Position{4}), "value & 7");
  EXPECT_DEATH(index.position(Slot{2}), "live");
  EXPECT_DEATH(index.start_at(Slot{100}), "live_count_ == 0");
  EXPECT_DEATH(index.append_at(Slot{1}, at(5)), "end_");
  EXPECT_DEATH(index.set_timer(Slot{0}, TimerId{1}), "ready");
  index.set_ready(Slot{0}, false);
  index.set_timer(Slot{0}, TimerId{1});
  EXPECT_DEATH(index.set_ready(Slot{0}, true), "timers");
  EXPECT_DEATH(index.erase(Slot{0}), "timers");
}

}  // namespace
}  // namespace millrace::engine

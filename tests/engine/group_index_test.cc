#include "engine/group_index.h"

#include <iterator>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/prng.h"

namespace millrace::engine {
namespace {

GroupKey key(uint64_t n) {
  return {n * 0x9E3779B97F4A7C15ULL, n};
}

TEST(GroupIndex, FirstMessageOfAGroupIsItsHead) {
  GroupIndex index;
  EXPECT_TRUE(index.append(Slot{3}, key(1)));
  EXPECT_FALSE(index.append(Slot{4}, key(1)));
  EXPECT_TRUE(index.append(Slot{5}, key(2)));
  EXPECT_EQ(index.groups(), 2u);
  EXPECT_TRUE(index.is_head(Slot{3}));
  EXPECT_FALSE(index.is_head(Slot{4}));
  EXPECT_EQ(index.next(Slot{3}), Slot{4});
  EXPECT_EQ(index.next(Slot{4}), std::nullopt);
  EXPECT_EQ(index.head(key(2)), Slot{5});
  EXPECT_EQ(index.head(key(9)), std::nullopt);
}

TEST(GroupIndex, RemovingTheHeadUncoversTheNext) {
  GroupIndex index;
  for (uint64_t s = 0; s < 3; ++s)
    (void)index.append(Slot{s}, key(1));
  EXPECT_EQ(index.remove(Slot{1}), std::nullopt);
  EXPECT_EQ(index.next(Slot{0}), Slot{2});
  EXPECT_EQ(index.remove(Slot{0}), Slot{2});
  EXPECT_TRUE(index.is_head(Slot{2}));
  EXPECT_EQ(index.remove(Slot{2}), std::nullopt);
  EXPECT_EQ(index.groups(), 0u);
}

// Against lists kept plainly, with slots that now and then jump further than a link can say.
TEST(GroupIndex, AgreesWithPlainListsOverRandomTraffic) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    base::Prng random(seed);
    GroupIndex index;
    std::map<uint64_t, std::set<uint64_t>> lists;  // group: slots
    std::map<uint64_t, uint64_t> group_of;
    uint64_t slot = 0;
    for (int step = 0; step < 60'000; ++step) {
      const bool filling = step / 5'000 % 2 == 0;
      if (random.below(10) < (filling ? 6u : 3u)) {
        slot +=
            random.below(500) == 0 ? (uint64_t{1} << 31) + random.below(9) : 1 + random.below(3);
        const uint64_t group = random.below(200);
        auto& list = lists[group];
        ASSERT_EQ(index.append(Slot{slot}, key(group)), list.empty());
        list.insert(slot);
        group_of[slot] = group;
      } else if (!group_of.empty()) {
        auto victim = group_of.lower_bound(random.below(slot + 1));
        if (victim == group_of.end()) victim = group_of.begin();
        const auto [gone, group] = *victim;
        auto& list = lists[group];
        const bool was_head = *list.begin() == gone;
        list.erase(gone);
        group_of.erase(victim);
        const auto head = index.remove(Slot{gone});
        ASSERT_EQ(head.has_value(), was_head && !list.empty());
        if (head) {
          ASSERT_EQ(raw(*head), *list.begin());
        }
        if (list.empty()) lists.erase(group);
      }
      if (step % 500 != 0) continue;
      ASSERT_EQ(index.groups(), lists.size());
      for (const auto& [group, list] : lists) {
        ASSERT_EQ(index.head(key(group)), Slot{*list.begin()});
        for (auto at = list.begin(); at != list.end(); ++at) {
          ASSERT_EQ(index.is_head(Slot{*at}), at == list.begin());
          const auto after = std::next(at);
          const auto next = index.next(Slot{*at});
          ASSERT_EQ(next.has_value(), after != list.end());
          if (next) {
            ASSERT_EQ(raw(*next), *after);
          }
        }
      }
    }
  }
}

TEST(GroupIndex, AMillionGroupsOfOneMessageCostAtMost59BytesEach) {
  // With the 5 bytes of the slot index: 64.
  GroupIndex index;
  constexpr uint64_t kGroups = 1'000'000;
  for (uint64_t i = 0; i < kGroups; ++i)
    (void)index.append(Slot{i}, key(i));
  EXPECT_LE(index.memory_bytes(), kGroups * 59);
  for (uint64_t i = 0; i < kGroups; ++i)
    (void)index.remove(Slot{i});
  EXPECT_EQ(index.groups(), 0u);
  EXPECT_LE(index.memory_bytes(), uint64_t{8} << 20);
}

}  // namespace
}  // namespace millrace::engine

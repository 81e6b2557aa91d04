// Who may gather a large frame, and in which order those come who have to wait.
#include "net/input_budget.h"

#include <deque>

#include <gtest/gtest.h>

#include "base/prng.h"

namespace millrace::net::test {
namespace {

TEST(InputBudget, AdmitsInTheOrderOfAskingAsRoomComesFree) {
  InputBudget budget(100);
  EXPECT_TRUE(budget.claim(1, 60));
  EXPECT_TRUE(budget.claim(2, 40));
  EXPECT_FALSE(budget.claim(3, 50));
  EXPECT_FALSE(budget.claim(4, 1));  // it would fit, but it is not first
  EXPECT_FALSE(budget.admit_next().has_value());
  budget.release(2);
  EXPECT_FALSE(budget.admit_next().has_value());
  budget.release(1);
  EXPECT_EQ(budget.admit_next(), 3u);
  EXPECT_EQ(budget.admit_next(), 4u);
  EXPECT_FALSE(budget.contended());
  EXPECT_EQ(budget.granted(), 51u);
  EXPECT_EQ(budget.granted_to(3), 50u);
}

TEST(InputBudget, WhoGoesWhileWaitingLeavesTheLine) {
  InputBudget budget(10);
  EXPECT_TRUE(budget.claim(1, 10));
  EXPECT_FALSE(budget.claim(2, 10));
  EXPECT_FALSE(budget.claim(3, 5));
  EXPECT_EQ(budget.granted_to(2), 0u);
  budget.release(2);
  budget.release(2);
  budget.release(1);
  EXPECT_EQ(budget.admit_next(), 3u);
  budget.release(3);
  EXPECT_EQ(budget.granted(), 0u);
}

TEST(InputBudget, AClaimLargerThanTheWholeIsTheWhole) {
  InputBudget budget(10);
  EXPECT_TRUE(budget.claim(1, 1000));
  EXPECT_EQ(budget.granted(), 10u);
  EXPECT_FALSE(budget.claim(2, 1));
  budget.release(1);
  EXPECT_EQ(budget.admit_next(), 2u);
}

TEST(InputBudget, NeverGrantsMoreThanItHasAndEverybodyHasATurn) {
  base::Prng prng(7);
  InputBudget budget(1000);
  std::deque<uint32_t> reading;
  uint32_t asked = 0;
  uint32_t served = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (prng.chance(1, 2) || reading.empty()) {
      if (budget.claim(asked, 1 + prng.below(400))) reading.push_back(asked);
      ++asked;
    } else {
      budget.release(reading.front());
      reading.pop_front();
      ++served;
    }
    while (const auto next = budget.admit_next())
      reading.push_back(*next);
    EXPECT_LE(budget.granted(), 1000u);
  }
  while (!reading.empty()) {
    budget.release(reading.front());
    reading.pop_front();
    ++served;
    while (const auto next = budget.admit_next())
      reading.push_back(*next);
  }
  EXPECT_EQ(served, asked);
  EXPECT_EQ(budget.granted(), 0u);
}

}  // namespace
}  // namespace millrace::net::test

// Waiters: who is in line, and that serving a line passes nobody in vain.
#include "engine/waiters.h"

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

constexpr QueueId kQueue{7};

class WaitersTest : public testing::Test {
 protected:
  WaiterId add(uint64_t token, bool standing, uint64_t credit, TimeMs due_at = kNever) {
    waiters_.line(kQueue, 0);
    Waiter waiter;
    waiter.to = {nullptr, token};
    waiter.queue = kQueue;
    waiter.standing = standing;
    waiter.credit = credit;
    return waiters_.add(waiter, due_at).value();
  }
  WaiterLine& line() { return *waiters_.find_line(kQueue); }

  Waiters waiters_{TimeMs{0}};
};

TEST_F(WaitersTest, SubscriptionsWithoutCreditAreNotInTheWay) {
  for (uint64_t i = 1; i <= 10'000; ++i)
    add(i, true, 0);
  EXPECT_EQ(waiters_.first(line()), kNoWaiter);
  const WaiterId receive = add(20'000, false, 0);
  EXPECT_EQ(waiters_.first(line()), receive);
  EXPECT_EQ(waiters_.next(receive), kNoWaiter);
  EXPECT_EQ(waiters_.size(), 10'001u);
}

TEST_F(WaitersTest, CreditBringsASubscriptionBackIntoTheLineAndItsEndOutOfIt) {
  const WaiterId first = add(1, true, 0);
  const WaiterId second = add(2, true, 5);
  waiters_.find(first)->credit = 3;
  waiters_.move_to_back(first);
  EXPECT_EQ(waiters_.first(line()), second);
  EXPECT_EQ(waiters_.next(second), first);
  waiters_.find(second)->credit = 0;
  waiters_.move_to_back(second);
  EXPECT_EQ(waiters_.first(line()), first);
  EXPECT_EQ(waiters_.next(first), kNoWaiter);
  waiters_.remove(first);
  EXPECT_EQ(waiters_.first(line()), kNoWaiter);
  EXPECT_EQ(waiters_.any(line()), second);  // a deleted queue ends those at rest too
  waiters_.remove(second);
  EXPECT_EQ(waiters_.any(line()), kNoWaiter);
}

TEST_F(WaitersTest, WaitsThatAreOverLeaveInAnyOrder) {
  std::vector<WaiterId> all;
  for (uint64_t i = 1; i <= 100; ++i)
    all.push_back(add(i, false, 0, TimeMs{10}));
  EXPECT_EQ(waiters_.expire(TimeMs{20}, 1'000, [](Waiter&) {}), 100u);
  ASSERT_EQ(line().due.size(), 100u);
  for (size_t i = 0; i < all.size(); i += 3)
    waiters_.remove(all[i]);
  EXPECT_EQ(line().due.size(), 66u);
  for (const WaiterId id : line().due)
    ASSERT_NE(waiters_.find(id), nullptr);
  while (!line().due.empty())
    waiters_.remove(line().due.front());
  EXPECT_EQ(waiters_.size(), 0u);
}

}  // namespace
}  // namespace millrace::engine

#include "base/spsc_ring.h"

#include <memory>
#include <thread>

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(SpscRing, GivesBackInOrderWhatWasPushed) {
  SpscRing<int> ring(4);
  int out = 0;
  EXPECT_TRUE(ring.empty());
  EXPECT_FALSE(ring.pop(out));
  // Many turns of a small ring, at each fill level.
  int pushed = 0;
  int popped = 0;
  for (int turn = 0; turn < 100; ++turn) {
    for (int n = 0; n <= turn % 4; ++n) {
      int value = pushed;
      ASSERT_TRUE(ring.push(value));
      ++pushed;
    }
    while (ring.pop(out))
      EXPECT_EQ(out, popped++);
    EXPECT_EQ(popped, pushed);
    EXPECT_TRUE(ring.empty());
  }
}

TEST(SpscRing, RefusesAPushWhenFullAndLeavesTheValue) {
  SpscRing<std::unique_ptr<int>> ring(2);
  auto a = std::make_unique<int>(1);
  auto b = std::make_unique<int>(2);
  auto c = std::make_unique<int>(3);
  EXPECT_TRUE(ring.push(a));
  EXPECT_TRUE(ring.push(b));
  EXPECT_FALSE(ring.push(c));
  ASSERT_NE(c, nullptr);
  EXPECT_EQ(*c, 3);

  std::unique_ptr<int> out;
  EXPECT_TRUE(ring.pop(out));
  EXPECT_EQ(*out, 1);
  EXPECT_TRUE(ring.push(c));
  EXPECT_EQ(c, nullptr);
  EXPECT_TRUE(ring.pop(out));
  EXPECT_TRUE(ring.pop(out));
  EXPECT_EQ(*out, 3);
  EXPECT_FALSE(ring.pop(out));
}

TEST(SpscRing, CarriesEveryValueOnceAndWholeBetweenTwoThreads) {
  // The second word is written by the producer only: seeing it proves that pop sees what push
  // stored before.
  struct Pair {
    uint64_t number = 0;
    std::unique_ptr<uint64_t> square;
  };
  constexpr uint64_t kValues = 300'000;
  // Not on the stack: gcc 12 with AddressSanitizer's use-after-return check does not align it there
  // (gcc bug 110027).
  const auto made = std::make_unique<SpscRing<Pair>>(64);
  SpscRing<Pair>& ring = *made;
  std::thread producer([&ring] {
    for (uint64_t i = 0; i < kValues; ++i) {
      Pair pair{i, std::make_unique<uint64_t>(i * i)};
      while (!ring.push(pair))
        std::this_thread::yield();
    }
  });
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < kValues; ++i) {
    Pair pair;
    while (!ring.pop(pair))
      std::this_thread::yield();
    wrong += pair.number != i || pair.square == nullptr || *pair.square != i * i;
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace millrace::base

// What a message costs in anonymous memory: what memory_bytes() says and what the allocator says.
#include <malloc.h>
#include <vector>

#include <gtest/gtest.h>

#include "engine/slot_index.h"
#include "engine/timer_wheel.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MILLRACE_OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MILLRACE_OWN_ALLOCATOR 0
#endif
#endif
#ifndef MILLRACE_OWN_ALLOCATOR
#define MILLRACE_OWN_ALLOCATOR 1
#endif

namespace millrace::engine {
namespace {

// A sanitizer's allocator keeps no books that mallinfo2 could read.
constexpr bool kAllocatorKeepsBooks = MILLRACE_OWN_ALLOCATOR != 0;

uint64_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class IndexMemory : public ::testing::Test {
 protected:
  void send(uint64_t count) {
    std::vector<uint32_t> offsets(1000);
    for (uint32_t n = 0; n < 1000; ++n)
      offsets[n] = n * 144;  // 128 B and their header
    for (uint64_t sent = 0; sent < count; sent += 1000, position_ += 144'000 + 64) {
      index_.set_ready_run(index_.append_run(Position{position_}, offsets), 1000);
    }
  }
  void lease(uint64_t count) {
    for (uint64_t n = 0; n < count; ++n) {
      const auto slot = index_.next_ready(Slot{0}, Slot{UINT64_MAX});
      ASSERT_TRUE(slot);
      index_.set_ready(*slot, false);
      index_.set_timer(*slot, wheel_.start(TimeMs{kNow + 30'000 + static_cast<int64_t>(n / 1000)},
                                           {0, TimerKind::lease, *slot}));
      index_.set_receive_count(*slot, 1);
      index_.set_received(*slot, {1, 1});
    }
  }
  // Checks both measures of what was taken since the test began.
  void expect_at_most(uint64_t bytes) {
    const uint64_t own = index_.memory_bytes() + wheel_.memory_bytes();
    EXPECT_LE(own, bytes);
    if (!kAllocatorKeepsBooks) return;
    const uint64_t taken = allocated_bytes() - before_;
    EXPECT_LE(taken, bytes);
    // What it says of itself is what it takes, to 3 % and the test's own few kilobytes.
    EXPECT_LE(taken, own + own / 32 + 65'536);
    EXPECT_GE(taken + 65'536, own);
  }

  static constexpr int64_t kNow = 1'800'000'000'000;
  const uint64_t before_ = allocated_bytes();
  SlotIndex index_;
  TimerWheel wheel_{TimeMs{kNow}};
  uint64_t position_ = 4096;
};

TEST_F(IndexMemory, TenMillionReadyMessagesTakeLessThanFiveBytesEach) {
  send(10'000'000);
  EXPECT_EQ(index_.ready_count(), 10'000'000u);
  expect_at_most(50'000'000);
}

TEST_F(IndexMemory, AMillionLeasedMessagesTakeLessThanFortyTwoBytesEach) {
  send(1'000'000);
  lease(1'000'000);
  EXPECT_EQ(index_.ready_count(), 0u);
  expect_at_most(42'000'000);
}

TEST_F(IndexMemory, ADrainedIndexGivesItsMemoryBack) {
  send(1'000'000);
  lease(1'000'000);
  index_.for_each_live([&](Slot slot) { wheel_.stop(index_.timer(slot)); });
  EXPECT_EQ(index_.clear_to(index_.end(), [](TimerId) {}), 1'000'000u);
  expect_at_most(500'000);
}

TEST_F(IndexMemory, OneMessageAtATimeTakesAPage) {
  for (int n = 0; n < 100'000; ++n, position_ += 144) {
    const Slot slot = index_.append(Position{position_});
    index_.set_timer(slot, wheel_.start(TimeMs{kNow + 30'000}, {0, TimerKind::lease, slot}));
    wheel_.stop(index_.timer(slot));
    index_.set_timer(slot, kNoTimer);
    index_.erase(slot);
  }
  EXPECT_LE(index_.memory_bytes(), 16'000u);
}

}  // namespace
}  // namespace millrace::engine

// What is kept of the buffers that a shard's connections give back, and for how long.
#include "net/buffer_pool.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace millrace::net::test {
namespace {

std::vector<Buffer> take(BufferPool& pool, size_t count, size_t bytes) {
  std::vector<Buffer> taken;
  for (size_t i = 0; i < count; ++i)
    taken.push_back(pool.take(bytes));
  return taken;
}

void give_back(BufferPool& pool, std::vector<Buffer> buffers) {
  for (Buffer& buffer : buffers)
    pool.give_back(std::move(buffer));
}

TEST(BufferPool, LendsPowersOfTwoAndCountsThem) {
  BufferPool pool;
  Buffer small = pool.take(1);
  Buffer large = pool.take(kBufferBytesMin + 1);
  EXPECT_EQ(small.capacity, kBufferBytesMin);
  EXPECT_EQ(large.capacity, 2 * kBufferBytesMin);
  EXPECT_EQ(pool.bytes(), 3 * kBufferBytesMin);
  pool.give_back(std::move(small));
  EXPECT_EQ(pool.kept_bytes(), kBufferBytesMin);
  EXPECT_EQ(pool.bytes(), 3 * kBufferBytesMin);
  pool.give_back(std::move(large));
  EXPECT_EQ(pool.kept_bytes(), 3 * kBufferBytesMin);
}

TEST(BufferPool, KeepsNoMoreThanItMay) {
  BufferPool pool(2 * kBufferBytesMin);
  give_back(pool, take(pool, 5, 1));
  EXPECT_EQ(pool.kept_bytes(), 2 * kBufferBytesMin);
  EXPECT_EQ(pool.bytes(), 2 * kBufferBytesMin);
}

TEST(BufferPool, LendsTheBufferThatCameBackLast) {
  BufferPool pool;
  std::vector<Buffer> buffers = take(pool, 3, 1);
  const std::byte* last = buffers.back().data.get();
  give_back(pool, std::move(buffers));
  EXPECT_EQ(pool.take(1).data.get(), last);
}

TEST(BufferPool, TrimmingGivesUpWhatNobodyNeededSinceTheTrimmingBefore) {
  BufferPool pool;
  give_back(pool, take(pool, 8, 1));         // a burst
  give_back(pool, take(pool, 1, 1u << 20));  // and one large answer
  pool.trim();                               // they were needed just now
  EXPECT_EQ(pool.kept_bytes(), 8 * kBufferBytesMin + (1u << 20));
  for (int i = 0; i < 100; ++i)
    give_back(pool, take(pool, 3, 1));  // what is usual
  pool.trim();
  EXPECT_EQ(pool.kept_bytes(), 3 * kBufferBytesMin);
  EXPECT_EQ(pool.bytes(), 3 * kBufferBytesMin);
  pool.trim();
  EXPECT_EQ(pool.kept_bytes(), 0u);
}

TEST(BufferPool, TrimmingLeavesWhatIsLentAlone) {
  BufferPool pool;
  std::vector<Buffer> lent = take(pool, 2, 1);
  pool.trim();
  pool.trim();
  EXPECT_EQ(pool.bytes(), 2 * kBufferBytesMin);
  give_back(pool, std::move(lent));
  pool.trim();
  EXPECT_EQ(pool.kept_bytes(), 2 * kBufferBytesMin);
}

}  // namespace
}  // namespace millrace::net::test

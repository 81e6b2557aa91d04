// How often something took how long: DurationHistogram in powers of two of a millisecond, for what
// messages go through; CommitTimes from 50 microseconds on, for what a disk does.
//
// A bucket's width is as its lower bound, so a quantile is at most twice too high; what is read
// from it is "messages wait for about a minute", not a benchmark. Threads: as any value.  Memory:
// 264 bytes, and 168.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace millrace {

struct DurationHistogram {
  static constexpr uint32_t kBuckets = 32;

  // counts[0]: under 1 ms. counts[i]: from 2^(i-1) up to 2^i ms. The last: all that is longer too.
  std::array<uint64_t, kBuckets> counts{};
  uint64_t sum_ms = 0;

  // Below 0 counts as 0.
  void add(int64_t ms) {
    const auto value = static_cast<uint64_t>(std::max<int64_t>(ms, 0));
    ++counts[std::min<uint32_t>(static_cast<uint32_t>(std::bit_width(value)), kBuckets - 1)];
    sum_ms += value;
  }
  void add(const DurationHistogram& other) {
    for (uint32_t i = 0; i < kBuckets; ++i)
      counts[i] += other.counts[i];
    sum_ms += other.sum_ms;
  }
  uint64_t count() const {
    uint64_t sum = 0;
    for (const uint64_t n : counts)
      sum += n;
    return sum;
  }
  // The upper bound of a bucket, in milliseconds, that the last one has not: it goes on.
  static constexpr uint64_t bound_ms(uint32_t bucket) { return uint64_t{1} << bucket; }
  // What `percent` of all did not take longer than, in milliseconds; 0 if there are none.
  uint64_t percentile_ms(uint32_t percent) const {
    const uint64_t all = count();
    uint64_t below = 0;
    for (uint32_t i = 0; i < kBuckets; ++i) {
      below += counts[i];
      if (below > 0 && below * 100 >= all * percent) return bound_ms(i);
    }
    return 0;
  }
};

// Of one shard, since the broker opened: from the turn in which an answer began to wait for a sync
// to the one in which it was given.
struct CommitTimes {
  static constexpr uint32_t kBuckets = 20;
  static constexpr uint64_t kFirstBoundUs = 50;

  // counts[i]: under bound_us(i), and not under the one before. The last: all that is longer too.
  std::array<uint64_t, kBuckets> counts{};
  uint64_t sum_us = 0;

  // `answers` that took as long, each. Below 0 counts as 0.
  void add(int64_t ns, uint64_t answers) {
    const uint64_t us = static_cast<uint64_t>(std::max<int64_t>(ns, 0)) / 1'000;
    const auto bucket = static_cast<uint32_t>(std::bit_width(us / kFirstBoundUs));
    counts[std::min(bucket, kBuckets - 1)] += answers;
    sum_us += us * answers;
  }
  static constexpr uint64_t bound_us(uint32_t bucket) { return kFirstBoundUs << bucket; }
};

// Of one queue, since the broker opened.
struct QueueTimes {
  DurationHistogram wait;   // from when a message could first be received to when it was
  DurationHistogram lease;  // from its last receive to its ack
};

}  // namespace millrace

// Histogram: counts of durations in log-linear buckets, in the manner of HdrHistogram.
//
// A value below 256 has a bucket of its own; above, each power of two is cut into 128 buckets, so a
// percentile is at most 0.8 % above the value it stands for, never below. Recording is an index
// computation and an increment.
// Memory: 58 KiB, fixed.  Threads: one.  Source: Tene, HdrHistogram.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>

namespace millrace::tools {

class Histogram {
 public:
  static constexpr int kSubBits = 7;  // 128 buckets for each power of two
  static constexpr uint64_t kLinear = uint64_t{1} << (kSubBits + 1);
  static constexpr size_t kBuckets = kLinear + (64 - kSubBits - 1) * (uint64_t{1} << kSubBits);

  void record(uint64_t value, uint64_t times = 1) {
    (*counts_)[bucket_of(value)] += times;
    total_ += times;
    if (value > max_) max_ = value;
  }
  void add(const Histogram& other);

  uint64_t count() const { return total_; }
  uint64_t max() const { return max_; }
  // The smallest recorded value (to the bucket's upper end, never above max()) that at least
  // `percent` of all recorded values do not exceed; 0 if there are none.
  uint64_t percentile(double percent) const;

  static constexpr size_t bucket_of(uint64_t value) {
    if (value < kLinear) return static_cast<size_t>(value);
    const int shift = static_cast<int>(std::bit_width(value)) - (kSubBits + 1);
    return static_cast<size_t>(kLinear + (static_cast<uint64_t>(shift) - 1) * (kLinear / 2) +
                               ((value >> shift) - kLinear / 2));
  }
  // The largest value of a bucket.
  static constexpr uint64_t upper_end(size_t bucket) {
    if (bucket < kLinear) return bucket;
    const uint64_t above = bucket - kLinear;
    const int shift = static_cast<int>(above / (kLinear / 2)) + 1;
    const uint64_t lower = (above % (kLinear / 2) + kLinear / 2) << shift;
    return lower + ((uint64_t{1} << shift) - 1);
  }

 private:
  std::unique_ptr<std::array<uint64_t, kBuckets>> counts_ =
      std::make_unique<std::array<uint64_t, kBuckets>>();
  uint64_t total_ = 0;
  uint64_t max_ = 0;
};

}  // namespace millrace::tools

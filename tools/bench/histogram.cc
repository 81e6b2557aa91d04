#include "tools/bench/histogram.h"

#include <algorithm>
#include <cmath>

namespace millrace::tools {

void Histogram::add(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i)
    (*counts_)[i] += (*other.counts_)[i];
  total_ += other.total_;
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::percentile(double percent) const {
  if (total_ == 0) return 0;
  const double share = std::clamp(percent, 0.0, 100.0) / 100.0 * static_cast<double>(total_);
  const uint64_t wanted = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share)));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += (*counts_)[i];
    if (seen >= wanted) return std::min(upper_end(i), max_);
  }
  return max_;
}

}  // namespace millrace::tools

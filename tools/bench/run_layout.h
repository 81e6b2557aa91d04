// RunLayout: a batch of a load's messages, laid out once; for each request its stamps, groups and
// deduplication ids are patched in place.
//
// A lane's messages take its groups by turns: group = lane * groups_per_lane + sequence %
// groups_per_lane. No two lanes share one, so the order within a group is that of the sequence.
// Threads: one.  Memory: one batch.
#pragma once

#include <cstdint>
#include <vector>

#include "millrace/types.h"
#include "tools/bench/options.h"
#include "tools/bench/sequence_check.h"

namespace millrace::tools {

// Heads and ids together.
inline constexpr uint32_t kBenchPropertiesMax = 64;

class RunLayout {
 public:
  explicit RunLayout(const BenchOptions& options);

  // `count` messages from `stamp` on, one sequence number and `step_ns` after the other.
  Bytes fill(Stamp stamp, uint32_t count, double step_ns);
  uint32_t groups_per_lane() const { return groups_per_lane_; }

 private:
  std::vector<std::byte> run_;
  uint32_t stride_ = 0;
  uint32_t groups_per_lane_ = 0;  // 0: no groups
  bool with_ids_ = false;
  uint32_t group_at_ = 0;  // within a message
  uint32_t id_at_ = 0;
  uint32_t body_at_ = 0;
};

}  // namespace millrace::tools

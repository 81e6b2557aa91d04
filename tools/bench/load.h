// Load: runs one workload over a Transport and keeps the figures.
//
// Closed loop: each lane keeps `inflight` requests under way, and no more than that many batches
// are ever on their way from producer to consumer, so that latency measures the broker and not a
// queue that grows. Open loop (`rate`): message i is to be sent at i / rate whatever the answers
// do, and its latency counts from then: a stall is charged to every message it delays (no
// coordinated omission).
// Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/histogram.h"
#include "tools/bench/options.h"
#include "tools/bench/run_layout.h"
#include "tools/bench/sequence_check.h"
#include "tools/bench/transport.h"

namespace millrace::tools {

struct LoadResult {
  uint64_t messages = 0;  // that went all the way the workload goes
  double seconds = 0;
  Histogram latency_ns;
  std::optional<uint64_t> lost, duplicates, out_of_order;
  std::vector<double> rates;  // messages a second, in steps of kRateStepNs
};
inline constexpr int64_t kRateStepNs = 100'000'000;

class Load final : public LoadEvents {
 public:
  // Batches go to the queues by turns; each lane consumes its share of them, or of one.
  Load(Transport& transport, const BenchOptions& options, std::vector<QueueId> queues,
       bool own_queues);
  // Error: the transport's; failure() then says what.
  Result<bool> run(LoadResult& result);
  const std::string& failure() const { return failure_; }

 private:
  struct Outstanding {  // a send that is not answered
    uint64_t first = 0;
    uint32_t count = 0;
    int64_t since_ns = 0;
  };
  struct Lane {
    uint64_t sequence = 0;
    std::vector<Outstanding> sends;
    std::vector<uint32_t> free;
    std::vector<Receipt> receipts;
    std::deque<int64_t> acks_since_ns;  // a lane's acks are answered in order
    std::vector<uint64_t> credit_due;   // by subscription
    std::vector<uint32_t> arrivals;     // subscriptions whose credit grew in this turn
  };
  enum class Phase : uint8_t { fill, measure, drain };

  void on_sent(uint32_t lane, uint32_t token, Errc error) override;
  void on_arrived(uint32_t lane, uint32_t subscription, std::span<const Arrived> messages) override;
  void on_acked(uint32_t lane, uint32_t count, uint32_t refused) override;

  Status send_what_may(int64_t now_ns);
  Status send_batch(uint32_t lane, uint32_t count, int64_t intended_ns);
  Status acknowledge();
  Status subscribe_all();
  Status turn(int64_t wait_ns);
  Status fill();
  Status measure();
  Status drain();
  bool sends() const;
  bool only_sends() const;
  bool consumes() const;
  bool may_send_more() const;
  uint64_t done() const;
  Status fail_with(std::string_view text, Errc error);
  void note_rate(int64_t now_ns);
  void check_counters(LoadResult& result);

  Transport& transport_;
  const BenchOptions& options_;
  const std::vector<QueueId> queues_;
  const bool own_queues_;
  Phase phase_ = Phase::measure;
  std::vector<Lane> lanes_;
  RunLayout layout_;
  uint32_t run_number_ = 0;
  SequenceCheck check_;
  Histogram latency_;
  int64_t now_ns_ = 0;
  int64_t begin_ns_ = 0;
  int64_t last_done_ns_ = 0;
  uint64_t target_ = 0;  // messages to send; UINT64_MAX: until the time is over
  uint64_t sent_ = 0;
  uint64_t stored_ = 0;
  uint64_t arrived_ = 0;
  uint64_t acked_ = 0;
  uint64_t refused_acks_ = 0;
  uint32_t next_lane_ = 0;
  size_t next_queue_ = 0;
  std::vector<double> rates_;
  int64_t rate_step_ns_ = 0;
  uint64_t rate_done_ = 0;
  std::string failure_;
};

}  // namespace millrace::tools

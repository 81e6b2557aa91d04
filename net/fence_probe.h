// FenceProbe: asks the broker now and then whether a shard is fenced, for the case that nobody's
// answer tells.
#pragma once

#include "millrace/engine.h"
#include "net/stop_gate.h"

namespace millrace::net {

class FenceProbe final : public ReplySink {
 public:
  FenceProbe(ShardPort& port, StopGate& gate) : port_(port), gate_(gate) {}
  ~FenceProbe() override { port_.cancel_all(this); }
  FenceProbe(const FenceProbe&) = delete;
  FenceProbe& operator=(const FenceProbe&) = delete;

  void ask() {
    if (asked_) return;
    asked_ = true;
    port_.broker_stats({this, 0});
  }
  void cancel() {
    port_.cancel_all(this);
    asked_ = false;
  }

 private:
  void on_stats(uint64_t, const BrokerStatsReply& reply) override {
    asked_ = false;
    for (const ShardStats& shard : reply.shards) {
      if (shard.fenced) gate_.report_fence(shard.shard);
    }
  }
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}

  ShardPort& port_;
  StopGate& gate_;
  bool asked_ = false;
};

}  // namespace millrace::net

// HealthFront: /healthz, whether starting anew would help, and /readyz, whether to send work here.
//
// 200 and "ok", or 503 and a line that says why. A fenced shard (a write or sync failed: nothing is
// acknowledged any more) fails both; a full disk and a stop under way fail only /readyz, since a
// restart mends neither. Threads: shard-local; asks all shards through its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "millrace/engine.h"
#include "net/http/front.h"
#include "net/stop_gate.h"

namespace millrace::net {

class HealthFront final : public HttpFront, private ReplySink {
 public:
  static constexpr std::string_view kAlive = "/healthz";
  static constexpr std::string_view kReady = "/readyz";

  HealthFront(ShardPort& port, const StopGate& gate) : port_(port), gate_(gate) {}
  ~HealthFront() override { port_.cancel_all(this); }
  HealthFront(const HealthFront&) = delete;
  HealthFront& operator=(const HealthFront&) = delete;

  void handle(const HttpRequest& request, HttpExchange& exchange) override;
  void cancel(HttpExchange& exchange) override;
  void stop_waiting(HttpExchange&) override {}  // the shards answer by themselves

 private:
  struct Asked {
    HttpExchange* exchange;
    bool ready;
  };

  void on_stats(uint64_t token, const BrokerStatsReply& reply) override;
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}

  // What is wrong, a line; empty if nothing is.
  std::string complaint(const BrokerStatsReply& stats, bool ready) const;

  ShardPort& port_;
  const StopGate& gate_;
  std::vector<Asked> asked_;
};

}  // namespace millrace::net

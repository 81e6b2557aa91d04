// MetricsFront: GET /metrics, for Prometheus.
//
// A scrape asks the shards for a few queues at a time, which they count in turns of their own, and
// writes them down as they come, so that no shard stands still for it; who asks meanwhile gets the
// same answer.
// The first queues by name have series of their own, the others are added up under the empty name.
// A fenced shard gives no figures of queues: then those of the shards are the answer.
//
// Threads: shard-local; figures is lent for the front's life.
// Memory: the answer, some 3 KiB a queue, while a scrape is under way.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/engine.h"
#include "net/audit/audit_log.h"
#include "net/http/front.h"
#include "net/http/request_figures.h"
#include "net/metrics/exposition.h"
#include "net/server_figures.h"
#include "net/topics/publish_figures.h"

namespace millrace::net {

struct MetricsSettings {
  std::string version = "unknown";
  uint32_t queues_max = 1'000;  // queues, and topics, with series of their own
  // All last as long as the server; null: there are none.
  const RequestFigures* sqs_requests = nullptr;
  const RequestFigures* sns_requests = nullptr;
  const topics::PublishFigures* publishes = nullptr;
  const AuditLog* audit = nullptr;
};

class MetricsFront final : public HttpFront, private ReplySink {
 public:
  static constexpr std::string_view kPath = "/metrics";

  MetricsFront(ShardPort& port, const ServerFigures& figures, MetricsSettings settings);
  ~MetricsFront() override { port_.cancel_all(this); }
  MetricsFront(const MetricsFront&) = delete;
  MetricsFront& operator=(const MetricsFront&) = delete;

  void handle(const HttpRequest& request, HttpExchange& exchange) override;
  void cancel(HttpExchange& exchange) override;
  void stop_waiting(HttpExchange&) override {}  // the shards answer by themselves

 private:
  // One that is under way.
  struct Scrape {
    Exposition text;
    uint64_t queues = 0;
    uint64_t left_out = 0;
    QueueCounters rest{};  // of those left out
    std::string last{};    // the last queue that was asked about
  };

  void on_stats(uint64_t token, const BrokerStatsReply& reply) override;
  void on_queues(uint64_t token, const QueueReply& reply) override;
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}

  // Two tenths of a millisecond of a shard's time.
  static constexpr uint32_t kQueuesAtOnce = 16;
  static constexpr uint64_t kList = 1;
  static constexpr uint64_t kCount = 2;

  void ask_next();
  void take(std::span<const QueueInfo> queues);
  void write_process();
  void write_topics(const topics::PublishFigures& publishes);
  void finish(bool complete);

  ShardPort& port_;
  const ServerFigures& figures_;
  const MetricsSettings settings_;
  std::vector<HttpExchange*> asked_;
  std::unique_ptr<Scrape> scrape_;
};

}  // namespace millrace::net

// ResetFront: POST deletes all topics and queues, for test suites that want a server as new. Only
// with --test-api, and only for who is on the same machine.
//
//   200 {"queues":3,"topics":1}   so many were deleted
//   403                           the peer is elsewhere
//   503 and why                   not all could be deleted
//
// What others make meanwhile may be deleted, too. Who asks while one is under way gets its
// answer.  Threads: shard-local; asks the catalog through its own port.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/engine.h"
#include "net/audit/audit_log.h"
#include "net/http/front.h"

namespace millrace::net {

class ResetFront final : public HttpFront, private ReplySink {
 public:
  static constexpr std::string_view kPath = "/_millrace/reset";
  static constexpr std::string_view kMotoPath = "/moto-api/reset";

  // `forget` is called before the answer: what else the server remembers. `audit` may be null.
  ResetFront(ShardPort& port, std::function<void()> forget, AuditLog* audit = nullptr)
      : port_(port), forget_(std::move(forget)), audit_(audit) {}
  ~ResetFront() override { port_.cancel_all(this); }
  ResetFront(const ResetFront&) = delete;
  ResetFront& operator=(const ResetFront&) = delete;

  void handle(const HttpRequest& request, HttpExchange& exchange) override;
  void cancel(HttpExchange& exchange) override { std::erase(asked_, &exchange); }
  void stop_waiting(HttpExchange&) override {}  // the shards answer by themselves

 private:
  void on_queues(uint64_t token, const QueueReply& reply) override;
  void on_topics(uint64_t token, const TopicReply& reply) override;
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}

  static constexpr uint32_t kAtOnce = 1'000;
  // More than as many queues as there may be take: others make them as fast as they go.
  static constexpr uint32_t kRoundsMax = 20;
  static constexpr uint64_t kList = 1;
  static constexpr uint64_t kDelete = 2;

  void remove_topics();
  void list();
  void finish();

  ShardPort& port_;
  const std::function<void()> forget_;
  AuditLog* const audit_;
  std::string asked_from_;  // the first of asked_
  std::vector<HttpExchange*> asked_;
  bool under_way_ = false;
  uint32_t rounds_ = 0;   // lists asked for
  uint64_t pending_ = 0;  // deletions asked for and not answered
  uint64_t deleted_ = 0;  // queues
  uint64_t topics_ = 0;   // that were deleted
  Errc error_ = Errc::ok;
};

}  // namespace millrace::net

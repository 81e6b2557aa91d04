// SqsFront: SQS on one shard, in its JSON protocol and in its older Query protocol.
//
//   SqsFront front(port, std::move(authorizer), shared, {.account = "000000000000"}, seed);
//   front.handle(request, exchange);   // the answer comes now, or inside a later port.tick()
//
// What a request goes through: its protocol is chosen, its caller authenticated, its body decoded
// into the typed input of its action, its queue found, its caller authorised; then the action
// (actions.h) asks the shard. A request that is refused on the way is answered in its own protocol.
//
// Threads: shard-local; port and shared are lent for the front's life.
// Memory: some 300 bytes for each request that the shard has not answered yet, a long poll
// included; decoding and encoding use one scratch, which grows to the largest request and answer.
// Source: docs/sqs-compat.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/aws/json_reader.h"
#include "net/aws/query_reader.h"
#include "net/aws/service_front.h"
#include "net/sqs/actions.h"
#include "net/sqs/call.h"
#include "net/sqs/settings.h"

namespace millrace::net::sqs {

class SqsFront final : public ServiceFront {
 public:
  // `seed` is for request ids.
  SqsFront(ShardPort& port, std::unique_ptr<Authorizer> authorizer, SqsShared& shared,
           const SqsSettings& settings, uint64_t seed);

  void handle(const HttpRequest& request, HttpExchange& exchange) override;
  void cancel(HttpExchange& exchange) override;
  void stop_waiting(HttpExchange& exchange) override;

  size_t under_way() const { return calls_.size(); }

 private:
  friend class Answer;

  void on_send(uint64_t token, const SendReply& reply) override;
  void on_receive(uint64_t token, const ReceiveReply& reply) override;
  void on_results(uint64_t token, const ResultsReply& reply) override;
  void on_peek(uint64_t token, const PeekReply& reply) override;
  void on_queues(uint64_t token, const QueueReply& reply) override;
  void on_stats(uint64_t token, const BrokerStatsReply& reply) override;
  void on_moves(uint64_t token, const MoveReply& reply) override;
  template <class FromShard>
  void answer(uint64_t token, const FromShard& from_shard,
              void (*Action::*how)(Reply&, const FromShard&));

  void handle_json(Request& work, std::string_view target);
  void handle_query(Request& work);
  void perform(Request& work, const void* input);
  // In work.queue; false: it was refused.
  bool find_queue(Request& work, const Text& url);
  bool authorize(Request& work, const void* input);
  AwsError authorize(const Request& work, Access access, const QueueInfo* queue);
  size_t figure_of(const Operation* operation) const override;
  bool asks_for_rest(uint64_t token, Call& call, const ReceiveReply& reply);
  void give_back(std::span<const Delivery> deliveries);

  SqsShared& shared_;
  SqsSettings settings_;
  CallTable<Call> calls_;
  Scratch scratch_;
  JsonReader json_reader_;
  QueryReader query_reader_;
};

}  // namespace millrace::net::sqs

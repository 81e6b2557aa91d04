// SnsFront: the part of SNS that fan-out needs, on one shard, in its Query protocol.
//
//   SnsFront front(port, std::move(authorizer), sqs_front, shared, settings, seed, wake);
//   front.handle(request, exchange);   // the answer comes now, or inside a later port.tick()
//
// It shares its path with SQS, before whose front it stands: what is not for it (request's
// signature, version, action, in this order) is handed on. A request is decoded into the typed
// input of its action, its topic or subscription found, its caller authorised; then the action
// (actions.h) asks the shard.
//
// Threads: shard-local; port, others and shared are lent for the front's life.
// Memory: some 300 bytes for each request that the shard has not answered yet.
// Source: docs/topics.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/aws/call_table.h"
#include "net/aws/query_reader.h"
#include "net/aws/service_front.h"
#include "net/delivery/courier.h"
#include "net/delivery/endpoint_desk.h"
#include "net/sns/actions.h"
#include "net/sns/settings.h"

namespace millrace::net::sns {

class SnsFront final : public ServiceFront, private topics::PublishSink {
 public:
  // `others` gets what is not for SNS. `seed` is for request ids and message ids. `wake` may be
  // called on any thread: turn() must then be called soon.
  SnsFront(ShardPort& port, std::unique_ptr<Authorizer> authorizer, HttpFront& others,
           SnsShared& shared, const SnsSettings& settings, uint64_t seed,
           std::function<void()> wake);

  void handle(const HttpRequest& request, HttpExchange& exchange) override;
  void cancel(HttpExchange& exchange) override;
  void stop_waiting(HttpExchange& exchange) override;

  // Once in each turn of the shard's loop.
  void turn() {
    publisher_.turn();
    if (outside_ != nullptr) outside_->turn();
  }

  size_t under_way() const { return calls_.size(); }

 private:
  friend class Answer;
  struct Call : CallBase {
    std::string region{};
  };
  // What delivers outside.
  struct Outside {
    Outside(ShardPort& port, topics::Signer& signer, delivery::Poster& poster,
            std::function<void()> wake, uint64_t seed, delivery::CourierParts parts)
        : desk(port, signer, poster, std::move(wake), seed), courier(std::move(parts)) {}
    delivery::EndpointDesk desk;
    delivery::Courier courier;
    void turn() {
      desk.turn();
      courier.turn();
    }
  };

  void on_topics(uint64_t token, const TopicReply& reply) override;
  void on_published(uint64_t token, const topics::Published& published) override;
  template <class Done>
  void answer(uint64_t token, const Done& done, void (*Action::*how)(Reply&, const Done&));
  // No action asks for these.
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}

  topics::MayDeliver may_deliver();
  size_t figure_of(const Operation* operation) const override;
  // The certificate that notifications are checked with. False: it is not what is asked for.
  bool answer_certificate(const HttpRequest& request, HttpExchange& exchange);
  // False: the request was refused.
  bool authenticate(Request& work, std::string_view action);
  void perform(Request& work, const Action& action, const void* input);
  // What the input names, in the request. An error of what it names wrongly.
  AwsError find(Request& work, const Action& action, const void* input);
  AwsError authorize(const Request& work, const Action& action);

  HttpFront& others_;
  SnsSettings settings_;
  CallTable<Call> calls_;
  QueryReader query_reader_;
  topics::Publisher publisher_;
  std::unique_ptr<Outside> outside_;  // null: nothing is delivered outside
};

}  // namespace millrace::net::sns

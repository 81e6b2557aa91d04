// Courier: brings what lies in outboxes (millrace/topics.h) to the endpoints of their
// subscriptions.
//
// It has the outboxes whose home its shard is, whatever shards their messages lie on: a standing
// receive each, of kTogether messages. One is leased while it is under way, acknowledged when its
// endpoint has answered with 2xx, and put back for as long as the delivery policy says when it has
// not. After the last retry, or when the endpoint says that it will never take it (4xx but 429) or
// may not be reached, it goes to the subscription's dead-letter queue or is dropped, and counted.
//
// So each is delivered at least once: again when its endpoint's answer was lost, after ten seconds,
// or with this process. How often it was tried is its receive count, which outlives the process.
//
// Threads: shard-local; what is lent lives as long as the courier.
// Memory: of each outbox its subscription; kBytesMax of messages under way and one more each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "millrace/engine.h"
#include "net/delivery/poster.h"
#include "net/topics/delivery_policy.h"
#include "net/topics/fan_out.h"
#include "net/topics/publish_figures.h"

namespace millrace::net::delivery {

struct CourierParts {
  ShardPort& port;
  uint16_t shards = 1;
  Poster& poster;
  std::function<void()> wake;  // see PostingDesk
  topics::MayDeliver may_deliver;
  topics::PublishFigures* figures = nullptr;  // null: nobody counts
};

class Courier final : private ReplySink {
 public:
  static constexpr uint32_t kTogether = 4;  // of an outbox
  static constexpr uint64_t kBytesMax = 64u << 20;
  static constexpr uint32_t kLeaseMs = 30'000;
  static constexpr int64_t kRenewMs = 10'000;
  // Of subscriptions that nobody has confirmed.
  static constexpr int64_t kPendingMs = 48 * 3'600'000;
  static constexpr int64_t kPendingLookMs = 600'000;

  explicit Courier(CourierParts parts);
  ~Courier() override;  // what is under way comes back when its lease ends
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  // Once in each turn of the shard's loop.
  void turn();
  size_t under_way() const { return letters_.size(); }

 private:
  struct Box {
    SubscriptionInfo subscription;
    bool standing = false;  // its receive
    uint32_t owed = 0;      // credit that is not given back yet
    int64_t next_ms = 0;    // when some of it may be
  };
  // A message under way.
  struct Letter {
    SubscriptionId subscription{};
    Receipt receipt;
    uint32_t tries = 0;
    int64_t leased_ms = 0;
    uint64_t bytes = 0;
    bool ends = false;  // it is acknowledged, or put back
    std::string topic_arn{};
    std::string properties{};                         // for the dead-letter queue
    std::shared_ptr<topics::PublishCounts> counts{};  // null: nobody counts
  };
  enum class Step : uint8_t { end, renew };

  void on_receive(uint64_t token, const ReceiveReply& reply) override;
  void on_results(uint64_t token, const ResultsReply& reply) override;
  void on_send(uint64_t token, const SendReply& reply) override;
  void on_topics(uint64_t, const TopicReply&) override {}
  // Nothing of these is asked for.
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}

  void follow();
  void stand(Box& box);
  void take(const Box& box, const Delivery& delivery);
  void posted(uint64_t number, Posted& posted);
  void give_up(uint64_t number, Letter& letter, std::string_view body, std::string_view why);
  // The letter is done, whatever becomes of it: acknowledged, or put back for so long.
  void acknowledge(uint64_t number, Letter& letter);
  void put_back(uint64_t number, Letter& letter, uint32_t ms);
  void forget(uint64_t number);
  void give_credit(Box& box);
  int64_t renew(int64_t now_ms);
  void end_pending();
  void look_at(int64_t ms);
  void look();
  topics::DeliveryPolicy policy_of(const SubscriptionInfo& subscription) const;
  void count(const Letter& letter, std::atomic<uint64_t> topics::PublishCounts::*what) const;

  ShardPort& port_;
  const uint16_t shards_;
  const topics::MayDeliver may_deliver_;
  topics::PublishFigures* const figures_;
  PostingDesk desk_;
  std::unordered_map<uint32_t, Box> boxes_;       // by subscription
  std::unordered_map<uint64_t, Letter> letters_;  // by number
  uint64_t next_ = 0;
  uint64_t bytes_ = 0;  // of letters
  uint64_t seen_ =
      UINT64_MAX;        // of TopicPort::outbox_changes(), when boxes_ were as they should be
  int64_t look_ms_ = 0;  // when credit or leases are looked at next
  int64_t pending_ms_ = 0;
};

}  // namespace millrace::net::delivery

// Publisher: publishes to topics on one shard, for any protocol: finds out who wants a message and
// in which form, builds the forms, has what must be signed signed, and gives them to the engine.
//
// A form is the text for a protocol, raw with its attributes or in an envelope. Nothing is built or
// signed that nobody wants. Who gets a message is decided when it is published.
//
// Each message comes into all of its queues with one record of the shard's log, or into none; a
// publish is answered well when all are durable. So one that is not answered may have been made,
// whole or not at all for each of its messages. What a queue can't take (it is gone, its policy
// forbids it, the message is too large for it or has too many attributes) goes to the
// subscription's dead-letter queue, or is dropped.
//
// Threads: shard-local; what is lent lives as long as the publisher.
// Memory: a copy of each message under way and its forms; of kPublishesMax publishes and kBytesMax
// at most.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "millrace/engine.h"
#include "net/aws/request_id.h"
#include "net/topics/audience.h"
#include "net/topics/envelope.h"
#include "net/topics/fan_out.h"
#include "net/topics/ordered_fan_out.h"
#include "net/topics/publication.h"
#include "net/topics/publish_figures.h"
#include "net/topics/signer.h"

namespace millrace::net::topics {

struct PublishPlace {
  TopicId topic{};
  std::string topic_arn;  // as envelopes call it
  std::string base_url;   // where links in envelopes lead
};

struct Published {
  Errc error = Errc::ok;                       // of all of them
  std::span<const std::string> message_ids{};  // in their order
  std::span<const uint64_t> sequences{};       // likewise, on a FIFO topic
};

class PublishSink {
 public:
  virtual void on_published(uint64_t token, const Published& published) = 0;

 protected:
  ~PublishSink() = default;
};

struct PublisherParts {
  ShardPort& port;
  Signer& signer;
  std::function<void()> wake;  // see SigningDesk
  MayDeliver may_deliver;
  PublishFigures* figures = nullptr;  // null: nobody counts
  uint64_t seed = 0;                  // of message ids
};

class Publisher final : private ReplySink {
 public:
  static constexpr size_t kPublishesMax = 10'000;
  static constexpr size_t kBytesMax = 64u
                                      << 20;  // of messages; their forms are some three times that

  explicit Publisher(PublisherParts parts);
  ~Publisher() override;  // what is under way is answered to nobody
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Messages that have passed the checks (publication.h), at most kPublishedTogetherMax; they are
  // copied. Answered once, at once or later. Errors: topic_not_found, throttled, and those of
  // ShardPort::publish() and publish_ordered().
  void publish(PublishPlace place, std::span<const Publication> messages, PublishSink* sink,
               uint64_t token);
  // Once in each turn of the shard's loop.
  void turn() { desk_.turn(); }
  std::shared_ptr<const SigningKey> signing_key() const { return desk_.key(); }
  size_t under_way() const { return publishes_.size(); }

 private:
  static constexpr size_t kBeingMade = size_t{1} << 32;  // more requests than there can be
  // Messages of which subscribers by this protocol get a text of their own; in a record of theirs.
  struct Apart {
    std::string_view protocol;
    std::vector<PublishedMessage> messages{};
    std::vector<PublishTarget> targets{};
  };
  struct Publish {
    PublishSink* sink = nullptr;
    uint64_t token = 0;
    PublishPlace place;
    std::string timestamp;
    std::string signature_version;
    std::vector<PublishedMessage> messages;
    std::vector<PublishTarget> targets;
    std::vector<Apart> apart;
    size_t bytes = 0;       // of its messages
    size_t requests = 0;    // that are not answered yet; kBeingMade more while they are made
    bool ordered = false;   // to a FIFO topic
    bool by_group = false;  // whose ids count for each group apart
    std::vector<uint64_t> sequences;        // of each message
    std::shared_ptr<PublishCounts> counts;  // of its topic; null: nobody counts
    Errc error = Errc::ok;
  };

  void on_send(uint64_t token, const SendReply& reply) override;
  // Nothing of these is asked for.
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}

  // In all, and of the topic.
  void count(const Publish& publish, std::atomic<uint64_t> PublishCounts::*what, uint64_t more);
  void add_message(const Publication& publication, Publish& publish);
  static void add_order(const Publication& publication, bool by_group, PublishedMessage& message);
  void choose_targets(Publish& publish);
  // Of those that `wanted` takes. Returns how many subscriptions pass the message by.
  template <class Wanted>
  size_t choose(Audience::Of& audience, std::vector<PublishedMessage>& messages, size_t index,
                std::vector<PublishTarget>& targets, std::map<SubscriptionId, size_t>& places,
                Wanted&& wanted);
  template <class F>
  static void for_enveloped(Publish& publish, F&& f);
  Notification notification_of(const Publish& publish, const PublishedMessage& message) const;
  void sign(uint64_t number, Publish& publish);
  void take_signatures(uint64_t number, std::span<const std::string> signatures,
                       const SigningKey& key);
  void send_all(uint64_t number, Publish& publish);
  FanOut::Copies send_ordered(uint64_t number, Publish& publish);
  void finish(uint64_t number, Publish& publish);

  ShardPort& port_;
  PublishFigures* const figures_;
  RequestIds ids_;
  SigningDesk desk_;
  Audience audience_;
  FanOut fan_out_;
  OrderedFanOut ordered_fan_out_;
  std::unordered_map<uint64_t, std::unique_ptr<Publish>> publishes_;  // by number
  size_t bytes_ = 0;                                                  // of all of them
  uint64_t next_ = 0;
  std::vector<const SubscriptionInfo*> found_;
};

}  // namespace millrace::net::topics

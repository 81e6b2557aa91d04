// Topics and subscriptions: what a broker keeps of them, and how they are changed.
//
// A topic is a name that messages are published to; each of its subscriptions that wants one gets a
// copy. Where a copy goes is the subscription's endpoint: a queue of this broker, which the engine
// delivers to itself, or something else, which whoever is above it must reach.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/options.h"
#include "millrace/result.h"
#include "millrace/types.h"

namespace millrace {

// Ids of queues, topics and subscriptions are of one sequence: never 0, never given out twice.
enum class TopicId : uint32_t {};
enum class SubscriptionId : uint32_t {};
constexpr uint32_t raw(TopicId v) {
  return static_cast<uint32_t>(v);
}
constexpr uint32_t raw(SubscriptionId v) {
  return static_cast<uint32_t>(v);
}

// The outbox of a confirmed subscription by http or https: where what is published waits until
// whoever reaches its endpoint has delivered it. A standard queue, for PublishCopy::queue and for
// receives that say so (ReceiveRequest::outbox); to all other requests it is not there.
constexpr QueueId outbox_id(SubscriptionId subscription) {
  return QueueId{raw(subscription)};
}

inline constexpr uint32_t kTopicNameBytesMax = 256;
inline constexpr uint32_t kPublishedBytesMaxDefault = 262'144;

// As QueueSettings, of a topic or a subscription: texts, named as SNS names them.
using TopicSettings = QueueSettings;

struct TopicAttributes {
  // Fixed at creation. A FIFO topic's name ends in ".fifo".
  bool fifo = false;
  bool content_deduplication = false;                      // FIFO only
  uint32_t message_bytes_max = kPublishedBytesMaxDefault;  // 1024..1 MiB
  // What was set besides: kept for clients, the engine does not go by it. Sorted by name.
  std::vector<NamedText> texts{};
  std::vector<NamedText> tags{};  // sorted by name, at most kTagsMax
  friend bool operator==(const TopicAttributes&, const TopicAttributes&) = default;
};

struct TopicInfo {
  TopicId id{};
  std::string name;
  TopicAttributes attributes;
  ShardId home{};  // FIFO: where all of it is published
  int64_t created_at_ms = 0;
  // As this shard knows them.
  uint32_t confirmed = 0;
  uint32_t pending = 0;
};

// What of a message a filter policy is about.
enum class FilterScope : uint8_t { attributes, body };

struct SubscriptionAttributes {
  bool raw = false;  // what was published, without the envelope
  FilterScope filter_scope = FilterScope::attributes;
  std::string filter_policy{};      // JSON; empty: wants all
  std::string dead_letter_queue{};  // its name; empty: none. It may be gone by now
  std::vector<NamedText> texts{};   // as a topic's
  friend bool operator==(const SubscriptionAttributes&, const SubscriptionAttributes&) = default;
};

using Uuid = std::array<uint8_t, 16>;

struct SubscriptionInfo {
  SubscriptionId id{};
  TopicId topic{};
  Uuid uuid{};           // what outsiders know it by
  std::string protocol;  // "sqs", "https", ...
  std::string endpoint;  // as it was given
  std::string queue;     // the name of the queue it is, if it is one of this broker; it may be gone
  SubscriptionAttributes attributes;
  int64_t created_at_ms = 0;
  std::string token;  // that confirms it
  bool pending = false;
  bool authenticated_unsubscribe = false;  // only its owner may end it
};

struct SubscribeRequest {
  TopicId topic{};
  std::string_view protocol;  // 1..32 bytes
  std::string_view endpoint;  // at most 2,048 bytes
  std::string_view queue;     // empty: it is no queue of this broker
  TopicSettings settings{};   // attributes only
  // Not empty, at most 255 bytes: it is pending until it is confirmed.
  std::string_view token{};
};

struct TopicReply {
  Errc error = Errc::ok;
  std::string_view detail;  // what was wrong with which value, for people; may be empty
  std::span<const TopicInfo> topics;
  std::span<const SubscriptionInfo> subscriptions;
};

struct ReplyTo;

// Administers topics and subscriptions, from its shard's thread (engine.h: ShardPort::topics()).
//
// Changes are answered, through on_topics, when durable and known to every shard. What is wrong is
// in the answer's detail, in SNS's words without its "Invalid parameter: ". Errors:
// topic_not_found, subscription_not_found, invalid_argument, over_limit, and as said below.
class TopicPort {
 public:
  virtual ~TopicPort() = default;

  // Of a topic that exists: it is answered if every attribute named has that value and the tags, if
  // there are any, are its tags; else topic_exists. Names: 1..256 of [A-Za-z0-9_-], of a FIFO topic
  // ending in ".fifo".
  virtual void create(std::string_view name, const TopicSettings& settings, ReplyTo reply) = 0;
  virtual void set(TopicId topic, const TopicSettings& settings, ReplyTo reply) = 0;
  // With its subscriptions.
  virtual void remove(TopicId topic, ReplyTo reply) = 0;
  // Of an endpoint that is subscribed: it is answered if every attribute named has that value, else
  // subscription_exists. A FIFO queue can be subscribed to a FIFO topic only.
  virtual void subscribe(const SubscribeRequest& request, ReplyTo reply) = 0;
  virtual void set(SubscriptionId subscription, const TopicSettings& settings, ReplyTo reply) = 0;
  // `authenticated`: only its owner may end it.
  virtual void confirm(SubscriptionId subscription, bool authenticated, ReplyTo reply) = 0;
  virtual void unsubscribe(SubscriptionId subscription, ReplyTo reply) = 0;

  // This shard's own copy of the catalog: no hop. Pointers live until the shard's next tick.
  virtual const TopicInfo* find(std::string_view name) const = 0;
  virtual const TopicInfo* find(TopicId id) const = 0;
  virtual const SubscriptionInfo* find(const Uuid& uuid) const = 0;
  virtual const SubscriptionInfo* find(SubscriptionId id) const = 0;
  // Rises with each change of the topic's subscriptions, as this shard knows them.
  virtual uint64_t changes_of(TopicId topic) const = 0;
  // Those with an outbox, by id; the number rises with each change of them.
  virtual uint64_t outbox_changes() const = 0;
  virtual void list_outboxes(std::vector<SubscriptionInfo>* subscriptions) const = 0;
  // Topics by name, those greater than `after`; subscriptions by id likewise, TopicId{}: of all.
  virtual void list(std::string_view after, uint32_t max, std::vector<TopicInfo>* topics) const = 0;
  virtual void list(TopicId topic, SubscriptionId after, uint32_t max,
                    std::vector<SubscriptionInfo>* subscriptions) const = 0;
};

}  // namespace millrace

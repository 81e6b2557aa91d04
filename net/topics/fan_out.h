// FanOut: brings published messages into the queues that want them, each form of a message once.
//
// A form is the text raw with its attributes, or in an envelope. A copy goes to the subscription's
// queue or, if that can't take it, to its dead-letter queue; if neither can it is dropped. All
// copies of a message are one PublishRequest, and so are those of as many messages as it takes.
//
// Threads: shard-local; what is lent lives as long as it.
// Memory: reused: the forms of one request (kBatchBytesMax), 40 bytes a target.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/engine.h"

namespace millrace::net::topics {

// One message, and what it will be in each form.
struct PublishedMessage {
  std::string id;
  std::string text;  // for queues
  std::optional<std::string> subject;
  std::string properties;
  size_t ids_end = 0;  // in properties: then come the attributes
  size_t attributes = 0;
  size_t attribute_bytes = 0;  // names, types and values
  bool enveloped = false;      // somebody wants it so
  uint8_t apart = 0;           // bit i: engine::kOutsideProtocols[i] has another text
  std::string envelope{};
  size_t uuid_at = 0;  // in the envelope: the text of the subscription's UUID
  // On a FIFO topic: where else the envelope is filled in, what a standard queue gets for
  // properties, and the deduplication id in its scope.
  size_t id_at = 0;
  size_t sequence_at = 0;
  std::string standard_properties{};
  size_t standard_ids_end = 0;
  std::string deduplication_key{};
};

// One subscription, and which of the messages it gets.
struct PublishTarget {
  SubscriptionId subscription{};
  std::string queue;
  QueueId outbox{};  // instead, of one outside: it holds envelopes
  std::string dead_letter_queue;
  Uuid uuid{};
  bool raw = false;
  uint64_t messages = 0;  // bit i: the i-th
};
inline constexpr size_t kPublishedTogetherMax = 64;

// Whether the policies in force let this topic send to that queue.
using MayDeliver = std::function<bool(const QueueInfo& queue, std::string_view topic_arn)>;

class FanOut {
 public:
  FanOut(ShardPort& port, MayDeliver may_deliver)
      : port_(port), may_deliver_(std::move(may_deliver)) {}

  struct Copies {
    uint64_t delivered = 0;
    uint64_t redriven = 0;  // to a dead-letter queue
    uint64_t dropped = 0;
    size_t requests = 0;

    Copies& operator+=(const Copies& more) {
      delivered += more.delivered;
      redriven += more.redriven;
      dropped += more.dropped;
      requests += more.requests;
      return *this;
    }
  };
  // Each request is answered through `reply`, at once or later. At most kPublishedTogetherMax
  // messages.
  Copies send(TopicId topic, std::string_view topic_arn, std::span<const PublishedMessage> messages,
              std::span<const PublishTarget> targets, ReplyTo reply);

 private:
  struct Form {
    bool raw;
    size_t bytes;  // as queues count them
  };
  struct Place {
    QueueId queue{};  // 0: there is none, or it may not
    uint32_t bytes_max = 0;
    uint64_t messages = 0;  // of the forms that are laid out
  };
  // A target's queues.
  struct Way {
    Place own, dead;
  };
  static bool takes(const Place& place, const PublishedMessage& message, const Form& form);
  Place place_of(const std::string& queue, std::string_view topic_arn) const;
  void lay_out(std::string_view properties, std::string_view body, size_t stamp);
  void flush(TopicId topic, std::span<const PublishTarget> targets, ReplyTo reply, Copies* copies);

  ShardPort& port_;
  const MayDeliver may_deliver_;
  std::vector<Way> ways_;
  std::string run_;
  std::vector<uint32_t> stamps_;
  std::vector<PublishCopy> copies_;
};

}  // namespace millrace::net::topics

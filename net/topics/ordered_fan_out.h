// OrderedFanOut: what FanOut is, for FIFO topics, whose messages get their id, their sequence
// number and their place in the queues from the topic's home (engine/fifo_topics.h).
//
// FIFO queues get group and deduplication id, standard queues neither: so a message has up to four
// forms.
//
// Threads: shard-local; what is lent lives as long as it.
// Memory: reused: the forms of kTogetherMax messages.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/topics/fan_out.h"

namespace millrace::net::topics {

class OrderedFanOut {
 public:
  // Messages of one request.
  static constexpr size_t kTogetherMax = 16;

  OrderedFanOut(ShardPort& port, const MayDeliver& may_deliver)
      : port_(port), may_deliver_(may_deliver) {}

  // At most kTogetherMax messages, whose envelopes are made but for what differs from copy to copy,
  // as one request.
  FanOut::Copies send(TopicId topic, std::string_view topic_arn,
                      std::span<const PublishedMessage> messages, size_t first,
                      std::span<const PublishTarget> targets, ReplyTo reply);

 private:
  struct Form {
    bool raw;
    bool fifo;
  };
  // A target's queues.
  struct Way {
    const QueueInfo* own = nullptr;
    const QueueInfo* dead = nullptr;
    uint64_t to_own = 0;
    uint64_t to_dead = 0;
  };
  const QueueInfo* queue_of(const std::string& name, std::string_view topic_arn) const;
  uint64_t lay_out(const PublishedMessage& message, const Form& form, uint32_t number);

  ShardPort& port_;
  const MayDeliver may_deliver_;
  std::string run_;
  std::vector<uint32_t> stamps_;
  std::vector<OrderedForm> forms_;
  std::vector<PublishCopy> copies_;
  std::vector<Way> ways_;
};

}  // namespace millrace::net::topics

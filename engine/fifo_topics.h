// FifoTopics: publishes of FIFO topics, on the shard that is their home.
//
// A topic's publishes are taken in the order they came, in rounds: the messages of a round get the
// topic's next sequence numbers, and each FIFO queue its part of them in one send, wherever the
// queue lives. When all are stored, the standard queues get theirs and the topic's window
// remembers the deduplication ids, and then the publishes are answered. A round begins when the one
// before it is over, so no message overtakes another, and what came meanwhile goes together.
//
// The window is a FIFO partition under the topic's id that never holds a message: ids are told by
// `dedup` records, how far sequence numbers were given out by `slot_end` records. Exactly once into
// each FIFO queue, whatever happens: a publish that was answered is in the window; one that was not
// is published again with its deduplication id, which the queues know where they have it.
//
// Threads: shard-local.  Memory: a copy of each publish under way; kOrderedBytesMax and
// kGathersPerShardMax of them at most.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/ordered_publish.h"
#include "engine/publishes.h"
#include "engine/sends.h"
#include "engine/topics.h"

namespace millrace::engine {

class FifoTopics final : private ReplySink {
 public:
  // All are the shard's.
  FifoTopics(const ShardParts& parts, const Position& safe_at, const Topics& topics, Sends& sends,
             Publishes& publishes)
      : parts_(parts), safe_at_(safe_at), topics_(topics), sends_(sends), publishes_(publishes) {}

  void publish(const OrderedPublishRequest& request, ReplyTo to);
  // Of another shard, and the answer to one that went there.
  void on_publish(Mail& mail);
  void on_answer(const Mail& mail);
  void cancel_all(const ReplySink* sink);
  void fail_all(Errc error);
  size_t under_way() const { return under_way_; }
  uint64_t memory_bytes() const { return bytes_; }

 private:
  using PublishPtr = std::unique_ptr<OrderedPublish>;
  struct Line {
    std::deque<PublishPtr> waiting;
    std::vector<PublishPtr> round;  // under way, if there are any
    size_t sends = 0;               // of it, not answered
    // The sequence goes on there. Kept when the line is empty, for what was numbered and not noted.
    Slot next{};
  };
  // A send of a round: whose messages it had.
  struct Sent {
    TopicId topic{};
    std::vector<size_t> publishes;
  };
  struct Part {
    std::vector<std::byte> run;
    uint32_t count = 0;
    std::vector<size_t> publishes;
  };

  static Errc check(const OrderedPublishRequest& request);
  void take(PublishPtr publish);
  void begin_round(TopicId topic);
  void number(const Partition& window, Line& line);
  void send_round(TopicId topic, Line& line);
  void send_part(TopicId topic, Line& line, QueueId queue, Part& part);
  void end_round(TopicId topic);
  Errc store_standard(OrderedPublish& publish);
  void answer(PublishPtr publish, Position end, bool durable);
  void refuse(PublishPtr publish, Errc error);
  void append_form(const OrderedPublish& publish, size_t form, const PublishCopy& copy,
                   std::vector<std::byte>* run) const;

  void on_send(uint64_t token, const SendReply& reply) override;
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}

  ShardParts parts_;
  const Position& safe_at_;
  const Topics& topics_;
  Sends& sends_;
  Publishes& publishes_;
  std::map<TopicId, Line> lines_;
  std::unordered_map<uint64_t, Sent> sent_;       // by token
  std::unordered_map<uint64_t, ReplyTo> mailed_;  // by job
  uint64_t next_ = 1;
  size_t under_way_ = 0;
  uint64_t bytes_ = 0;
  Errc standard_error_ = Errc::ok;
};

}  // namespace millrace::engine

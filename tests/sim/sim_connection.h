// SimConnection: a simulated client's way to its shard over the binary protocol: requests become
// frames, go in pieces of any size and after any delay through a real net::Session, and the frames
// of its answers come back the same way.
//
// To the client it is a ShardPort like the shard itself. What is cancelled or unsubscribed here is
// forgotten at once: its answers, should they come, are dropped. A life of the node ends with the
// connection: bytes under way are lost.
//
// Threads: the simulator's only one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "clients/cpp/byte_queue.h"
#include "clients/cpp/frame.h"
#include "millrace/engine.h"
#include "net/binary/session.h"

namespace millrace::sim {

class SimConnection final : public ShardPort, private net::ConversationHost {
 public:
  SimConnection(ShardPort& port, uint64_t seed);

  // Perhaps moves a piece of what is under way, in each direction.
  void step();
  // What the server did against the protocol, or empty.
  const std::string& fault() const { return fault_; }

  ShardId id() const override { return port_.id(); }
  void send(const SendRequest& request, ReplyTo reply) override;
  void publish(const PublishRequest& request, ReplyTo reply) override {
    port_.publish(request, reply);
  }
  void publish_ordered(const OrderedPublishRequest& request, ReplyTo reply) override {
    port_.publish_ordered(request, reply);
  }
  void receive(const ReceiveRequest& request, ReplyTo reply) override;
  void ack(const AckRequest& request, ReplyTo reply) override;
  void extend(const ExtendRequest& request, ReplyTo reply) override;
  void peek(const PeekRequest& request, ReplyTo reply) override;
  Status subscribe(const ReceiveRequest& request, uint64_t credit, ReplyTo reply) override;
  Status add_credit(ReplyTo subscription, uint64_t messages) override;
  Status unsubscribe(ReplyTo subscription) override;
  void cancel(ReplyTo reply) override;
  void purge_queue(QueueId queue, ReplyTo reply) override;
  void queue_stats(std::span<const QueueId> queues, ReplyTo reply) override;

  // Not asked over a connection here.
  void cancel_all(ReplySink* sink) override { port_.cancel_all(sink); }
  void create_queue(std::string_view name, const QueueSettings& settings, ReplyTo reply) override {
    port_.create_queue(name, settings, reply);
  }
  void set_queue(QueueId queue, const QueueSettings& settings, ReplyTo reply) override {
    port_.set_queue(queue, settings, reply);
  }
  void delete_queue(QueueId queue, ReplyTo reply) override { port_.delete_queue(queue, reply); }
  void list_queues(std::string_view prefix, std::string_view after, uint32_t max,
                   ReplyTo reply) override {
    port_.list_queues(prefix, after, max, reply);
  }
  void broker_stats(ReplyTo reply) override { port_.broker_stats(reply); }
  void start_move(const MoveRequest& request, ReplyTo reply) override {
    port_.start_move(request, reply);
  }
  void cancel_move(QueueId source, uint64_t task, ReplyTo reply) override {
    port_.cancel_move(source, task, reply);
  }
  void list_moves(QueueId source, uint32_t max, ReplyTo reply) override {
    port_.list_moves(source, max, reply);
  }
  void start_backup(ReplyTo reply) override { port_.start_backup(reply); }
  void read_backup(const BackupRead& request, ReplyTo reply) override {
    port_.read_backup(request, reply);
  }
  void end_backup(uint64_t backup, ReplyTo reply) override { port_.end_backup(backup, reply); }
  TopicPort& topics() override { return port_.topics(); }
  const QueueInfo* find_queue(std::string_view name) const override {
    return port_.find_queue(name);
  }
  const QueueInfo* find_queue(QueueId queue) const override { return port_.find_queue(queue); }
  bool tick() override { return port_.tick(); }
  void refresh_clock() override { port_.refresh_clock(); }
  TimeMs now() const override { return port_.now(); }
  TimeMs next_deadline() const override { return port_.next_deadline(); }
  bool fenced() const override { return port_.fenced(); }
  void set_waker(std::function<void()> wake) override { port_.set_waker(std::move(wake)); }
  bool idle() const override { return port_.idle(); }

 private:
  struct Asked {
    wire::Opcode opcode;
    ReplyTo reply;
  };

  void conversation_dirty(net::Conversation&) override { dirty_ = true; }
  void shard_fenced() override {}

  // Frames a request whose body is the concatenation of two parts.
  uint64_t ask(wire::Opcode opcode, Bytes head, Bytes rest);
  void await(uint64_t correlation, wire::Opcode opcode, ReplyTo reply) {
    asked_[correlation] = {opcode, reply};
  }
  uint64_t correlation_of(ReplyTo reply) const;
  void move_to_server();
  void move_to_client();
  void take_frames();
  void answer(const client::Frame& frame);
  void fail(const Asked& asked, Errc error);

  ShardPort& port_;
  base::Prng prng_;
  net::BufferPool pool_;
  net::SessionSetting setting_;
  net::Session session_;
  client::ByteQueue to_server_{4096};
  client::ByteQueue from_server_{4096};
  Bytes sending_{};  // what is left of a stretch of the session's output
  std::vector<std::byte> piece_;
  std::map<uint64_t, Asked> asked_;  // by correlation
  uint64_t last_correlation_ = 0;
  bool dirty_ = false;
  std::string fault_;
};

}  // namespace millrace::sim

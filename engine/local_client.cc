#include "millrace/local_client.h"

#include <condition_variable>
#include <cstring>
#include <mutex>

#include "engine/broker.h"
#include "engine/queue_attributes.h"
#include "engine/records.h"

namespace millrace {
namespace {

// One call: posts work to a shard's thread and waits until its answer has come. The answer is taken
// on the shard's thread, inside the sink's callback.
class Call final : public ReplySink {
 public:
  // Runs `ask(shard, reply)` on the shard's thread. Error: shutting_down, nothing was asked.
  template <class Ask>
  Status run(Broker& broker, ShardId shard, Ask&& ask) {
    // Every Broker is one: Broker::open() makes no other.
    auto& on_disk = static_cast<engine::BrokerOnDisk&>(broker);
    const bool posted = on_disk.post(shard, [&](ShardPort& port) { ask(port, ReplyTo{this, 0}); });
    if (!posted) return fail(Errc::shutting_down);
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [&] { return done_; });
    if (error_ != Errc::ok) return fail(error_);
    return {};
  }

  void on_send(uint64_t, const SendReply& reply) override {
    sent = {reply.shard, reply.first_slot, reply.position, reply.durability};
    finish(reply.error);
  }
  void on_receive(uint64_t, const ReceiveReply& reply) override {
    for (const Delivery& delivery : reply.deliveries) {
      const auto header = engine::read_at<MessageHeader>(delivery.message);
      std::vector<std::byte> copy(delivery.message.begin(), delivery.message.end());
      put_stamp(delivery.stamp, copy.data());
      const Bytes content = Bytes(copy).subspan(sizeof header);
      messages.push_back(
          {delivery.receipt, delivery.sent_at, delivery.receive_count,
           std::string(as_text(content.first(header.properties_bytes))),
           std::string(as_text(content.subspan(header.properties_bytes, header.body_bytes)))});
    }
    finish(reply.error);
  }
  void on_results(uint64_t, const ResultsReply& reply) override {
    results.assign(reply.results.begin(), reply.results.end());
    finish(reply.error);
  }
  void on_queues(uint64_t, const QueueReply& reply) override {
    queues.assign(reply.queues.begin(), reply.queues.end());
    finish(reply.error);
  }
  void on_peek(uint64_t, const PeekReply& reply) override { finish(reply.error); }
  void on_stats(uint64_t, const BrokerStatsReply& reply) override { finish(reply.error); }
  void on_moves(uint64_t, const MoveReply& reply) override {
    moves.assign(reply.tasks.begin(), reply.tasks.end());
    finish(reply.error);
  }
  void finish(Errc error) {
    // Under the lock, so that the waiter can't destroy this before the last touch.
    const std::lock_guard lock(mutex_);
    error_ = error;
    done_ = true;
    answered_.notify_one();
  }

  LocalClient::Sent sent;
  std::vector<LocalClient::Message> messages;
  std::vector<Errc> results;
  std::vector<QueueInfo> queues;
  std::vector<MoveTask> moves;

 private:
  std::mutex mutex_;
  std::condition_variable answered_;
  bool done_ = false;
  Errc error_ = Errc::ok;
};

Result<QueueInfo> first_queue(Call& call, Status asked) {
  if (!asked) return fail(asked.error());
  if (call.queues.empty()) return fail(Errc::queue_not_found);
  return std::move(call.queues.front());
}

}  // namespace

LocalClient::LocalClient(Broker& broker) : broker_(broker) {}

ShardId LocalClient::next_shard() {
  const uint32_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
  return ShardId{static_cast<uint16_t>(turn % broker_.shard_count())};
}

Result<QueueInfo> LocalClient::create_queue(std::string_view name,
                                            const QueueAttributes& attributes) {
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.create_queue(name, engine::settings_of(attributes), reply);
  });
  return first_queue(call, asked);
}

Result<QueueInfo> LocalClient::find_queue(std::string_view name) {
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo) {
    if (const QueueInfo* queue = shard.find_queue(name)) call.queues.push_back(*queue);
    call.finish(Errc::ok);
  });
  return first_queue(call, asked);
}

Status LocalClient::set_queue(QueueId queue, const QueueSettings& settings) {
  Call call;
  return call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.set_queue(queue, settings, reply);
  });
}

Status LocalClient::purge_queue(QueueId queue) {
  Call call;
  return call.run(broker_, next_shard(),
                  [&](ShardPort& shard, ReplyTo reply) { shard.purge_queue(queue, reply); });
}

Status LocalClient::delete_queue(QueueId queue) {
  Call call;
  return call.run(broker_, next_shard(),
                  [&](ShardPort& shard, ReplyTo reply) { shard.delete_queue(queue, reply); });
}

Result<QueueCounters> LocalClient::counters(QueueId queue) {
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.queue_stats({&queue, 1}, reply);
  });
  const auto info = first_queue(call, asked);
  if (!info) return fail(info.error());
  return info->counters;
}

Result<LocalClient::Sent> LocalClient::send(QueueId queue, std::string_view body) {
  const OutMessage message{body};
  return send_batch(queue, {&message, 1});
}

Result<LocalClient::Sent> LocalClient::send_batch(QueueId queue,
                                                  std::span<const OutMessage> messages) {
  std::vector<std::byte> run;
  for (const OutMessage& message : messages) {
    if (message.body.size() > kMessageBytesMax) return fail(Errc::message_too_large);
    const MessageHeader header{static_cast<uint32_t>(message.body.size()), 0, message.delay_ms, 0};
    const size_t at = run.size();
    run.resize(at + message_stride(header));
    std::memcpy(run.data() + at, &header, sizeof header);
    if (!message.body.empty())
      std::memcpy(run.data() + at + sizeof header, message.body.data(), message.body.size());
    if (run.size() > kBatchBytesMax) return fail(Errc::batch_too_large);
  }
  if (messages.size() > kBatchMessagesMax) return fail(Errc::batch_too_large);
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.send({queue, static_cast<uint32_t>(messages.size()), run}, reply);
  });
  if (!asked) return fail(asked.error());
  return call.sent;
}

Result<std::vector<LocalClient::Message>> LocalClient::receive(QueueId queue,
                                                               const ReceiveOptions& options) {
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.receive({.queue = queue,
                   .messages_max = options.messages_max,
                   .visibility_ms = options.visibility_ms,
                   .wait_ms = options.wait_ms},
                  reply);
  });
  if (!asked) return fail(asked.error());
  return std::move(call.messages);
}

Status LocalClient::ack(const Receipt& receipt) {
  const auto results = ack({&receipt, 1});
  if (!results) return fail(results.error());
  if (results->front() != Errc::ok) return fail(results->front());
  return {};
}

Result<std::vector<Errc>> LocalClient::ack(std::span<const Receipt> receipts) {
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.ack({receipts}, reply);
  });
  if (!asked) return fail(asked.error());
  return std::move(call.results);
}

Status LocalClient::extend(const Receipt& receipt, uint32_t visibility_ms) {
  const ExtendEntry entry{receipt, visibility_ms};
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.extend({{&entry, 1}}, reply);
  });
  if (!asked) return asked;
  if (call.results.front() != Errc::ok) return fail(call.results.front());
  return {};
}

Result<MoveTask> LocalClient::start_move(const MoveRequest& request) {
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.start_move(request, reply);
  });
  if (!asked) return fail(asked.error());
  return std::move(call.moves.front());
}

Result<MoveTask> LocalClient::cancel_move(QueueId source, uint64_t task) {
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.cancel_move(source, task, reply);
  });
  if (!asked) return fail(asked.error());
  return std::move(call.moves.front());
}

Result<std::vector<MoveTask>> LocalClient::list_moves(QueueId source, uint32_t max) {
  Call call;
  const Status asked = call.run(broker_, next_shard(), [&](ShardPort& shard, ReplyTo reply) {
    shard.list_moves(source, max, reply);
  });
  if (!asked) return fail(asked.error());
  return std::move(call.moves);
}

}  // namespace millrace

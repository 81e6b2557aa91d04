// FakePort: a shard's port for tests of what stands before it: one shard, queues in memory, no
// leases that end.
//
// It answers inside the request, or with `deferred` in tick(), or with `held` when the test calls
// release(): in any order. It counts credit and remembers what was cancelled.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/queue_attributes.h"
#include "millrace/engine.h"

namespace millrace::net::test {

class FakePort final : public ShardPort {
 public:
  bool held = false;                          // answers wait for release()
  std::deque<std::function<void()>> answers;  // what release() gives
  std::vector<uint64_t> scattered;            // what a SEND is answered with, if it is not empty
  Errc send_error = Errc::ok;                 // of the next sends
  uint32_t canceled = 0;                      // cancel() calls that found their receive
  uint32_t cancel_alls = 0;
  TopicPort* topic_port = nullptr;  // whoever asks about topics brings one
  uint64_t credit_given = 0;
  size_t given_back = 0;     // leases extended to 0
  bool held_queues = false;  // lists wait for release() too
  bool held_stats = false;   // and the broker's figures

  QueueId add_queue(std::string name) {
    const QueueId id{static_cast<uint32_t>(queues_.size() + 1)};
    Queue queue;
    queue.info.id = id;
    queue.info.name = std::move(name);
    queues_.push_back(std::move(queue));
    return id;
  }
  size_t ready(QueueId id) { return queues_[raw(id) - 1].ready.size(); }
  size_t waiting() const { return waiting_.size(); }
  size_t subscriptions() const { return subscriptions_.size(); }
  size_t messages_sent() const { return slots_; }

  void release(size_t index) {
    auto answer = std::move(answers[index]);
    answers.erase(answers.begin() + static_cast<std::ptrdiff_t>(index));
    answer();
  }

  ShardId id() const override { return ShardId{3}; }

  void send(const SendRequest& request, ReplyTo reply) override {
    SendReply answer;
    answer.error = send_error;
    Queue* queue = find(request.queue);
    if (answer.error == Errc::ok && queue == nullptr) answer.error = Errc::queue_not_found;
    if (answer.error == Errc::ok) answer = check(request);
    if (answer.error == Errc::ok) {
      answer.durability = Durability::commit;
      answer.shard = id();
      answer.first_slot = Slot{slots_};
      size_t at = 0;
      for (uint32_t i = 0; i < request.count; ++i) {
        MessageHeader header;
        std::memcpy(&header, request.messages.data() + at, sizeof header);
        const Bytes message = request.messages.subspan(at, message_stride(header));
        queue->ready.push_back({slots_++, {message.begin(), message.end()}});
        at += message.size();
        log_ += message.size();
      }
      answer.position = {log_};
      answer.shard_slots = scattered;
    }
    // A refusal is given at once, as the engine does.
    if (answer.error != Errc::ok) {
      reply.sink->on_send(reply.token, answer);
      return;
    }
    give(reply, [reply, answer] { reply.sink->on_send(reply.token, answer); });
  }

  // Each copy is a message of its queue, with its stamp in it.
  void publish(const PublishRequest& request, ReplyTo reply) override {
    SendReply answer;
    answer.error = send_error;
    for (const PublishCopy& copy : request.copies)
      if (answer.error == Errc::ok && find(copy.queue) == nullptr)
        answer.error = Errc::queue_not_found;
    for (const PublishCopy& copy : request.copies) {
      if (answer.error != Errc::ok) break;
      size_t at = 0;
      for (uint32_t i = 0; i < request.count; ++i) {
        MessageHeader header;
        std::memcpy(&header, request.messages.data() + at, sizeof header);
        const Bytes message = request.messages.subspan(at, message_stride(header));
        at += message.size();
        if ((copy.messages >> i & 1) == 0) continue;
        std::vector<std::byte> bytes(message.begin(), message.end());
        if (!request.stamps.empty() && request.stamps[i] != 0)
          put_stamp({reinterpret_cast<const std::byte*>(copy.stamp.data()), request.stamps[i]},
                    bytes.data());
        find(copy.queue)->ready.push_back({slots_++, std::move(bytes)});
      }
    }
    log_ += request.messages.size();
    answer.position = {log_};
    if (answer.error != Errc::ok) return reply.sink->on_send(reply.token, answer);
    answer.durability = Durability::commit;
    answer.shard = id();
    give(reply, [reply, answer] { reply.sink->on_send(reply.token, answer); });
  }

  // Nobody tries FIFO topics with it.
  void publish_ordered(const OrderedPublishRequest&, ReplyTo reply) override {
    reply.sink->on_send(reply.token, {.error = Errc::topic_not_found});
  }

  void receive(const ReceiveRequest& request, ReplyTo reply) override {
    if (find(request.queue) == nullptr) {
      ReceiveReply answer;
      answer.error = Errc::queue_not_found;
      reply.sink->on_receive(reply.token, answer);
      return;
    }
    if (held) {
      give(reply, [this, request, reply] { deliver(request, reply); });
      return;
    }
    const bool waits = request.wait_ms != 0 && request.wait_ms != kDelayQueueDefault;
    if (waits && find(request.queue)->ready.empty()) {
      waiting_.push_back({request, reply, 0});
      return;
    }
    deliver(request, reply);
  }

  void ack(const AckRequest& request, ReplyTo reply) override {
    std::vector<Errc> results;
    for (const Receipt& receipt : request.receipts) {
      results.push_back(receipt.mac == mac_of(receipt) ? Errc::ok : Errc::receipt_invalid);
    }
    answer_results(results, request.receipts.size(), reply);
  }

  void extend(const ExtendRequest& request, ReplyTo reply) override {
    std::vector<Errc> results;
    for (const ExtendEntry& entry : request.entries) {
      given_back += entry.visibility_ms == 0;
      results.push_back(entry.receipt.mac == mac_of(entry.receipt) ? Errc::ok
                                                                   : Errc::receipt_invalid);
    }
    answer_results(results, request.entries.size(), reply);
  }

  void peek(const PeekRequest& request, ReplyTo reply) override {
    PeekReply answer;
    std::vector<PeekedMessage> messages;
    if (Queue* queue = find(request.queue)) {
      for (const Message& message : queue->ready) {
        if (messages.size() == request.messages_max) break;
        messages.push_back({.shard_slot = uint64_t{raw(id())} << 48 | message.slot,
                            .sent_at = TimeMs{1000},
                            .due = TimeMs{0},
                            .receive_count = 0,
                            .first_received_at = TimeMs{0},
                            .last_received_at = TimeMs{0},
                            .state = MessageState::ready,
                            .message = message.bytes});
      }
    } else {
      answer.error = Errc::queue_not_found;
    }
    answer.messages = messages;
    reply.sink->on_peek(reply.token, answer);
  }

  Status subscribe(const ReceiveRequest& request, uint64_t credit, ReplyTo reply) override {
    if (find(request.queue) == nullptr) return fail(Errc::queue_not_found);
    credit_given += credit;
    subscriptions_.push_back({request, reply, credit});
    return {};
  }
  Status add_credit(ReplyTo subscription, uint64_t messages) override {
    for (Waiter& waiter : subscriptions_) {
      if (!same(waiter.reply, subscription)) continue;
      waiter.credit += messages;
      credit_given += messages;
      return {};
    }
    return fail(Errc::subscription_not_found);
  }
  Status unsubscribe(ReplyTo subscription) override {
    return erase(subscriptions_, subscription) ? Status{} : fail(Errc::subscription_not_found);
  }

  void cancel_all(ReplySink* sink) override {
    ++cancel_alls;
    std::erase_if(waiting_, [sink](const Waiter& w) { return w.reply.sink == sink; });
    std::erase_if(subscriptions_, [sink](const Waiter& w) { return w.reply.sink == sink; });
    forget_sink_ = sink;
    answers.clear();
  }
  void cancel(ReplyTo reply) override {
    if (erase(waiting_, reply)) ++canceled;
  }

  void create_queue(std::string_view name, const QueueSettings& settings, ReplyTo reply) override {
    QueueReply answer;
    const QueueInfo* found = find_queue(name);
    QueueAttributes attributes = found != nullptr ? found->attributes : QueueAttributes();
    std::string detail;
    if (const auto valid = engine::apply_settings(settings, true, &attributes, &detail); !valid) {
      answer.error = valid.error();
      answer.detail = detail;
      reply.sink->on_queues(reply.token, answer);
      return;
    }
    if (name.empty() || name.size() > kQueueNameBytesMax) {
      answer.error = Errc::invalid_queue_name;
      answer.detail = "a name has 1 to 80 characters";
      reply.sink->on_queues(reply.token, answer);
      return;
    }
    if (found != nullptr && found->attributes != attributes) {
      answer.error = Errc::queue_exists;
      reply.sink->on_queues(reply.token, answer);
      return;
    }
    if (found == nullptr) {
      const QueueId id = add_queue(std::string(name));
      find(id)->info.attributes = attributes;
      found = find_queue(id);
    }
    answer.queues = {found, 1};
    reply.sink->on_queues(reply.token, answer);
  }
  void set_queue(QueueId queue, const QueueSettings& settings, ReplyTo reply) override {
    QueueReply answer;
    std::string detail;
    if (Queue* found = find(queue)) {
      const auto set = engine::apply_settings(settings, false, &found->info.attributes, &detail);
      if (!set) answer.error = set.error();
      answer.detail = detail;
    } else {
      answer.error = Errc::queue_not_found;
    }
    reply.sink->on_queues(reply.token, answer);
  }
  void purge_queue(QueueId queue, ReplyTo reply) override {
    QueueReply answer;
    if (Queue* found = find(queue)) {
      found->ready.clear();
    } else {
      answer.error = Errc::queue_not_found;
    }
    give(reply, [answer, reply] { reply.sink->on_queues(reply.token, answer); });
  }
  void delete_queue(QueueId queue, ReplyTo reply) override {
    QueueReply answer;
    if (Queue* found = find(queue)) {
      found->deleted = true;
      ReceiveReply end;
      end.error = Errc::queue_not_found;
      const std::vector<Waiter> subscriptions = subscriptions_;
      for (const Waiter& waiter : subscriptions) {
        if (waiter.request.queue != queue) continue;
        erase(subscriptions_, waiter.reply);
        waiter.reply.sink->on_receive(waiter.reply.token, end);
      }
    } else {
      answer.error = Errc::queue_not_found;
    }
    reply.sink->on_queues(reply.token, answer);
  }
  void list_queues(std::string_view prefix, std::string_view after, uint32_t max,
                   ReplyTo reply) override {
    std::vector<QueueInfo> found;
    for (const Queue& queue : queues_) {
      const std::string& name = queue.info.name;
      if (!queue.deleted && name.substr(0, prefix.size()) == prefix && name > after &&
          found.size() < max) {
        found.push_back(queue.info);
      }
    }
    if (held_queues) {
      answers.push_back([found, reply] {
        reply.sink->on_queues(reply.token, {Errc::ok, {}, found});
      });
      return;
    }
    reply.sink->on_queues(reply.token, {Errc::ok, {}, found});
  }
  void queue_stats(std::span<const QueueId> queues, ReplyTo reply) override {
    QueueReply answer;
    std::vector<QueueInfo> found;
    for (const Queue& queue : queues_) {
      const bool wanted =
          queues.empty() || std::find(queues.begin(), queues.end(), queue.info.id) != queues.end();
      if (!wanted || queue.deleted) continue;
      found.push_back(queue.info);
      found.back().counters.ready = queue.ready.size();
    }
    answer.queues = found;
    reply.sink->on_queues(reply.token, answer);
  }
  void broker_stats(ReplyTo reply) override {
    ShardStats stats;
    stats.shard = id();
    stats.end = {log_};
    stats.fenced = is_fenced;
    auto answer = [this, stats, reply]() mutable {
      stats.disk_full = disk_full;
      BrokerStatsReply told;
      told.shards = {&stats, 1};
      reply.sink->on_stats(reply.token, told);
    };
    if (held_stats) {
      answers.push_back(answer);
    } else {
      answer();
    }
  }
  // A backup of one log of one file, 10,000 bytes that say where they are.
  void start_backup(ReplyTo reply) override {
    if (backup_ != 0)
      return reply.sink->on_backup(
          reply.token, {.error = Errc::over_limit, .detail = "a backup is under way", .logs = {}});
    backup_ = 77;
    const BackupLog log{.log_id = 3,
                        .head = {73728},
                        .end = {75536},
                        .segment_bytes = 65536,
                        .files = {{1, 10000}}};
    reply.sink->on_backup(
        reply.token,
        {.detail = {}, .backup = backup_, .server_time = TimeMs{1000}, .logs = {&log, 1}});
  }
  void read_backup(const BackupRead& read, ReplyTo reply) override {
    if (read.backup != backup_ || read.offset > 10000 || read.bytes > 10000 - read.offset)
      return reply.sink->on_backup_bytes(
          reply.token, {.error = Errc::canceled, .detail = "there is no such backup", .bytes = {}});
    std::vector<std::byte> bytes(read.bytes);
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::byte>(read.offset + i);
    reply.sink->on_backup_bytes(reply.token, {.detail = {}, .bytes = bytes});
  }
  void end_backup(uint64_t backup, ReplyTo reply) override {
    if (backup == backup_) backup_ = 0;
    reply.sink->on_backup(reply.token, {.detail = {}, .backup = backup, .logs = {}});
  }
  uint64_t backup() const { return backup_; }
  void start_move(const MoveRequest& request, ReplyTo reply) override {
    if (request.rate > kMoveRateMax)
      return reply.sink->on_moves(reply.token, {Errc::invalid_argument, "the rate", {}});
    moves.push_back({.id = moves.size() + 1,
                     .source = request.source,
                     .destination = request.destination,
                     .rate = request.rate,
                     .to_move = 3,
                     .started_at_ms = 1'000,
                     .destination_name = request.destination == QueueId{} ? "" : "there",
                     .failure = {}});
    reply.sink->on_moves(reply.token, {Errc::ok, {}, {&moves.back(), 1}});
  }
  void cancel_move(QueueId source, uint64_t task, ReplyTo reply) override {
    for (MoveTask& each : moves) {
      if (each.source != source || (task != 0 && each.id != task)) continue;
      each.state = MoveState::cancelled;
      return reply.sink->on_moves(reply.token, {Errc::ok, {}, {&each, 1}});
    }
    reply.sink->on_moves(reply.token, {Errc::move_task_not_found, "none runs", {}});
  }
  void list_moves(QueueId, uint32_t max, ReplyTo reply) override {
    std::vector<MoveTask> newest(moves.rbegin(), moves.rend());
    newest.resize(std::min<size_t>(max, newest.size()));
    reply.sink->on_moves(reply.token, {Errc::ok, {}, newest});
  }
  std::vector<MoveTask> moves;  // oldest first

  TopicPort& topics() override { return *topic_port; }
  const QueueInfo* find_queue(std::string_view name) const override {
    for (const Queue& queue : queues_) {
      if (!queue.deleted && queue.info.name == name) return &queue.info;
    }
    return nullptr;
  }
  const QueueInfo* find_queue(QueueId queue) const override {
    const uint32_t index = raw(queue) - 1;
    return index < queues_.size() && !queues_[index].deleted ? &queues_[index].info : nullptr;
  }

  // Serves waiting receives, then pushes to subscriptions while their credit lasts.
  bool tick() override {
    for (size_t i = 0; i < waiting_.size();) {
      if (find(waiting_[i].request.queue)->ready.empty()) {
        ++i;
        continue;
      }
      const Waiter waiter = waiting_[i];
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      deliver(waiter.request, waiter.reply);
    }
    for (size_t i = 0; i < subscriptions_.size(); ++i) {
      Waiter& waiter = subscriptions_[i];
      Queue* queue = find(waiter.request.queue);
      while (waiter.credit > 0 && queue != nullptr && !queue->ready.empty()) {
        ReceiveRequest request = waiter.request;
        request.messages_max = static_cast<uint32_t>(
            std::min<uint64_t>({request.messages_max, waiter.credit, queue->ready.size()}));
        waiter.credit -= deliver(request, waiter.reply);
      }
    }
    return false;
  }
  void refresh_clock() override {}
  TimeMs now() const override { return TimeMs{1'000'000}; }
  TimeMs next_deadline() const override { return kNever; }
  bool fenced() const override { return is_fenced; }
  void set_waker(std::function<void()> wake) override { wake_ = std::move(wake); }
  bool idle() const override { return answers.empty(); }

  bool is_fenced = false;
  bool disk_full = false;

 private:
  struct Message {
    uint64_t slot;
    std::vector<std::byte> bytes;
  };
  struct Queue {
    QueueInfo info;
    std::deque<Message> ready;
    bool deleted = false;
  };
  struct Waiter {
    ReceiveRequest request;
    ReplyTo reply;
    uint64_t credit;
  };

  static bool same(ReplyTo a, ReplyTo b) { return a.sink == b.sink && a.token == b.token; }
  static uint64_t mac_of(const Receipt& receipt) {
    return 0xAC0000000000 + receipt.shard_slot * 1000 + receipt.queue_id;
  }
  static bool erase(std::vector<Waiter>& waiters, ReplyTo reply) {
    return std::erase_if(waiters, [&](const Waiter& w) { return same(w.reply, reply); }) > 0;
  }
  Queue* find(QueueId queue) {
    const uint32_t index = raw(queue) - 1;
    return index < queues_.size() && !queues_[index].deleted ? &queues_[index] : nullptr;
  }

  static SendReply check(const SendRequest& request) {
    SendReply reply;
    if (request.count == 0) reply.error = Errc::batch_empty;
    if (request.count > kBatchMessagesMax || request.messages.size() > kBatchBytesMax) {
      reply.error = Errc::batch_too_large;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < request.count && reply.error == Errc::ok; ++i) {
      reply.bad_index = i;
      MessageHeader header;
      if (request.messages.size() - at < sizeof header) {
        reply.error = Errc::malformed;
        break;
      }
      std::memcpy(&header, request.messages.data() + at, sizeof header);
      if (uint64_t{header.body_bytes} + header.properties_bytes > kMessageBytesMax) {
        reply.error = Errc::message_too_large;
      } else if (message_stride(header) > request.messages.size() - at) {
        reply.error = Errc::malformed;
      }
      at += message_stride(header);
    }
    if (reply.error == Errc::ok && at != request.messages.size()) reply.error = Errc::malformed;
    return reply;
  }

  size_t deliver(const ReceiveRequest& request, ReplyTo reply) {
    Queue* queue = find(request.queue);
    std::vector<Message> taken;
    std::vector<Delivery> deliveries;
    size_t bytes = 0;
    while (queue != nullptr && !queue->ready.empty() && taken.size() < request.messages_max &&
           (taken.empty() || bytes + queue->ready.front().bytes.size() <= request.bytes_max)) {
      bytes += queue->ready.front().bytes.size();
      taken.push_back(std::move(queue->ready.front()));
      queue->ready.pop_front();
    }
    for (const Message& message : taken) {
      Receipt receipt{uint64_t{raw(id())} << 48 | message.slot, raw(request.queue), 1, 0};
      receipt.mac = mac_of(receipt);
      deliveries.push_back({receipt, TimeMs{1000}, 1, TimeMs{1000}, message.bytes});
    }
    ReceiveReply answer;
    answer.deliveries = deliveries;
    reply.sink->on_receive(reply.token, answer);
    return taken.size();
  }

  void answer_results(const std::vector<Errc>& results, size_t count, ReplyTo reply) {
    give(reply, [results, count, reply] {
      ResultsReply answer;
      if (count == 0) answer.error = Errc::batch_empty;
      if (count > kBatchMessagesMax) answer.error = Errc::batch_too_large;
      if (answer.error == Errc::ok) answer.results = results;
      reply.sink->on_results(reply.token, answer);
    });
  }

  void give(ReplyTo, std::function<void()> answer) {
    if (held) {
      answers.push_back(std::move(answer));
    } else {
      answer();
    }
  }

  std::vector<Queue> queues_;
  uint64_t backup_ = 0;
  std::vector<Waiter> waiting_;
  std::vector<Waiter> subscriptions_;
  ReplySink* forget_sink_ = nullptr;
  std::function<void()> wake_;
  uint64_t slots_ = 0;
  uint64_t log_ = 0;
};

}  // namespace millrace::net::test

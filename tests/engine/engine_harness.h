// A broker driven by one thread, for the engine's tests: a clock that stands until moved, a sink
// that keeps all it is told, and short ways to say what a test does.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/broker.h"
#include "engine/environment.h"
#include "engine/message_names.h"
#include "engine/os_environment.h"
#include "engine/queue_attributes.h"
#include "millrace/engine.h"
#include "millrace/properties.h"
#include "tests/support/patience.h"
#include "tests/support/temporary_directory.h"

namespace millrace::engine {

// The system's disks, a clock the test moves, entropy that repeats.
class ManualEnvironment final : public Environment {
 public:
  int64_t wall_ms() override { return wall_ms_; }
  int64_t boot_ns() override { return boot_ns_; }
  uint64_t random() override { return ++random_ * 0x9E3779B97F4A7C15ULL; }
  Result<std::unique_ptr<storage::Disk>> make_disk(const std::string& directory,
                                                   std::function<void()> wake) override {
    return OsEnvironment().make_disk(directory, std::move(wake));
  }
  void advance(int64_t ms) {
    wall_ms_ += ms;
    boot_ns_ += ms * 1'000'000;
  }
  void jump_wall(int64_t ms) { wall_ms_ += ms; }

 private:
  int64_t wall_ms_ = 1'700'000'000'000;
  int64_t boot_ns_ = 1'000'000'000;
  uint64_t random_ = 0;
};

// A batch of messages as a producer lays it out.
class Batch {
 public:
  Batch& add(std::string_view body, uint32_t delay_ms = kDelayQueueDefault) {
    return add_with({}, body, delay_ms);
  }
  // For a FIFO queue; no `id`: the queue deduplicates by content.
  Batch& add_fifo(std::string_view group, std::string_view id, std::string_view body) {
    std::string properties;
    append_property(properties, PropertyTag::group, as_bytes(group));
    if (!id.empty()) append_property(properties, PropertyTag::deduplication_id, as_bytes(id));
    return add_with(properties, body, kDelayQueueDefault);
  }
  Batch& add_with(std::string_view properties, std::string_view body, uint32_t delay_ms) {
    const MessageHeader header{static_cast<uint32_t>(body.size()),
                               static_cast<uint32_t>(properties.size()), delay_ms, 0};
    const size_t at = bytes_.size();
    bytes_.resize(at + message_stride(header));
    std::byte* to = bytes_.data() + at;
    std::memcpy(to, &header, sizeof header);
    std::copy_n(as_bytes(properties).begin(), properties.size(), to + sizeof header);
    std::copy_n(as_bytes(body).begin(), body.size(), to + sizeof header + properties.size());
    ++count_;
    return *this;
  }
  std::vector<std::byte>& bytes() { return bytes_; }
  uint32_t count() const { return count_; }
  SendRequest to(QueueId queue) const { return {queue, count_, bytes_}; }

 private:
  std::vector<std::byte> bytes_;
  uint32_t count_ = 0;
};

struct Got {
  Receipt receipt{};
  TimeMs sent_at{};
  uint32_t receive_count = 0;
  std::string body;
  std::string properties;
  TimeMs first_received_at{};
};

// The value of RedrivePolicy.
inline std::string redrive_text(std::string_view target, uint32_t receives_max) {
  return fmt::format(R"({{"deadLetterTargetArn":"{}","maxReceiveCount":{}}})", target,
                     receives_max);
}

class RecordingSink final : public ReplySink {
 public:
  struct Receive {
    Errc error = Errc::ok;
    std::vector<Got> messages;
  };
  struct Peeked {
    uint64_t shard_slot = 0;
    MessageState state{};
    uint32_t receive_count = 0;
    TimeMs due{};
    std::string body;
    TimeMs first_received_at{};
    TimeMs last_received_at{};
    uint32_t holder = 0;
  };

  void on_send(uint64_t token, const SendReply& reply) override {
    sends[token] = reply;
    sent_at[token].assign(reply.shard_slots.begin(), reply.shard_slots.end());
    sends[token].shard_slots = sent_at[token];
  }
  void on_receive(uint64_t token, const ReceiveReply& reply) override {
    Receive got{reply.error, {}};
    for (const Delivery& delivery : reply.deliveries)
      got.messages.push_back({delivery.receipt, delivery.sent_at, delivery.receive_count,
                              body_of(delivery.message, delivery.stamp),
                              std::string(as_text(properties_of(delivery.message.data()))),
                              delivery.first_received_at});
    receives[token].push_back(std::move(got));
  }
  void on_results(uint64_t token, const ResultsReply& reply) override {
    result_errors[token] = reply.error;
    results[token].assign(reply.results.begin(), reply.results.end());
  }
  void on_peek(uint64_t token, const PeekReply& reply) override {
    peeks[token].clear();
    for (const PeekedMessage& one : reply.messages)
      peeks[token].push_back({one.shard_slot, one.state, one.receive_count, one.due,
                              body_of(one.message), one.first_received_at, one.last_received_at,
                              one.holder});
  }
  void on_queues(uint64_t token, const QueueReply& reply) override {
    queue_errors[token] = reply.error;
    queue_details[token] = reply.detail;
    queues[token].assign(reply.queues.begin(), reply.queues.end());
  }
  void on_stats(uint64_t token, const BrokerStatsReply& reply) override {
    stats[token].assign(reply.shards.begin(), reply.shards.end());
  }
  void on_topics(uint64_t token, const TopicReply& reply) override {
    topics[token] = {reply.error,
                     std::string(reply.detail),
                     {reply.topics.begin(), reply.topics.end()},
                     {reply.subscriptions.begin(), reply.subscriptions.end()}};
  }
  void on_moves(uint64_t token, const MoveReply& reply) override {
    move_errors[token] = reply.error;
    move_details[token] = reply.detail;
    moves[token].assign(reply.tasks.begin(), reply.tasks.end());
  }

  struct Topics {
    Errc error = Errc::ok;
    std::string detail;
    std::vector<TopicInfo> topics;
    std::vector<SubscriptionInfo> subscriptions;
  };
  std::map<uint64_t, Topics> topics;
  std::map<uint64_t, Errc> move_errors;
  std::map<uint64_t, std::string> move_details;
  std::map<uint64_t, std::vector<MoveTask>> moves;
  std::map<uint64_t, SendReply> sends;
  std::map<uint64_t, std::vector<uint64_t>> sent_at;  // what shard_slots view
  std::map<uint64_t, std::vector<Receive>> receives;
  std::map<uint64_t, Errc> result_errors;
  std::map<uint64_t, std::vector<Errc>> results;
  std::map<uint64_t, std::vector<Peeked>> peeks;
  std::map<uint64_t, Errc> queue_errors;
  std::map<uint64_t, std::string> queue_details;
  std::map<uint64_t, std::vector<QueueInfo>> queues;
  std::map<uint64_t, std::vector<ShardStats>> stats;

 private:
  static std::string body_of(Bytes message, const Stamp& stamp = {}) {
    MessageHeader header;
    std::memcpy(&header, message.data(), sizeof header);
    std::vector<std::byte> copy(message.begin(), message.end());
    put_stamp(stamp, copy.data());
    return std::string(
        as_text(Bytes(copy).subspan(sizeof header + header.properties_bytes, header.body_bytes)));
  }
};

class EngineTest : public testing::Test {
 protected:
  void open() {
    std::string message;
    auto broker = BrokerOnDisk::open_directory(options_, environment_, &message);
    ASSERT_TRUE(broker) << message;
    broker_ = std::move(*broker);
  }
  // As if the process had died: nothing is written that was not, nothing is marked clean.
  void crash_and_open() {
    broker_->abandon();
    broker_.reset();
    open();
  }
  void stop_and_open() {
    ASSERT_TRUE(broker_->stop());
    broker_.reset();
    open();
  }

  Shard& shard(uint16_t i = 0) { return broker_->shard_at(ShardId{i}); }
  void tick() {
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      shard(i).tick();
  }
  // Ticks until `done`; a sync takes real time.
  template <class Done>
  void until(Done&& done) {
    Patience patience;
    do {
      if (done()) return;
      tick();
    } while (patience.nap());
    FAIL() << "it did not come to pass";
  }
  void settle() {
    until([&] {
      for (uint16_t i = 0; i < broker_->shard_count(); ++i)
        if (!shard(i).idle()) return false;
      return true;
    });
  }
  // Time passes; what is due then happens.
  void advance(int64_t ms) {
    environment_.advance(ms);
    tick();
  }
  ReplyTo reply() { return {&sink_, ++token_}; }

  QueueId create(std::string_view name, const QueueAttributes& attributes = {}) {
    const ReplyTo to = reply();
    shard().create_queue(name, settings_of(attributes), to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    EXPECT_EQ(sink_.queue_errors[to.token], Errc::ok);
    return sink_.queues[to.token].empty() ? QueueId{} : sink_.queues[to.token][0].id;
  }
  SendReply send(QueueId queue, const Batch& run, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).send(run.to(queue), to);
    until([&] { return sink_.sends.contains(to.token); });
    return sink_.sends[to.token];
  }
  SendReply send(QueueId queue, std::string_view body, uint16_t at = 0) {
    return send(queue, Batch().add(body), at);
  }
  std::vector<Got> receive(QueueId queue, uint32_t max = 10,
                           uint32_t visibility_ms = kDelayQueueDefault, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).receive({.queue = queue, .messages_max = max, .visibility_ms = visibility_ms}, to);
    until([&] { return sink_.receives.contains(to.token); });
    EXPECT_EQ(sink_.receives[to.token][0].error, Errc::ok);
    return sink_.receives[to.token][0].messages;
  }
  std::vector<Errc> ack(const std::vector<Receipt>& receipts, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).ack({receipts}, to);
    until([&] { return sink_.result_errors.contains(to.token); });
    EXPECT_EQ(sink_.result_errors[to.token], Errc::ok);
    return sink_.results[to.token];
  }
  Errc ack(const Receipt& receipt, uint16_t at = 0) {
    return ack(std::vector<Receipt>{receipt}, at).at(0);
  }
  Errc extend(const Receipt& receipt, uint32_t visibility_ms, uint16_t at = 0) {
    return extend_at_most(receipt, visibility_ms, 0, at);
  }
  Errc extend_at_most(const Receipt& receipt, uint32_t visibility_ms, uint32_t lease_ms_max,
                      uint16_t at = 0) {
    const ReplyTo to = reply();
    const std::vector<ExtendEntry> entries{{receipt, visibility_ms, lease_ms_max}};
    shard(at).extend({entries}, to);
    until([&] { return sink_.result_errors.contains(to.token); });
    return sink_.results[to.token].at(0);
  }
  QueueCounters counters(QueueId queue) {
    const ReplyTo to = reply();
    shard().queue_stats({&queue, 1}, to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    return sink_.queues[to.token].empty() ? QueueCounters{} : sink_.queues[to.token][0].counters;
  }
  std::vector<RecordingSink::Peeked> peek(QueueId queue, uint8_t states = 0b111) {
    const ReplyTo to = reply();
    shard().peek({.queue = queue, .messages_max = 100, .states = states}, to);
    until([&] { return sink_.peeks.contains(to.token); });
    return sink_.peeks[to.token];
  }
  static QueueAttributes fifo_queue() {
    QueueAttributes attributes;
    attributes.fifo = true;
    return attributes;
  }
  void set(QueueId queue, std::string_view name, std::string_view value) {
    const ReplyTo to = reply();
    shard().set_queue(queue, {.attributes = {{std::string(name), std::string(value)}}}, to);
    until([&] { return sink_.queue_errors.contains(to.token); });
    ASSERT_EQ(sink_.queue_errors[to.token], Errc::ok);
  }
  // Messages received more than `receives_max` times go to `target`.
  void redrive(QueueId queue, std::string_view target, uint32_t receives_max = 1) {
    set(queue, "RedrivePolicy", redrive_text(target, receives_max));
  }
  void remove(QueueId queue) {
    const ReplyTo to = reply();
    shard().delete_queue(queue, to);
    until([&] { return sink_.queue_errors.contains(to.token); });
  }
  // What was moved is shown once it is durable.
  void settle_moves() {
    until([&] {
      for (uint16_t i = 0; i < broker_->shard_count(); ++i)
        if (shard(i).state().log().durable() < shard(i).state().moved_through()) return false;
      return true;
    });
    settle();
  }
  static std::vector<std::string> bodies(const std::vector<Got>& messages) {
    std::vector<std::string> all;
    for (const Got& one : messages)
      all.push_back(one.body);
    return all;
  }

  // Sends and drains until the log's head has moved on by `segments`.
  void traffic(QueueId queue, uint64_t segments) {
    storage::Log& log = shard().state().log();
    const uint64_t until = log.segment_of(log.head()) + segments;
    for (int i = 0; i < 5'000 && log.segment_of(log.head()) < until; ++i) {
      Batch batch;
      for (int n = 0; n < 10; ++n)
        batch.add(std::string(20'000, 'x'), 0);
      send(queue, batch);
      std::vector<Receipt> receipts;
      for (const Got& got : receive(queue, 10, 60'000))
        receipts.push_back(got.receipt);
      if (!receipts.empty()) ack(receipts);
    }
    ASSERT_GE(log.segment_of(log.head()), until);
  }

  TemporaryDirectory directory_;
  BrokerOptions options_{.data_directory = directory_.path(), .segment_bytes = 4u << 20};
  ManualEnvironment environment_;
  RecordingSink sink_;
  uint64_t token_ = 0;
  std::unique_ptr<BrokerOnDisk> broker_;
};

}  // namespace millrace::engine

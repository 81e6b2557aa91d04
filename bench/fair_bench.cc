// How long quiet tenants of a standard queue wait while one sends a flood: a broker of one shard in
// virtual time, so every run gives the same figures, and what counts is the columns, not the time.
//
// 100 consumers work 100 ms on each message: 1,000 messages a second. 20 tenants send 4 a second
// each, 8 % of that. The flood is 5,000 messages at once, and then as many as are worked off, so
// that it has over 90 % of the backlog all the time. Each message names its tenant as its group, or
// none does (`groups` 0), as on a queue that knows no tenants.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "engine/environment.h"
#include "engine/os_environment.h"
#include "millrace/engine.h"
#include "millrace/properties.h"
#include "tests/support/temporary_directory.h"

namespace millrace {
namespace {

constexpr int64_t kRunMs = 60'000;
constexpr uint32_t kConsumers = 100;
constexpr int64_t kWorkMs = 100;
constexpr uint32_t kQuietTenants = 20;
constexpr int64_t kQuietEveryMs = 250;
constexpr uint32_t kFlood = 5'000;
constexpr uint32_t kFloodTenant = 1'000;

class VirtualTime final : public Environment {
 public:
  int64_t wall_ms() override { return 1'700'000'000'000 + ms; }
  int64_t boot_ns() override { return ms * 1'000'000; }
  uint64_t random() override { return ++random_ * 0x9E3779B97F4A7C15ULL; }
  Result<std::unique_ptr<storage::Disk>> make_disk(const std::string& directory,
                                                   std::function<void()> wake) override {
    return engine::OsEnvironment().make_disk(directory, std::move(wake));
  }
  int64_t ms = 1'000;

 private:
  uint64_t random_ = 0;
};

class Run final : public ReplySink {
 public:
  explicit Run(bool groups) : groups_(groups) {
    std::string message;
    auto broker = Broker::open(
        {.data_directory = directory_.path(), .durability = Durability::none}, time_, &message);
    if (!broker) std::abort();
    broker_ = std::move(*broker);
    shard().set_waker([] {});
    shard().create_queue("q", {}, {this, 0});
    while (queue_ == QueueId{})
      shard().tick();
  }

  void run(bool flood) {
    for (uint32_t i = 0; i < kConsumers; ++i)
      free_at_.push_back({time_.ms + i * kWorkMs / kConsumers, i});  // not in step
    const int64_t end = time_.ms + kRunMs;
    for (; time_.ms < end; ++time_.ms) {
      shard().refresh_clock();
      for (uint32_t tenant = 0; tenant < kQuietTenants; ++tenant)
        if ((time_.ms + tenant * 7) % kQuietEveryMs == 0) send(tenant);
      for (; flood && flood_waiting_ < kFlood; ++flood_waiting_)
        send(kFloodTenant);
      work();
      shard().tick();
      const uint64_t backlog = flood_waiting_ + quiet_waiting_;
      if (backlog > 0 && flood)
        flood_share_ = std::min(flood_share_,
                                static_cast<double>(flood_waiting_) / static_cast<double>(backlog));
    }
  }

  bool failed() const { return failed_ || waits_.empty(); }
  // Of the quiet tenants' messages, from the sending to the receive.
  double wait_ms(double part) {
    std::ranges::sort(waits_);
    return static_cast<double>(
        waits_[static_cast<size_t>(part * static_cast<double>(waits_.size() - 1))]);
  }
  double flood_share() const { return flood_share_; }
  double quiet_delivered() const { return static_cast<double>(waits_.size()); }

  void on_send(uint64_t, const SendReply& reply) override { note(reply.error); }
  void on_receive(uint64_t consumer, const ReceiveReply& reply) override {
    note(reply.error);
    free_at_.push_back(
        {time_.ms + (reply.deliveries.empty() ? 0 : kWorkMs), static_cast<uint32_t>(consumer)});
    for (const Delivery& delivery : reply.deliveries) {
      held_[consumer] = delivery.receipt;
      uint32_t tenant = 0;
      std::memcpy(&tenant, delivery.message.data() + delivery.message.size() - sizeof tenant,
                  sizeof tenant);
      if (tenant == kFloodTenant) {
        --flood_waiting_;
      } else {
        --quiet_waiting_;
        waits_.push_back(shard().now() - delivery.sent_at);
      }
    }
  }
  void on_results(uint64_t, const ResultsReply& reply) override { note(reply.error); }
  void on_peek(uint64_t, const PeekReply& reply) override { note(reply.error); }
  void on_queues(uint64_t, const QueueReply& reply) override {
    note(reply.error);
    if (!reply.queues.empty()) queue_ = reply.queues[0].id;
  }
  void on_stats(uint64_t, const BrokerStatsReply& reply) override { note(reply.error); }

 private:
  struct Free {
    int64_t at = 0;
    uint32_t consumer = 0;
  };

  ShardPort& shard() { return broker_->shard(ShardId{0}); }
  void note(Errc error) { failed_ = failed_ || error != Errc::ok; }

  void send(uint32_t tenant) {
    if (tenant != kFloodTenant) ++quiet_waiting_;
    std::string properties;
    if (groups_)
      append_property(properties, PropertyTag::group, as_bytes(fmt::format("tenant-{}", tenant)));
    // The body ends the message: as long as makes its stride whole.
    MessageHeader header{sizeof tenant, static_cast<uint32_t>(properties.size()),
                         kDelayQueueDefault, 0};
    while (message_stride(header) != sizeof header + header.properties_bytes + header.body_bytes)
      ++header.body_bytes;
    std::vector<std::byte> message(message_stride(header));
    std::memcpy(message.data(), &header, sizeof header);
    std::memcpy(message.data() + sizeof header, properties.data(), properties.size());
    std::memcpy(message.data() + message.size() - sizeof tenant, &tenant, sizeof tenant);
    shard().send({queue_, 1, message}, {this, 0});
  }

  // Who is done acknowledges and asks for the next.
  void work() {
    due_.clear();
    std::erase_if(free_at_, [&](const Free& free) {
      if (free.at > time_.ms) return false;
      due_.push_back(free);
      return true;
    });
    for (const Free& free : due_) {
      if (held_[free.consumer].queue_id != 0) {
        shard().ack({{&held_[free.consumer], 1}}, {this, 0});
        held_[free.consumer] = {};
      }
      shard().receive({.queue = queue_, .messages_max = 1, .wait_ms = 20'000},
                      {this, free.consumer});
    }
  }

  const bool groups_;
  TemporaryDirectory directory_;
  VirtualTime time_;
  QueueId queue_{};
  bool failed_ = false;
  std::vector<Free> free_at_, due_;
  std::array<Receipt, kConsumers> held_{};
  std::vector<int64_t> waits_;
  uint32_t flood_waiting_ = 0;
  uint32_t quiet_waiting_ = 0;
  double flood_share_ = 1;
  std::unique_ptr<Broker> broker_;  // the last: its end may still answer
};

void quiet_wait(benchmark::State& state) {
  const bool groups = state.range(0) != 0;
  const bool flood = state.range(1) != 0;
  for (auto _ : state) {
    Run run(groups);
    run.run(flood);
    if (run.failed()) return state.SkipWithError("refused");
    state.counters["median_ms"] = run.wait_ms(0.5);
    state.counters["p99_ms"] = run.wait_ms(0.99);
    state.counters["longest_ms"] = run.wait_ms(1);
    state.counters["quiet_delivered"] = run.quiet_delivered();
    if (flood) state.counters["least_flood_share"] = run.flood_share();
  }
}
BENCHMARK(quiet_wait)
    ->ArgNames({"groups", "flood"})
    ->Args({1, 0})
    ->Args({1, 1})
    ->Args({0, 1})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace

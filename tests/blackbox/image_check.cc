#include "tests/blackbox/image_check.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "engine/environment.h"
#include "millrace/engine.h"
#include "storage/real_disk.h"

namespace millrace::blackbox {
namespace {

constexpr uint32_t kRoundsMax = 100'000;
constexpr uint32_t kTicksMax = 100'000;
constexpr uint32_t kEmptiesAtEnd = 2;
constexpr int kLooksMax = 400;
constexpr useconds_t kLookAgainUs = 5'000;
constexpr int64_t kHourNs = int64_t{3600} * 1'000'000'000;

// The machine, with a boot clock that can be moved on: leases and delays of the image end at once.
class LaterEnvironment final : public Environment {
 public:
  int64_t wall_ms() override { return base::os_wall_ms(); }
  int64_t boot_ns() override { return base::os_boot_ns() + later_ns_; }
  uint64_t random() override { return base::os_random(); }
  Result<std::unique_ptr<storage::Disk>> make_disk(const std::string& data_directory,
                                                   std::function<void()> wake) override {
    auto disk = storage::RealDisk::open_directory(data_directory, std::move(wake));
    if (!disk) return fail(disk.error());
    return std::unique_ptr<storage::Disk>(std::move(*disk));
  }
  void move_on(int64_t ns) { later_ns_ += ns; }

 private:
  int64_t later_ns_ = 0;
};

// Gathers the keys of all messages that are received.
class KeySink final : public ReplySink {
 public:
  explicit KeySink(const World& of) : world(of) {}
  void on_send(uint64_t, const SendReply&) override {}
  void on_results(uint64_t, const ResultsReply& reply) override {
    answered = true;
    error = reply.error;
  }
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_receive(uint64_t, const ReceiveReply& reply) override {
    answered = true;
    error = reply.error;
    received.clear();
    for (const Delivery& delivery : reply.deliveries) {
      received.push_back(delivery.receipt);
      MessageHeader header;
      std::memcpy(&header, delivery.message.data(), sizeof header);
      const std::string_view body = as_text(
          delivery.message.subspan(sizeof header + header.properties_bytes, header.body_bytes));
      keys.insert(world.key_of(body, queue));
    }
  }
  const World& world;
  size_t queue = 0;  // that is received from
  bool answered = false;
  Errc error = Errc::ok;
  std::vector<Receipt> received;
  std::set<std::string> keys;
};

void tick_all(Broker& broker) {
  for (uint16_t i = 0; i < broker.shard_count(); ++i)
    broker.shard(ShardId{i}).tick();
}

// Takes everything out of a queue, from every shard's front. Empty on success.
std::string take_all(Broker& broker, QueueId queue, KeySink& sink) {
  for (uint16_t shard = 0; shard < broker.shard_count(); ++shard) {
    uint32_t empty = 0;
    for (uint32_t round = 0; round < kRoundsMax && empty < kEmptiesAtEnd; ++round) {
      const auto answered = [&] {
        tick_all(broker);
        for (uint32_t tick = 0; tick < kTicksMax && !sink.answered; ++tick)
          tick_all(broker);
        return std::exchange(sink.answered, false);
      };
      broker.shard(ShardId{shard})
          .receive({.queue = queue,
                    .messages_max = kBatchMessagesMax,
                    .visibility_ms = kVisibilityMsMax,
                    .wait_ms = 0},
                   {&sink, 1});
      if (!answered()) return "a receive was never answered";
      if (sink.error != Errc::ok) return fmt::format("a receive failed: {}", errc_name(sink.error));
      empty = sink.received.empty() ? empty + 1 : 0;
      if (sink.received.empty()) continue;
      // In a group nothing comes while what stands before it is leased.
      broker.shard(ShardId{shard}).ack({sink.received}, {&sink, 2});
      if (!answered()) return "an ack was never answered";
    }
  }
  return {};
}

}  // namespace

std::string check_image(const std::string& data_directory, const World& world) {
  BrokerOptions options;
  options.data_directory = data_directory;
  options.durability = Durability::none;  // of what this reading writes; the image's own is past
  LaterEnvironment environment;
  std::string message;
  auto opened = Broker::open(options, environment, &message);
  if (!opened) return fmt::format("the image does not open: {}", message);
  const std::unique_ptr<Broker> broker = std::move(*opened);
  for (uint16_t i = 0; i < broker->shard_count(); ++i)
    broker->shard(ShardId{i}).set_waker([] {});
  environment.move_on(kHourNs);
  for (int i = 0; i < 8; ++i)
    tick_all(*broker);
  KeySink sink(world);
  // A dead letter is shown once its move is durable, which here is a matter of the disk's own time.
  std::string missing;
  for (int look = 0; look < kLooksMax; ++look) {
    // Dead letters last: what is one by now is one before they are looked at.
    for (const bool sent_to : {true, false})
      for (sink.queue = 0; sink.queue < world.queues.size(); ++sink.queue) {
        const Queue& queue = world.queues[sink.queue];
        if (queue.sent_to != sent_to || broker->shard(ShardId{}).find_queue(queue.id) == nullptr)
          continue;
        if (const std::string failed = take_all(*broker, queue.id, sink); !failed.empty())
          return failed;
      }
    const auto lost =
        std::find_if(world.obligations.present.begin(), world.obligations.present.end(),
                     [&sink](const std::string& key) { return !sink.keys.contains(key); });
    missing = lost == world.obligations.present.end() ? std::string() : *lost;
    if (missing.empty()) break;
    usleep(kLookAgainUs);
  }
  if (!missing.empty()) return fmt::format("C1: {} was acknowledged and is not there", missing);
  for (const std::string& key : world.obligations.absent)
    if (sink.keys.contains(key)) return fmt::format("C3: {} was deleted and is there again", key);
  return {};
}

}  // namespace millrace::blackbox

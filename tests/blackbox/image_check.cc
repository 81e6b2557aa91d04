#include "tests/blackbox/image_check.h"

#include <cstring>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "millrace/engine.h"

namespace millrace::blackbox {
namespace {

constexpr uint32_t kPeekMax = 1'000'000;
constexpr uint32_t kTicksMax = 100'000;

// Gathers the keys of all messages a peek shows.
class KeySink final : public ReplySink {
 public:
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
  void on_peek(uint64_t, const PeekReply& reply) override {
    answered = true;
    for (const PeekedMessage& message : reply.messages) {
      MessageHeader header;
      std::memcpy(&header, message.message.data(), sizeof header);
      const std::string_view body = as_text(
          message.message.subspan(sizeof header + header.properties_bytes, header.body_bytes));
      keys.insert(std::string(body.substr(0, body.find(' '))));
    }
  }
  bool answered = false;
  std::set<std::string> keys;
};

}  // namespace

std::string check_image(const std::string& data_directory, const std::vector<Queue>& queues,
                        const Obligations& obligations) {
  BrokerOptions options;
  options.data_directory = data_directory;
  std::string message;
  auto opened = Broker::open(options, &message);
  if (!opened) return fmt::format("the image does not open: {}", message);
  const std::unique_ptr<Broker> broker = std::move(*opened);
  for (uint16_t i = 0; i < broker->shard_count(); ++i)
    broker->shard(ShardId{i}).set_waker([] {});
  KeySink sink;
  for (const Queue& queue : queues) {
    sink.answered = false;
    broker->shard(ShardId{0})
        .peek({.queue = queue.id, .messages_max = kPeekMax, .states = 0b111}, {&sink, 1});
    for (uint32_t tick = 0; tick < kTicksMax && !sink.answered; ++tick)
      for (uint16_t i = 0; i < broker->shard_count(); ++i)
        broker->shard(ShardId{i}).tick();
    if (!sink.answered) return "a peek was never answered";
  }
  for (const std::string& key : obligations.present)
    if (!sink.keys.contains(key))
      return fmt::format("C1: {} was acknowledged and is not there", key);
  for (const std::string& key : obligations.absent)
    if (sink.keys.contains(key)) return fmt::format("C3: {} was deleted and is there again", key);
  return {};
}

}  // namespace millrace::blackbox

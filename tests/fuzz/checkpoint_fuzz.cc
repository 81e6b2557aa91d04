// Fuzzes checkpoints: a shard's state as bytes that nobody wrote, with the file's checksums right,
// beside a log that is whole.
//
// The first byte chooses: even, the rest is the whole file; odd, it is the state, and the file's
// header is made for it. Checked: no crash; a state that is taken can be worked with - received,
// acknowledged, aged, purged, saved - until the messages that it names turn out not to be there,
// which fences the shard; one that is not taken leaves what replay gives.
#include <memory>
#include <optional>

#include "engine/shard_state.h"
#include "storage/checkpoint_file.h"
#include "tests/fuzz/fuzz_node.h"

namespace {

using namespace millrace;
using namespace millrace::engine;

constexpr const char* kPath = "shard-0/checkpoint";

// A stopped node: a standard queue and two FIFO queues on its first shard.
class Stopped {
 public:
  Stopped() {
    MR_ASSERT(node_.open());
    std::vector<QueueId> queues;
    for (const char* name : {"jobs", "a.fifo", "b.fifo", "c.fifo"}) {
      std::vector<NamedText> attributes;
      if (name[1] == '.') attributes = {{"FifoQueue", "true"}};
      const ReplyTo to = node_.reply();
      node_.shard(0).create_queue(name, {.attributes = attributes}, to);
      node_.turns(20);
      queues.push_back(node_.sink().queues[to.token].at(0).id);
    }
    node_.shard(0).send(
        Batch().add("one").add("two").add("three").add("late", 600'000).to(queues[0]),
        node_.reply());
    for (size_t i = 1; i < queues.size(); ++i)
      node_.shard(0).send(Batch().add_fifo("g", "1", "one").add_fifo("g", "2", "two").to(queues[i]),
                          node_.reply());
    node_.turns(20);
    for (const QueueId queue : queues)
      node_.shard(0).receive({.queue = queue, .messages_max = 1, .visibility_ms = 60'000},
                             node_.reply());
    node_.turns(20);
    MR_ASSERT(node_.stop());
    node_.image().settle();
    sim::SimDisk disk(node_.image());
    const auto checkpoint = storage::read_checkpoint(disk, "shard-0", 0);
    MR_ASSERT(checkpoint);
    position_ = checkpoint->position;
    generation_ = checkpoint->generation;
  }

  std::unique_ptr<sim::SimDiskImage> image(Bytes input) const {
    auto image = node_.image().clone();
    if (input.empty()) return image;
    std::vector<std::byte> file(input.begin() + 1, input.end());
    if ((std::to_integer<uint8_t>(input[0]) & 1) != 0)
      file = storage::encode_checkpoint(0, position_, generation_, file);
    image->replace(kPath, std::move(file));
    return image;
  }

 private:
  fuzz::FuzzNode node_;
  uint64_t position_ = 0;
  uint64_t generation_ = 0;
};

void work(ShardState& state, storage::Log& log, TimeMs now) {
  std::vector<Delivery> deliveries;
  for (uint32_t id = 1; id <= 4; ++id) {
    Partition* partition = state.find(QueueId{id});
    if (partition == nullptr || log.fenced()) continue;
    state.begin_turn();
    deliveries.clear();
    (void)state.lease(*partition, 10, 1u << 20, 30'000, now, &deliveries);
    std::vector<Receipt> receipts;
    for (const Delivery& delivery : deliveries)
      receipts.push_back(delivery.receipt);
    if (!receipts.empty()) receipts.pop_back();
    std::vector<Errc> results(receipts.size());
    (void)state.ack(receipts, results, now, [](QueueId) { return false; });
    (void)log.write_batch(now);
  }
  const TimeMs later = now + int64_t{20} * 86'400'000;
  (void)state.expire(later, 1'000, [](Partition&) {});
  state.expire_messages(later, [](Partition&) {});
  state.expire_dedup(later);
  (void)log.write_batch(later);
  for (uint32_t id = 1; id <= 4; ++id)
    if (Partition* partition = state.find(QueueId{id}); partition != nullptr && !log.fenced())
      (void)state.purge(*partition);
  (void)log.write_batch(later);
  (void)state.save();
  (void)state.digest(later);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Stopped stopped;
  const auto image = stopped.image(std::as_bytes(std::span(data, size)));
  sim::SimDisk disk(*image);
  storage::LogOptions options;
  options.directory = "shard-0";
  options.segment_bytes = 64u << 10;
  options.durability = Durability::none;
  options.entropy = 9;
  std::string message;
  auto log = storage::Log::open(disk, options, &message);
  MR_ASSERT(log);
  const TimeMs now{1'700'000'100'000};
  ShardState state(ShardId{0}, **log, ReceiptKey{}, now);
  for (uint32_t id = 1; id <= 4; ++id)
    state.add_queue(QueueId{id}, {.fifo = id > 1, .dedup_by_group = id == 4});
  Position from = (*log)->head();
  if (const auto checkpoint = (*log)->load_checkpoint())
    if (state.load(checkpoint->second)) from = checkpoint->first;
  MR_ASSERT((*log)->recover(from, state, now));
  MR_ASSERT(state.refused().empty());
  state.finish_recovery();
  const bool replayed = from == (*log)->head();
  if (replayed) MR_ASSERT(state.live_messages() > 0);
  work(state, **log, now);
  if (replayed) MR_ASSERT(!(*log)->fenced());
  return 0;
}

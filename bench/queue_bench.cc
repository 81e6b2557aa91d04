// What a queue costs by its kind and its depth, through the embedding API of one shard: batches of
// 10 are sent, received and acknowledged, 128-byte bodies. `depth` messages lie behind them and are
// not touched by a FIFO queue, since all their groups are blocked; a standard queue gives the
// oldest; one with tenants, of which one sent what lies there, those of the others.
//
// The ratios are what counts: FIFO and tenants beside standard, ids by content beside ids given,
// deep beside empty, many queues beside one. `plain` is a queue of std::deque and std::list with
// the same meaning and nothing on disk, for scale.
#include <cstring>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "engine/queue_attributes.h"
#include "millrace/engine.h"
#include "millrace/properties.h"
#include "tests/support/temporary_directory.h"

namespace millrace {
namespace {

constexpr uint32_t kBatch = 10;
constexpr uint32_t kFillBatch = 1'000;
constexpr size_t kBodyBytes = 128;
constexpr uint64_t kGroups = 10'000;
constexpr uint64_t kBlockedGroups = 1'000;
constexpr uint32_t kNoisyInFlight = 100;

class Sink final : public ReplySink {
 public:
  void on_send(uint64_t, const SendReply& reply) override { note(reply.error); }
  void on_receive(uint64_t, const ReceiveReply& reply) override {
    note(reply.error);
    receipts.clear();
    for (const Delivery& delivery : reply.deliveries)
      receipts.push_back(delivery.receipt);
  }
  void on_results(uint64_t, const ResultsReply& reply) override {
    note(reply.error);
    for (const Errc error : reply.results)
      if (error != Errc::ok) note(error);
  }
  void on_peek(uint64_t, const PeekReply& reply) override { note(reply.error); }
  void on_queues(uint64_t, const QueueReply& reply) override {
    note(reply.error);
    if (!reply.queues.empty()) queue = reply.queues[0].id;
  }
  void on_stats(uint64_t, const BrokerStatsReply& reply) override { note(reply.error); }
  void on_moves(uint64_t, const MoveReply& reply) override {
    note(reply.error);
    if (!reply.tasks.empty()) task = reply.tasks[0];
  }

  MoveTask task;
  uint64_t answers = 0;
  uint64_t failures = 0;
  std::vector<Receipt> receipts;
  QueueId queue{};

 private:
  void note(Errc error) {
    ++answers;
    if (error != Errc::ok) ++failures;
  }
};

// Runs of messages. Groups go round; ids and bodies are never the same twice.
class Runs {
 public:
  // No groups: for a standard queue without tenants. No ids: for a standard queue, or by content.
  Runs(uint32_t batch, std::string_view name, uint64_t groups, bool ids)
      : batch_(batch),
        groups_(groups),
        ids_(ids),
        group_(fmt::format("{}-000000000000", name)),
        id_(fmt::format("{}-id-000000000000", name)) {}

  Bytes next() {
    run_.clear();
    for (uint32_t i = 0; i < batch_; ++i)
      add();
    return run_;
  }

 private:
  void add() {
    properties_.clear();
    if (groups_ > 0) {
      put(group_, count_ % groups_);
      append_property(properties_, PropertyTag::group, as_bytes(group_));
      put(id_, count_);
      if (ids_) append_property(properties_, PropertyTag::deduplication_id, as_bytes(id_));
    }
    ++count_;
    const MessageHeader header{kBodyBytes, static_cast<uint32_t>(properties_.size()),
                               kDelayQueueDefault, 0};
    const size_t at = run_.size();
    run_.resize(at + message_stride(header));
    std::memcpy(run_.data() + at, &header, sizeof header);
    std::byte* to = run_.data() + at + sizeof header;
    std::memcpy(to, properties_.data(), properties_.size());
    std::memcpy(to + properties_.size(), &count_, sizeof count_);  // the body
  }
  // In hexadecimal at the end: little beside what is measured.
  static void put(std::string& text, uint64_t number) {
    for (size_t i = 1; i <= 12; ++i, number >>= 4)
      text[text.size() - i] = "0123456789abcdef"[number & 15];
  }

  const uint32_t batch_;
  const uint64_t groups_;
  const bool ids_;
  std::string group_, id_;
  uint64_t count_ = 0;
  std::vector<std::byte> run_;
  std::string properties_;
};

class OneShard {
 public:
  OneShard() {
    const BrokerOptions options{.data_directory = directory_.path(),
                                .durability = Durability::none};
    std::string message;
    auto broker = Broker::open(options, &message);
    if (!broker) std::abort();
    broker_ = std::move(*broker);
    shard().set_waker([] {});
  }
  QueueId create(const std::string& name, const QueueAttributes& attributes) {
    shard().create_queue(name, engine::settings_of(attributes), to());
    wait();
    return sink.queue;
  }
  void send(QueueId queue, uint32_t count, Bytes run) {
    shard().send({queue, count, run}, to());
    wait();
  }
  void receive(QueueId queue, uint32_t max, uint32_t visibility_ms = 3'600'000) {
    shard().receive(
        {.queue = queue, .messages_max = max, .visibility_ms = visibility_ms, .wait_ms = 0}, to());
    wait();
  }
  void acknowledge() {
    if (sink.receipts.empty()) return;
    shard().ack({sink.receipts}, to());
    wait();
  }
  // One task from start to end; false if it failed.
  bool move_all(QueueId source, QueueId destination) {
    shard().start_move({.source = source, .destination = destination}, to());
    wait();
    while (sink.task.state == MoveState::running) {
      shard().list_moves(source, 1, to());
      wait();
    }
    return sink.task.state == MoveState::completed;
  }
  void turn() {
    shard().refresh_clock();
    shard().tick();
  }
  void purge(QueueId queue) {
    shard().purge_queue(queue, to());
    wait();
  }
  Sink sink;

 private:
  ShardPort& shard() { return broker_->shard(ShardId{0}); }
  ReplyTo to() {
    awaited_ = sink.answers + 1;
    return {&sink, 1};
  }
  void wait() {
    while (sink.answers < awaited_) {
      shard().refresh_clock();
      shard().tick();
    }
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Broker> broker_;
  uint64_t awaited_ = 0;
};

struct Kind {
  bool fifo = false;
  bool by_content = false;
  bool tenants = false;

  bool has_ids() const { return fifo && !by_content; }
  uint64_t groups(uint64_t some) const { return fifo || tenants ? some : 0; }
};

void cycle(benchmark::State& state, const Kind& kind, uint64_t queues, uint64_t depth) {
  OneShard shard;
  std::vector<QueueId> ids;
  for (uint64_t i = 0; i < queues; ++i)
    ids.push_back(shard.create(fmt::format("q{}{}", i, kind.fifo ? ".fifo" : ""),
                               {.in_flight_max = kInFlightMax,
                                .fifo = kind.fifo,
                                .content_deduplication = kind.by_content}));
  Runs fill(kFillBatch, "behind", kind.groups(kind.fifo ? kBlockedGroups : 1), kind.has_ids());
  for (uint64_t sent = 0; sent < depth; sent += kFillBatch)
    shard.send(ids[0], kFillBatch, fill.next());
  if (kind.fifo && depth > 0)  // the first of each group is out
    for (uint64_t i = 0; i < kBlockedGroups; ++i)
      shard.receive(ids[0], 1);
  if (kind.tenants && depth > 0) shard.receive(ids[0], kNoisyInFlight);
  Runs runs(kBatch, "group", kind.groups(kGroups), kind.has_ids());
  uint64_t next = 0;
  for (auto _ : state) {
    const QueueId queue = ids[next++ % queues];
    shard.send(queue, kBatch, runs.next());
    shard.receive(queue, kBatch);
    if (shard.sink.receipts.empty()) state.SkipWithError("nothing came");
    shard.acknowledge();
  }
  if (shard.sink.failures > 0) state.SkipWithError("refused");
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kBatch);
}

void standard(benchmark::State& state) {
  cycle(state, {}, static_cast<uint64_t>(state.range(1)), static_cast<uint64_t>(state.range(0)));
}
void tenants(benchmark::State& state) {
  cycle(state, {.tenants = true}, 1, static_cast<uint64_t>(state.range(0)));
}
void fifo(benchmark::State& state) {
  cycle(state, {.fifo = true}, 1, static_cast<uint64_t>(state.range(0)));
}
void fifo_by_content(benchmark::State& state) {
  cycle(state, {.fifo = true, .by_content = true}, 1, static_cast<uint64_t>(state.range(0)));
}
BENCHMARK(standard)
    ->ArgNames({"depth", "queues"})
    ->Args({0, 1})
    ->Args({0, 1'000})
    ->Args({10'000'000, 1});
BENCHMARK(tenants)->ArgName("depth")->Arg(0)->Arg(10'000'000);
BENCHMARK(fifo)->ArgName("depth")->Arg(0)->Arg(10'000'000);
BENCHMARK(fifo_by_content)->ArgName("depth")->Arg(0);

// Unlimited move tasks: what was received too often goes back to where it came from. Only the task
// is counted.
void redrive(benchmark::State& state) {
  constexpr uint32_t kMessages = 500'000;
  OneShard shard;
  const QueueId dead = shard.create("dead", {});
  const QueueId queue = shard.create("q", {.dead_letter_queue = "dead", .receives_max = 1});
  Runs runs(kFillBatch, "", 0, false);
  for (auto _ : state) {
    state.PauseTiming();
    shard.purge(queue);
    for (uint32_t sent = 0; sent < kMessages; sent += kFillBatch)
      shard.send(queue, kFillBatch, runs.next());
    // Each is given once, at once given up, and moved by a later one.
    for (uint64_t given = 0, idle = 0; idle < kMessages / 10; ++idle) {
      shard.turn();  // leases end
      shard.receive(queue, kFillBatch, 0);
      given += shard.sink.receipts.size();
      if (given < kMessages) idle = 0;
    }
    state.ResumeTiming();
    // The last ones may not be durable yet, and so not be there for the first task.
    uint64_t moved = 0;
    for (int tasks = 0; moved < kMessages && tasks < 1'000; ++tasks) {
      if (!shard.move_all(dead, QueueId{})) state.SkipWithError("it failed");
      moved += shard.sink.task.moved;
    }
    if (moved != kMessages) state.SkipWithError("some are missing");
  }
  if (shard.sink.failures > 0) state.SkipWithError("refused");
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kMessages);
}
BENCHMARK(redrive)->Unit(benchmark::kMillisecond)->UseRealTime();

// The same meaning in plain containers, and nothing kept.
void plain(benchmark::State& state) {
  struct Message {
    std::string body;
    int64_t hidden_until = 0;
    uint32_t receives = 0;
  };
  std::list<Message> messages;
  int64_t now = 0;
  for (auto _ : state) {
    for (uint32_t i = 0; i < kBatch; ++i)
      messages.push_back({std::string(kBodyBytes, 'x')});
    std::vector<std::list<Message>::iterator> taken;
    for (auto m = messages.begin(); m != messages.end() && taken.size() < kBatch; ++m) {
      if (m->hidden_until > now) continue;
      m->hidden_until = now + 30'000;
      ++m->receives;
      taken.push_back(m);
    }
    for (const auto& m : taken)
      messages.erase(m);
    ++now;
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kBatch);
}
BENCHMARK(plain);

}  // namespace
}  // namespace millrace

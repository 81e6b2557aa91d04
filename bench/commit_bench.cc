// What an answer costs that waits for a position of the log: parked, reached, given. `waiting` of
// them are reached together, as by one sync.
#include <cstdint>

#include <benchmark/benchmark.h>

#include "engine/commit_queue.h"

namespace millrace::engine {
namespace {

class Counted final : public ReplySink {
 public:
  void on_send(uint64_t, const SendReply&) override { ++answers; }
  void on_receive(uint64_t, const ReceiveReply&) override { ++answers; }
  void on_results(uint64_t, const ResultsReply&) override { ++answers; }
  void on_queues(uint64_t, const QueueReply&) override { ++answers; }
  void on_stats(uint64_t, const BrokerStatsReply&) override { ++answers; }
  void on_peek(uint64_t, const PeekReply&) override { ++answers; }
  uint64_t answers = 0;
};

void park_and_answer(benchmark::State& state, Parked::Kind kind) {
  const auto waiting = static_cast<uint64_t>(state.range(0));
  Mailroom room(1);
  Mailbox mailbox(room, ShardId{0});
  CommitQueue commits;
  Counted sink;
  uint64_t end = 0;
  for (auto _ : state) {
    for (uint64_t i = 0; i < waiting; ++i)
      commits.park(CommitQueue::Level::durable,
                   {.end = Position{++end}, .kind = kind, .count = 10, .to = {&sink, i}});
    commits.answer(Position{end}, Position{end}, mailbox, [](std::span<const Delivery>) {});
  }
  if (sink.answers != static_cast<uint64_t>(state.iterations()) * waiting)
    state.SkipWithError("lost an answer");
  const auto total = static_cast<double>(state.iterations()) * static_cast<double>(waiting);
  state.counters["per_answer"] =
      benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK_CAPTURE(park_and_answer, send, Parked::Kind::send)->Arg(1)->Arg(32)->Arg(1'000);
BENCHMARK_CAPTURE(park_and_answer, ack, Parked::Kind::results)->Arg(1)->Arg(32)->Arg(1'000);

}  // namespace
}  // namespace millrace::engine

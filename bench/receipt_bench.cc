// What a receipt costs, alone and in a batch: one AES block to make it, one and a comparison to
// check it.
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/receipt.h"

namespace millrace::engine {
namespace {

constexpr ReceiptKey kKey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

void seal(benchmark::State& state) {
  ReceiptSealer sealer(kKey);
  uint64_t slot = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sealer.seal(QueueId{1}, ShardId{0}, Slot{slot++}, 1));
  }
}
BENCHMARK(seal);

void check(benchmark::State& state) {
  ReceiptSealer sealer(kKey);
  const Receipt receipt = sealer.seal(QueueId{1}, ShardId{0}, Slot{77}, 1);
  for (auto _ : state) {
    if (!sealer.check(receipt)) state.SkipWithError("refused");
  }
}
BENCHMARK(check);

void seal_100(benchmark::State& state) {
  ReceiptSealer sealer(kKey);
  std::vector<Receipt> batch(100);
  uint64_t slot = 0;
  for (auto _ : state) {
    for (Receipt& receipt : batch)
      receipt = {pack_shard_slot(ShardId{0}, Slot{slot++}), 1, 1, 0};
    sealer.seal_all(batch.size(), [&](size_t i) -> Receipt& { return batch[i]; });
    benchmark::DoNotOptimize(batch.data());
  }
  state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(seal_100);

}  // namespace
}  // namespace millrace::engine

// What a receipt costs: one SipHash-2-4 of 16 bytes to make it, one and a comparison to check it.
#include <cstdint>

#include <benchmark/benchmark.h>

#include "engine/receipt.h"

namespace millrace::engine {
namespace {

constexpr ReceiptKey kKey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

void seal(benchmark::State& state) {
  const ReceiptSealer sealer(kKey);
  uint64_t slot = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sealer.seal(QueueId{1}, ShardId{0}, Slot{slot++}, 1));
  }
}
BENCHMARK(seal);

void check(benchmark::State& state) {
  const ReceiptSealer sealer(kKey);
  const Receipt receipt = sealer.seal(QueueId{1}, ShardId{0}, Slot{77}, 1);
  for (auto _ : state) {
    if (!sealer.check(receipt)) state.SkipWithError("refused");
  }
}
BENCHMARK(check);

}  // namespace
}  // namespace millrace::engine

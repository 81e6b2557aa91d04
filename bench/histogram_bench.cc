// What is paid for figures: a duration in the load generator's histogram and in a queue's.
#include <cstdint>

#include <benchmark/benchmark.h>

#include "base/prng.h"
#include "millrace/duration_histogram.h"
#include "tools/bench/histogram.h"

namespace millrace {
namespace {

constexpr size_t kValues = 4'096;

struct Values {
  uint64_t at[kValues];
  Values() {
    base::Prng random(1);
    for (uint64_t& value : at)
      value = random.below(uint64_t{1} << (1 + random.below(30)));
  }
};

void record_ns(benchmark::State& state) {
  const Values values;
  tools::Histogram histogram;
  size_t next = 0;
  for (auto _ : state)
    histogram.record(values.at[next++ % kValues]);
  benchmark::DoNotOptimize(histogram.count());
}
BENCHMARK(record_ns);

void percentile(benchmark::State& state) {
  const Values values;
  tools::Histogram histogram;
  for (const uint64_t value : values.at)
    histogram.record(value);
  for (auto _ : state)
    benchmark::DoNotOptimize(histogram.percentile(99.9));
}
BENCHMARK(percentile);

void add_ms(benchmark::State& state) {
  const Values values;
  DurationHistogram histogram;
  size_t next = 0;
  for (auto _ : state)
    histogram.add(static_cast<int64_t>(values.at[next++ % kValues]));
  benchmark::DoNotOptimize(histogram.sum_ms);
}
BENCHMARK(add_ms);

}  // namespace
}  // namespace millrace

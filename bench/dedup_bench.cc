// What the deduplication window costs a message: an id that is new, one that is known, and the end
// of one, with `ids` in force.
#include <cstdint>

#include <benchmark/benchmark.h>

#include "engine/dedup_window.h"

namespace millrace::engine {
namespace {

constexpr int64_t kNow = 1'800'000'000'000;

// As of a keyed hash: any 128 bits.
base::Hash128 id_of(uint64_t n) {
  return {n * 0x9E3779B97F4A7C15u, (n + 1) * 0xC2B2AE3D27D4EB4Fu};
}
void uncounted(uint64_t, int) {}

void fill(DedupWindow& window, uint64_t ids) {
  for (uint64_t n = 0; n < ids; ++n)
    window.put(id_of(n), {Slot{n}, TimeMs{kNow + static_cast<int64_t>(n / 1'000)}, 1}, uncounted);
}

// The oldest goes, one comes.
void put_and_expire(benchmark::State& state) {
  const auto ids = static_cast<uint64_t>(state.range(0));
  DedupWindow window;
  fill(window, ids);
  uint64_t next = ids;
  for (auto _ : state) {
    const int64_t at = kNow + static_cast<int64_t>(next / 1'000);
    window.put(id_of(next), {Slot{next}, TimeMs{at}, 1}, uncounted);
    const int64_t oldest = kNow + static_cast<int64_t>((next - ids) / 1'000);
    window.expire(TimeMs{oldest + DedupWindow::kWindowMs}, 1, uncounted);
    ++next;
  }
}
BENCHMARK(put_and_expire)->Arg(1'000)->Arg(1'000'000);

void find(benchmark::State& state, bool known) {
  const auto ids = static_cast<uint64_t>(state.range(0));
  DedupWindow window;
  fill(window, ids);
  uint64_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(window.find(id_of(known ? next : ids + next), TimeMs{kNow}));
    if (++next == ids) next = 0;
  }
}
BENCHMARK_CAPTURE(find, known, true)->Arg(1'000)->Arg(1'000'000);
BENCHMARK_CAPTURE(find, unknown, false)->Arg(1'000)->Arg(1'000'000);

}  // namespace
}  // namespace millrace::engine

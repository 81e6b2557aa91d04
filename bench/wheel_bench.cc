// What a timer costs: started, stopped, extended, fired, with `timers` of them running.
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/prng.h"
#include "engine/timer_wheel.h"

namespace millrace::engine {
namespace {

constexpr int64_t kNow = 1'800'000'000'000;

TimerTarget about(uint64_t slot) {
  return {0, TimerKind::lease, Slot{slot}};
}

// Leases of one timeout, acknowledged in order: the common case.
void start_and_stop(benchmark::State& state) {
  const auto timers = static_cast<uint64_t>(state.range(0));
  TimerWheel wheel(TimeMs{kNow});
  std::vector<TimerId> running;
  uint64_t started = 0;
  const auto start = [&] {
    const int64_t deadline = kNow + 30'000 + static_cast<int64_t>(started / 1000 % 60'000);
    return wheel.start(TimeMs{deadline}, about(started++));
  };
  for (uint64_t n = 0; n < timers; ++n)
    running.push_back(start());
  size_t oldest = 0;
  for (auto _ : state) {
    wheel.stop(running[oldest]);
    running[oldest] = start();
    if (++oldest == running.size()) oldest = 0;
  }
}
BENCHMARK(start_and_stop)->Arg(1'000)->Arg(1'000'000)->Arg(10'000'000);

void extend_at_random(benchmark::State& state) {
  const auto timers = static_cast<uint64_t>(state.range(0));
  TimerWheel wheel(TimeMs{kNow});
  base::Prng random(1);
  std::vector<TimerId> running;
  for (uint64_t n = 0; n < timers; ++n) {
    running.push_back(
        wheel.start(TimeMs{kNow + static_cast<int64_t>(random.below(60'000))}, about(n)));
  }
  for (auto _ : state) {
    wheel.restart(running[random.below(timers)],
                  TimeMs{kNow + static_cast<int64_t>(random.below(60'000))});
  }
}
BENCHMARK(extend_at_random)->Arg(1'000)->Arg(1'000'000);

// Every timer of 30 s runs out, millisecond by millisecond, moved through two levels.
void expire_all(benchmark::State& state) {
  const auto timers = static_cast<uint64_t>(state.range(0));
  base::Prng random(1);
  for (auto _ : state) {
    state.PauseTiming();
    {
      TimerWheel wheel(TimeMs{kNow});
      for (uint64_t n = 0; n < timers; ++n) {
        wheel.start(TimeMs{kNow + static_cast<int64_t>(random.below(30'000))}, about(n));
      }
      uint64_t fired = 0;
      state.ResumeTiming();
      for (int64_t now = kNow; wheel.size() > 0; ++now) {
        fired += wheel.advance(TimeMs{now}, UINT32_MAX, [](const TimerTarget& target, TimeMs) {
          benchmark::DoNotOptimize(&target);
        });
      }
      state.PauseTiming();
      if (fired != timers) state.SkipWithError("lost a timer");
    }
    state.ResumeTiming();
  }
  const auto total = static_cast<double>(state.iterations()) * static_cast<double>(timers);
  state.counters["per_timer"] =
      benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(expire_all)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// A turn in which nothing is due, and the question when something will be.
void idle_turn(benchmark::State& state) {
  TimerWheel wheel(TimeMs{kNow});
  wheel.start(TimeMs{kNow + 43'200'000}, about(1));
  for (auto _ : state) {
    wheel.advance(TimeMs{kNow + 1}, 1000, [](const TimerTarget&, TimeMs) {});
    benchmark::DoNotOptimize(wheel.next_deadline());
  }
}
BENCHMARK(idle_turn);

}  // namespace
}  // namespace millrace::engine

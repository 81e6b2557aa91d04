// What the index costs a message, at each step of its life, in traffic that stands `depth` deep.
//
// The depth decides what is measured: 10,000 messages lie in the cache, 10 million do not.
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/slot_index.h"
#include "engine/timer_wheel.h"

namespace millrace::engine {
namespace {

constexpr Slot kAll{UINT64_MAX};
constexpr uint64_t kStride = 144;  // 128 B and their header
constexpr uint32_t kBatch = 100;
constexpr int64_t kNow = 1'800'000'000'000;

// A partition's traffic as the engine does it, a batch at a time.
class Traffic {
 public:
  Traffic() {
    for (uint32_t n = 0; n < kBatch; ++n)
      offsets_.push_back(static_cast<uint32_t>(n * kStride));
  }
  void fill(uint64_t messages) {
    for (uint64_t n = 0; n < messages; n += kBatch)
      send();
  }
  void send() {
    index.set_ready_run(index.append_run(Position{position_}, offsets_), kBatch);
    position_ += kBatch * kStride + 64;
  }
  // Leases the next kBatch ready messages.
  void receive() {
    ++now_;
    for (uint32_t taken = 0; taken < kBatch;) {
      const auto first = index.next_ready(Slot{0}, kAll);
      if (!first) return;
      const uint32_t run = index.ready_run(*first, kBatch - taken, kAll);
      for (uint32_t n = 0; n < run; ++n) {
        const Slot slot = *first + n;
        index.set_ready(slot, false);
        index.set_timer(slot, wheel.start(TimeMs{now_ + 30'000}, {0, TimerKind::lease, slot}));
        index.set_receive_count(slot, index.receive_count(slot) + 1);
      }
      taken += run;
    }
  }
  // Acknowledges the kBatch oldest.
  void ack() {
    for (uint32_t n = 0; n < kBatch; ++n) {
      wheel.stop(index.timer(next_ack_));
      index.set_timer(next_ack_, kNoTimer);
      index.erase(next_ack_);
      next_ack_ = next_ack_ + 1;
    }
  }

  SlotIndex index;
  TimerWheel wheel{TimeMs{kNow}};

 private:
  std::vector<uint32_t> offsets_;
  uint64_t position_ = 4096;
  int64_t now_ = kNow;
  Slot next_ack_{0};
};

void per_message(benchmark::State& state, uint64_t messages_each) {
  const auto messages =
      static_cast<double>(state.iterations()) * static_cast<double>(messages_each);
  state.counters["per_message"] =
      benchmark::Counter(messages, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Pages are freed by a purge now and then, as a page is what an append of 1024 messages allocates.
template <class Append>
void appends(benchmark::State& state, uint64_t messages_each, Append&& append) {
  constexpr uint64_t kHeldMax = 1'000'000;
  SlotIndex index;
  uint64_t position = 4096;
  for (auto _ : state) {
    position = append(index, position);
    if (index.live_count() >= kHeldMax) {
      state.PauseTiming();
      index.clear_to(index.end(), [](TimerId) {});
      state.ResumeTiming();
    }
  }
  per_message(state, messages_each);
}

void append_one(benchmark::State& state) {
  appends(state, 1, [](SlotIndex& index, uint64_t position) {
    index.append(Position{position});
    return position + kStride;
  });
}
BENCHMARK(append_one);

void append_run_and_make_ready(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  std::vector<uint32_t> offsets;
  for (uint32_t n = 0; n < count; ++n)
    offsets.push_back(static_cast<uint32_t>(n * kStride));
  appends(state, count, [&](SlotIndex& index, uint64_t position) {
    index.set_ready_run(index.append_run(Position{position}, offsets), count);
    return position + count * kStride;
  });
}
BENCHMARK(append_run_and_make_ready)->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

// The whole life in steady state; `depth` messages are ready all the time.
void send_receive_ack(benchmark::State& state) {
  Traffic traffic;
  traffic.fill(static_cast<uint64_t>(state.range(0)));
  for (auto _ : state) {
    traffic.send();
    traffic.receive();
    traffic.ack();
  }
  per_message(state, kBatch);
  state.counters["index_bytes"] = static_cast<double>(traffic.index.memory_bytes());
}
BENCHMARK(send_receive_ack)->Arg(1'000)->Arg(1'000'000)->Arg(10'000'000);

// Step by step over a backlog of `depth`: all are leased, then all acknowledged.
void receive_backlog(benchmark::State& state) {
  const auto depth = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    {
      Traffic traffic;
      traffic.fill(depth);
      state.ResumeTiming();
      for (uint64_t n = 0; n < depth; n += kBatch)
        traffic.receive();
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  per_message(state, depth);
}
BENCHMARK(receive_backlog)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void ack_backlog(benchmark::State& state) {
  const auto depth = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    {
      Traffic traffic;
      traffic.fill(depth);
      for (uint64_t n = 0; n < depth; n += kBatch)
        traffic.receive();
      state.ResumeTiming();
      for (uint64_t n = 0; n < depth; n += kBatch)
        traffic.ack();
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  per_message(state, depth);
}
BENCHMARK(ack_backlog)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void erase_only(benchmark::State& state) {
  constexpr uint64_t kDepth = 1'000'000;
  for (auto _ : state) {
    state.PauseTiming();
    {
      Traffic traffic;
      traffic.fill(kDepth);
      state.ResumeTiming();
      for (uint64_t n = 0; n < kDepth; ++n)
        traffic.index.erase(Slot{n});
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  per_message(state, kDepth);
}
BENCHMARK(erase_only)->Unit(benchmark::kMillisecond);

// The oldest lease ends while a million later ones are out: from the hint far ahead back to the
// front, and ahead again.
void straggler_comes_back(benchmark::State& state) {
  Traffic traffic;
  traffic.fill(2'000'000);
  for (int n = 0; n < 10'000; ++n)
    traffic.receive();
  traffic.wheel.stop(traffic.index.timer(Slot{0}));
  traffic.index.set_timer(Slot{0}, kNoTimer);
  for (auto _ : state) {
    traffic.index.set_ready(Slot{0}, true);
    benchmark::DoNotOptimize(traffic.index.next_ready(Slot{0}, kAll));
    traffic.index.set_ready(Slot{0}, false);
    benchmark::DoNotOptimize(traffic.index.next_ready(Slot{0}, kAll));
  }
}
BENCHMARK(straggler_comes_back);

void purge(benchmark::State& state) {
  constexpr uint64_t kDepth = 1'000'000;
  for (auto _ : state) {
    state.PauseTiming();
    {
      Traffic traffic;
      traffic.fill(kDepth);
      state.ResumeTiming();
      benchmark::DoNotOptimize(traffic.index.clear_to(kAll, [](TimerId) {}));
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  per_message(state, kDepth);
}
BENCHMARK(purge)->Unit(benchmark::kMillisecond);

void save(benchmark::State& state) {
  constexpr uint64_t kDepth = 1'000'000;
  Traffic traffic;
  traffic.fill(kDepth);
  std::vector<std::byte> out;
  for (auto _ : state) {
    out.clear();
    traffic.index.save(out);
  }
  per_message(state, kDepth);
  state.counters["bytes"] = static_cast<double>(out.size());
}
BENCHMARK(save)->Unit(benchmark::kMillisecond);

void load(benchmark::State& state) {
  constexpr uint64_t kDepth = 1'000'000;
  Traffic traffic;
  traffic.fill(kDepth);
  std::vector<std::byte> out;
  traffic.index.save(out);
  SlotIndex index;
  for (auto _ : state) {
    Bytes in(out);
    if (!index.load(in)) state.SkipWithError("not loaded");
  }
  per_message(state, kDepth);
}
BENCHMARK(load)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace::engine

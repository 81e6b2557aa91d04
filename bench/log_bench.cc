// What the log costs a turn: records appended, hashed and written, on a file of the page cache; and
// read again. Nothing is synced: what a device takes is machine_floor's.
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/assert.h"
#include "storage/log.h"
#include "storage/real_disk.h"
#include "tests/support/temporary_directory.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kSegmentBytes = 64u << 20;
constexpr uint64_t kLogBytesMax = 1u << 30;
constexpr uint16_t kKind = 1;

class Nothing final : public ReplaySink {
 public:
  void on_record(const Record&) override {}
};

class BenchedLog {
 public:
  BenchedLog() { open(); }
  Log& log() { return *log_; }

  // What is on disk is nobody's: begins anew before it is too much.
  void bound() {
    if (log_->bytes_on_disk() < kLogBytesMax) return;
    log_.reset();
    disk_.reset();
    directory_ = std::make_unique<TemporaryDirectory>();
    open();
  }
  void turn() {
    now_ = now_ + 1;
    MR_ASSERT(log_->write_batch(now_));
  }
  // Segments are prepared elsewhere, as beside a shard.
  void finish_jobs() {
    log_->start_jobs(now_, true);
    Completion done[16];
    for (size_t n = disk_->reap(done), i = 0; i < n; ++i)
      if (log_->owns_token(done[i].token)) log_->on_completion(done[i], now_);
  }

 private:
  void open() {
    auto disk = RealDisk::open_directory(*directory_ / "data", {});
    MR_ASSERT(disk);
    disk_ = std::move(*disk);
    MR_ASSERT(disk_->make_directory("shard-0"));
    LogOptions options;
    options.directory = "shard-0";
    options.log_id = 1;
    options.segment_bytes = kSegmentBytes;
    options.durability = Durability::none;
    options.entropy = 1;
    std::string message;
    auto log = Log::open(*disk_, options, &message);
    MR_ASSERT(log);
    log_ = std::move(*log);
    Nothing nothing;
    MR_ASSERT(log_->recover(log_->head(), nothing, now_));
  }

  std::unique_ptr<TemporaryDirectory> directory_ = std::make_unique<TemporaryDirectory>();
  std::unique_ptr<RealDisk> disk_;
  std::unique_ptr<Log> log_;
  TimeMs now_{1};
};

// `bytes` a record, `records` a turn.
void append(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  const auto records = state.range(1);
  const std::vector<std::byte> body(bytes, std::byte{7});
  BenchedLog benched;
  for (auto _ : state) {
    for (int64_t i = 0; i < records; ++i) {
      const Bytes parts[] = {body};
      benchmark::DoNotOptimize(benched.log().append(kKind, parts, Space::grows));
    }
    benched.turn();
    state.PauseTiming();
    benched.finish_jobs();
    benched.bound();
    state.ResumeTiming();
  }
  const auto total = static_cast<double>(state.iterations()) * static_cast<double>(records);
  state.counters["per_record"] =
      benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(append)
    ->Args({144, 1})
    ->Args({144, 100})
    ->Args({1'040, 100})
    ->Args({16'400, 10})
    ->Args({14'400, 100});

// A record is verified before its messages are delivered.
void read(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  const std::vector<std::byte> body(bytes, std::byte{7});
  BenchedLog benched;
  std::vector<Position> positions;
  for (int i = 0; i < 1'000; ++i) {
    const Bytes parts[] = {body};
    const auto position = benched.log().append(kKind, parts, Space::grows);
    MR_ASSERT(position);
    positions.push_back(*position);
    benched.turn();
  }
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(benched.log().read_record(positions[next]));
    if (++next == positions.size()) next = 0;
  }
}
BENCHMARK(read)->Arg(144)->Arg(1'040)->Arg(14'400);

}  // namespace
}  // namespace millrace::storage

// LogHarness: a log on a simulated disk, as the tests drive it: open, append, turn, crash, again.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/prng.h"
#include "storage/log.h"
#include "tests/sim/sim_disk.h"

namespace millrace::storage {

struct Entry {
  uint64_t position = 0;
  uint16_t kind = 0;
  std::string body;
  friend bool operator==(const Entry&, const Entry&) = default;
};

inline std::vector<std::string> bodies(const std::vector<Entry>& entries) {
  std::vector<std::string> out;
  for (const Entry& entry : entries)
    out.push_back(entry.body);
  return out;
}

class Collector final : public ReplaySink {
 public:
  void on_record(const Record& record) override {
    entries.push_back({record.position.value, record.kind, std::string(as_text(record.body))});
  }
  std::vector<Entry> entries;
};

inline constexpr uint64_t kTestSegmentBytes = 64u << 10;

inline LogOptions test_options(uint64_t entropy = 1) {
  LogOptions options;
  options.directory = "shard-0";
  options.log_id = 7;
  options.segment_bytes = kTestSegmentBytes;
  options.entropy = entropy;
  return options;
}

class LogHarness {
 public:
  explicit LogHarness(LogOptions options = test_options())
      : image(std::make_unique<sim::SimDiskImage>()), options_(std::move(options)), prng_(1) {}

  Result<RecoveryReport> open(TimeMs now = TimeMs{1}) {
    close_without_syncing();
    now_ = std::max(now_, now);
    options_.entropy = base::mix(options_.entropy, ++opens_);
    disk = std::make_unique<sim::SimDisk>(*image);
    if (fault_of_open) disk->inject(*std::exchange(fault_of_open, std::nullopt));
    Result<std::unique_ptr<Log>> opened = Log::open(*disk, options_, &message);
    if (!opened) return fail(opened.error());
    log = std::move(*opened);
    Collector collector;
    Result<RecoveryReport> report = log->recover(log->head(), collector, now_);
    replayed = std::move(collector.entries);
    return report;
  }
  void close_without_syncing() {
    log.reset();
    disk.reset();
  }
  // Goes on with another image.
  void use(std::unique_ptr<sim::SimDiskImage> other) {
    close_without_syncing();
    image = std::move(other);
  }
  // The process dies; the page cache stays.
  void kill() {
    image->kill();
    close_without_syncing();
  }
  // The power goes; what was not synced is decided by the prng.
  void crash(base::Prng& prng, const sim::PowerLossOptions& options = {}) {
    image->crash(prng, options);
    close_without_syncing();
  }

  Result<Position> append(const std::string& body, uint16_t kind = 1, Space space = Space::frees) {
    const Bytes parts[] = {as_bytes(body)};
    return log->append(kind, parts, space);
  }
  Status write() { return log->write_batch(now_); }
  // Writes, starts jobs and lets all of them end, until the log asks for nothing more.
  void settle() {
    (void)write();
    for (int i = 0; i < 100; ++i) {
      log->start_jobs(now_);
      if (!finish_jobs()) break;
    }
  }
  bool finish_jobs() {
    bool any = false;
    while (disk->complete_one(prng_))
      any = true;
    Completion completions[8];
    while (const size_t count = disk->reap(completions))
      for (size_t i = 0; i < count; ++i)
        log->on_completion(completions[i], now_);
    return any;
  }
  void pass(int64_t ms) { now_ = now_ + ms; }
  // Carries live bodies are none here: all records are dead unless the test says otherwise.
  void clean() {
    while (log->needs_cleaning() && log->live_bytes(log->segment_of(log->head())) == 0)
      log->free_head();
  }
  TimeMs now() const { return now_; }
  LogOptions& options() { return options_; }

  std::unique_ptr<sim::SimDiskImage> image;
  std::optional<sim::DiskFault> fault_of_open;  // that the next open meets
  std::unique_ptr<sim::SimDisk> disk;
  std::unique_ptr<Log> log;
  std::vector<Entry> replayed;
  std::string message;

 private:
  LogOptions options_;
  base::Prng prng_;
  uint64_t opens_ = 0;
  TimeMs now_{1};
};

}  // namespace millrace::storage

#include "net/metrics/queue_figures.h"

#include <algorithm>
#include <array>
#include <memory>

#include <fmt/format.h>

#include "net/metrics/metric_table.h"

namespace millrace::net {
namespace {

// By their place in the table.
constexpr std::array<uint64_t QueueCounters::*, kQueueAgedOut + 1> kNumbers{
    &QueueCounters::ready,       &QueueCounters::leased,        &QueueCounters::delayed,
    &QueueCounters::bytes,       &QueueCounters::sent,          &QueueCounters::received,
    &QueueCounters::acked,       &QueueCounters::expired,       &QueueCounters::empty_receives,
    &QueueCounters::redelivered, &QueueCounters::dead_lettered, &QueueCounters::aged_out,
};

// The engine's buckets 0, 2, 4, ...: 4^i milliseconds.
constexpr std::array<std::string_view, 15> kWaitBounds{
    "0.001",  "0.004",   "0.016",    "0.064",    "0.256",     "1.024",     "4.096",     "16.384",
    "65.536", "262.144", "1048.576", "4194.304", "16777.216", "67108.864", "268435.456"};
static_assert(DurationHistogram::bound_ms(2 * (kWaitBounds.size() - 1)) == 268'435'456);

constexpr std::array<std::string_view, CommitTimes::kBuckets - 1> kCommitBounds{
    "5e-05",  "0.0001", "0.0002", "0.0004", "0.0008", "0.0016", "0.0032",
    "0.0064", "0.0128", "0.0256", "0.0512", "0.1024", "0.2048", "0.4096",
    "0.8192", "1.6384", "3.2768", "6.5536", "13.1072"};
static_assert(CommitTimes::bound_us(kCommitBounds.size() - 1) == 13'107'200);

void write_times(Exposition& to, size_t family, const Label& label,
                 const DurationHistogram& times) {
  std::array<uint64_t, kWaitBounds.size()> up_to{};
  uint64_t sum = 0;
  for (uint32_t i = 0; i < DurationHistogram::kBuckets; ++i) {
    sum += times.counts[i];
    if (i % 2 == 0 && i / 2 < up_to.size()) up_to[i / 2] = sum;
  }
  to.histogram(family, label, kWaitBounds, up_to, sum, static_cast<double>(times.sum_ms) / 1e3);
}

}  // namespace

void write_queue(Exposition& to, std::string_view name, const QueueCounters& counters, TimeMs now) {
  const Label label{"queue", name};
  for (size_t i = 0; i < kNumbers.size(); ++i)
    to.sample(i, label, counters.*kNumbers[i]);
  const int64_t age_ms =
      counters.oldest_sent_at_ms == 0 ? 0 : now.value - counters.oldest_sent_at_ms;
  to.sample(kQueueOldestAge, label, static_cast<double>(std::max<int64_t>(age_ms, 0)) / 1e3);
  static const QueueTimes kNoTimes{};
  const QueueTimes& times = counters.times == nullptr ? kNoTimes : *counters.times;
  write_times(to, kQueueWait, label, times.wait);
  write_times(to, kQueueLease, label, times.lease);
}

void write_shard(Exposition& to, const ShardStats& stats) {
  const fmt::format_int number(raw(stats.shard));
  const Label label{"shard", {number.data(), number.size()}};
  to.sample(kShardTicks, label, stats.ticks);
  to.sample(kShardBusyTicks, label, stats.busy_ticks);
  std::array<uint64_t, kCommitBounds.size()> up_to{};
  uint64_t sum = 0;
  const CommitTimes none{};
  const CommitTimes& commits = stats.commits == nullptr ? none : *stats.commits;
  for (uint32_t i = 0; i < CommitTimes::kBuckets; ++i) {
    sum += commits.counts[i];
    if (i < up_to.size()) up_to[i] = sum;
  }
  to.histogram(kShardCommit, label, kCommitBounds, up_to, sum,
               static_cast<double>(commits.sum_us) / 1e6);
  to.sample(kShardDurableLag, label, stats.end - stats.durable);
  to.sample(kShardLogLive, label, stats.live_bytes);
  to.sample(kShardLogDisk, label, stats.disk_bytes);
  to.sample(kShardLogWritten, label, stats.bytes_written);
  to.sample(kShardIndex, label, stats.index_bytes);
  to.sample(kShardSyncs, label, stats.syncs);
  to.sample(kShardScrubbed, label, stats.scrubbed_bytes);
  to.sample(kShardScrubMended, label, stats.scrub_mended);
  to.sample(kShardScrubUnreadable, label, stats.scrub_unreadable);
  to.sample(kShardMemory, label, stats.memory_bytes);
  to.sample(kShardWaiting, label, stats.waiting);
  to.sample(kShardTimers, label, stats.timers);
  to.sample(kShardRefused, label, {"why", "memory"}, stats.refused_memory);
  to.sample(kShardRefused, label, {"why", "behind"}, stats.refused_behind);
  to.sample(kShardBackupHeld, label, stats.backup_held_bytes);
  to.sample(kShardBackupRead, label, stats.backup_bytes);
  to.sample(kShardFenced, label, uint64_t{stats.fenced});
  to.sample(kShardDiskFull, label, uint64_t{stats.disk_full});
  to.sample(kShardMemoryFull, label, uint64_t{stats.memory_full});
}

void add_counters(QueueCounters& sum, const QueueCounters& part) {
  for (const auto number : kNumbers)
    sum.*number += part.*number;
  if (part.oldest_sent_at_ms != 0 &&
      (sum.oldest_sent_at_ms == 0 || part.oldest_sent_at_ms < sum.oldest_sent_at_ms))
    sum.oldest_sent_at_ms = part.oldest_sent_at_ms;
  if (part.times == nullptr) return;
  auto times = std::make_shared<QueueTimes>(sum.times == nullptr ? QueueTimes{} : *sum.times);
  times->wait.add(part.times->wait);
  times->lease.add(part.times->lease);
  sum.times = std::move(times);
}

}  // namespace millrace::net

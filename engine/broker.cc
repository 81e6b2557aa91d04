#include "engine/broker.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/log_line.h"
#include "base/server_clock.h"
#include "engine/data_directory.h"
#include "engine/limits.h"
#include "engine/os_environment.h"

namespace millrace::engine {
namespace {

// Turns in which mail between shards may settle before the logs are closed.
constexpr int kTurnsToSettle = 64;

Status check_options(const BrokerOptions& options, std::string* message) {
  const auto bad = [&](std::string text) -> Status {
    *message = std::move(text);
    return fail(Errc::invalid_argument);
  };
  if (options.data_directory.empty()) return bad("no data directory was named");
  if (options.shards < 1 || options.shards > kShardsMax)
    return bad(fmt::format("shards is {}; it may be 1 to {}", options.shards, kShardsMax));
  if (options.durability > Durability::commit)
    return bad("durability is none of none, interval, commit");
  if (options.durability == Durability::interval &&
      (options.interval_ms < 1 || options.interval_ms > 60'000))
    return bad(fmt::format("the interval is {} ms; it may be 1 to 60000", options.interval_ms));
  const uint64_t segment = options.segment_bytes;
  if (segment < 64u << 10 || segment > 1u << 30 || (segment & (segment - 1)) != 0)
    return bad(fmt::format("the segment size is {}; it must be a power of two from 64 KiB to 1 GiB",
                           segment));
  return {};
}

std::string report_line(std::string_view log, const storage::RecoveryReport& report) {
  if (report.created) return fmt::format("{}: new", log);
  std::string line = fmt::format("{}: replayed {} records, {} bytes in {} segments", log,
                                 report.records, report.bytes, report.segments);
  if (report.clean_shutdown) line += ", after a clean stop";
  if (report.torn_bytes_cut > 0)
    line += fmt::format(", cut {} bytes of an unfinished write", report.torn_bytes_cut);
  if (report.damaged_ranges > 0)
    line += fmt::format(", DAMAGE: {} bytes in {} places set aside (quarantine)",
                        report.damaged_bytes, report.damaged_ranges);
  return line;
}

ReceiptKey make_key(Environment& environment) {
  ReceiptKey key;
  const uint64_t words[2] = {environment.random(), environment.random()};
  static_assert(sizeof words == sizeof key);
  std::memcpy(key.data(), words, sizeof words);
  return key;
}

}  // namespace

Result<std::unique_ptr<BrokerOnDisk>> BrokerOnDisk::open_directory(const BrokerOptions& options,
                                                                   Environment& environment,
                                                                   std::string* message) {
  if (const auto valid = check_options(options, message); !valid) return fail(valid.error());
  std::unique_ptr<BrokerOnDisk> broker(new BrokerOnDisk);

  // The mailroom comes first, for its wakers; the shards' number is only known from the catalog,
  // whose disk must already be able to wake shard 0: hence a slot that is filled later.
  auto wakers = std::make_shared<std::atomic<Mailroom*>>(nullptr);
  const auto wake = [wakers](uint16_t shard) {
    return [wakers, shard] {
      if (Mailroom* room = wakers->load(std::memory_order_acquire))
        room->waker(ShardId{shard}).wake();
    };
  };
  auto catalog_disk = environment.make_disk(options.data_directory, wake(0));
  if (!catalog_disk) {
    *message = fmt::format("the data directory {} can't be opened: {}", options.data_directory,
                           errc_text(catalog_disk.error()));
    return fail(catalog_disk.error());
  }
  if (const auto locked = (*catalog_disk)->lock(); !locked) {
    *message = fmt::format("the data directory {} can't be locked: {}", options.data_directory,
                           errc_text(locked.error()));
    return fail(locked.error());
  }
  storage::Disk& root = **catalog_disk;
  if (const auto foreign = foreign_files(root); foreign && !foreign->empty())
    base::log_line(base::LogLevel::warn, "engine",
                   "not ours, left alone, in the data directory: {}", fmt::join(*foreign, ", "));

  const TimeMs wall{environment.wall_ms()};
  storage::LogOptions log_options;
  log_options.directory = kCatalogDirectory;
  log_options.log_id = kCatalogLogId;
  log_options.segment_bytes = kCatalogSegmentBytes;
  log_options.entropy = environment.random();
  auto catalog_log = storage::Log::open(root, log_options, message);
  if (!catalog_log) return fail(catalog_log.error());

  // A shard's directory is synced before its log's first record is acknowledged; the number in the
  // catalog may be older or, by then, newer.
  const auto found = found_shards(root);
  if (!found) {
    *message = "the data directory can't be listed";
    return fail(found.error());
  }
  uint16_t count = options.shards;
  while (count < kShardsMax && (*found >> count) != 0)
    ++count;
  uint64_t disk_bytes_max = options.disk_bytes_max;
  if (disk_bytes_max == 0) {
    const auto free_bytes = root.free_bytes();
    if (!free_bytes) {
      *message = "the file system does not say how much space is free";
      return fail(free_bytes.error());
    }
    disk_bytes_max = *free_bytes / 10 * 9;
  }

  // All logs are opened, which only reads, before the first is recovered, which writes: a start
  // that is refused has changed nothing.
  log_options.segment_bytes = options.segment_bytes;
  log_options.disk_bytes_max = disk_bytes_max / count;
  log_options.logs_on_disk = count;
  log_options.durability = options.durability;
  log_options.interval_ms = options.interval_ms;
  struct Opened {
    std::unique_ptr<storage::Disk> disk;
    std::unique_ptr<storage::Log> log;
  };
  std::vector<Opened> opened(count);
  const auto open_shard = [&](uint16_t i) -> Status {
    auto disk = environment.make_disk(options.data_directory, wake(i));
    if (!disk) {
      *message = fmt::format("the data directory {} can't be opened: {}", options.data_directory,
                             errc_text(disk.error()));
      return fail(disk.error());
    }
    log_options.directory = shard_directory(i);
    log_options.log_id = i;
    log_options.entropy = environment.random();
    auto log = storage::Log::open(**disk, log_options, message);
    if (!log) return fail(log.error());
    opened[i] = {std::move(*disk), std::move(*log)};
    return {};
  };
  for (uint16_t i = 0; i < count; ++i)
    if ((*found >> i & 1) != 0)
      if (const Status status = open_shard(i); !status) return fail(status.error());

  auto keeper = CatalogKeeper::open(std::move(*catalog_disk), std::move(*catalog_log),
                                    make_key(environment), wall, message);
  if (!keeper) return fail(keeper.error());
  CatalogKeeper& catalog = **keeper;
  broker->report_.push_back(report_line(std::string(kCatalogDirectory), catalog.recovery()));
  for (uint16_t shard = 0; shard < catalog.shard_count(); ++shard)
    if ((*found >> shard & 1) == 0) {
      *message = fmt::format("{} is missing from the data directory", shard_directory(shard));
      return fail(Errc::damaged);
    }
  broker->room_ = std::make_unique<Mailroom>(count);
  wakers->store(broker->room_.get(), std::memory_order_release);

  TimeMs newest = catalog.recovery().last_server_time;
  for (uint16_t i = 0; i < count; ++i) {
    if (opened[i].log == nullptr)
      if (const Status status = open_shard(i); !status) return fail(status.error());
    auto shard =
        std::make_unique<Shard>(ShardId{i}, *broker->room_, environment, std::move(opened[i].disk),
                                std::move(opened[i].log), catalog.receipt_key(), options.durability,
                                options.interval_ms, wall);
    const auto report = shard->recover(catalog.catalog(), wall);
    if (!report) {
      *message = fmt::format("{} could not be recovered: {}", shard_directory(i),
                             errc_text(report.error()));
      return fail(report.error());
    }
    newest = std::max(newest, report->last_server_time);
    broker->report_.push_back(report_line(shard_directory(i), *report));
    broker->shards_.push_back(std::move(shard));
  }
  catalog.set_shard_count(count);
  broker->shards_[0]->keep_catalog(std::move(*keeper));

  // Both clocks at one moment: had the wall been read before the recovery, server time would lag by
  // what that took, and jump at the next start.
  const base::ServerClock clock(newest, environment.wall_ms(), environment.boot_ns());
  for (const auto& shard : broker->shards_)
    shard->start(clock);
  return broker;
}

BrokerOnDisk::~BrokerOnDisk() {
  // Sinks may be gone already: nothing is answered any more.
  (void)close(false);
}

Status BrokerOnDisk::start_threads() {
  if (threads_ != nullptr || stopped_) return fail(Errc::invalid_argument);
  std::vector<ShardPort*> ports;
  for (const auto& shard : shards_)
    ports.push_back(shard.get());
  auto threads = ShardThreads::start(std::move(ports));
  if (!threads) return fail(threads.error());
  threads_ = std::move(*threads);
  return {};
}

Status BrokerOnDisk::stop() {
  return close(true);
}

Status BrokerOnDisk::close(bool answer) {
  if (stopped_) return {};
  stopped_ = true;
  if (threads_ != nullptr) threads_->join();
  if (answer)
    for (int turn = 0; turn < kTurnsToSettle; ++turn) {
      bool idle = true;
      for (const auto& shard : shards_) {
        (void)shard->tick();
        idle = idle && shard->idle();
      }
      if (idle) break;
    }
  Status closed;
  for (const auto& shard : shards_)
    if (const auto stopped = shard->stop(answer); !stopped) closed = stopped;
  // What waits for another shard's part gets it no more: whoever blocks on it must not for ever.
  if (answer)
    for (const auto& shard : shards_)
      shard->answer_rest();
  return closed;
}

}  // namespace millrace::engine

namespace millrace {

Result<std::unique_ptr<Broker>> Broker::open(const BrokerOptions& options, Environment& environment,
                                             std::string* message) {
  std::string unread;
  auto broker = engine::BrokerOnDisk::open_directory(options, environment,
                                                     message == nullptr ? &unread : message);
  if (!broker) return fail(broker.error());
  return std::unique_ptr<Broker>(std::move(*broker));
}

Result<std::unique_ptr<Broker>> Broker::open(const BrokerOptions& options, std::string* message) {
  std::string unread;
  auto environment = std::make_unique<engine::OsEnvironment>();
  auto broker = engine::BrokerOnDisk::open_directory(options, *environment,
                                                     message == nullptr ? &unread : message);
  if (!broker) return fail(broker.error());
  (*broker)->own(std::move(environment));
  return std::unique_ptr<Broker>(std::move(*broker));
}

}  // namespace millrace

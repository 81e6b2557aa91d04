#include "engine/broker.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/log_line.h"
#include "base/printable.h"
#include "base/server_clock.h"
#include "engine/data_directory.h"
#include "engine/directory_logs.h"
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

std::string waiting_line(int64_t ahead_ms, bool ahead) {
  constexpr int64_t kHourMs = 3'600'000;
  return fmt::format(
      "{}: messages age out again in {} hours, or when it is started with accept-clock",
      ahead ? fmt::format("the clock is {} hours ahead of the newest record", ahead_ms / kHourMs)
            : "the clock was far ahead at an earlier start",
      kRetentionWaitMs / kHourMs);
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
  auto logs = DirectoryLogs::open(options, environment, wake, message);
  if (!logs) return fail(logs.error());
  const uint16_t count = (*logs)->shard_count();

  const TimeMs wall{environment.wall_ms()};
  DirectoryLogs::OpenLog of_catalog = (*logs)->take_catalog();
  auto keeper = CatalogKeeper::open(std::move(of_catalog.disk), std::move(of_catalog.log),
                                    make_key(environment), wall, message);
  if (!keeper) return fail(keeper.error());
  CatalogKeeper& catalog = **keeper;
  broker->report(kCatalogDirectory, catalog.recovery());
  for (uint16_t shard = 0; shard < catalog.shard_count(); ++shard)
    if (!(*logs)->found(shard)) {
      *message = fmt::format("{} is missing from the data directory", shard_directory(shard));
      return fail(Errc::damaged);
    }
  const uint16_t before = catalog.shard_count();
  if (const QueueInfo* tied = count > before ? catalog.catalog().tied_to(before) : nullptr) {
    const std::string name = base::printable(tied->name);
    if (before == 0) {
      *message = fmt::format(
          "the catalog has the FIFO queue '{}' and does not say how many shards there are: the "
          "record that did is gone",
          name);
      return fail(Errc::damaged);
    }
    *message = fmt::format(
        "the queue '{0}' is spread over the {1} shards there are in a way that more would break; "
        "open the directory with {1}, or first empty, delete and create the queue again",
        name, before);
    return fail(Errc::invalid_argument);
  }
  broker->room_ = std::make_unique<Mailroom>(count);
  broker->memory_ = std::make_unique<MemoryBudget>(options.memory_bytes_max);
  wakers->store(broker->room_.get(), std::memory_order_release);

  TimeMs newest = catalog.recovery().last_server_time;
  for (uint16_t i = 0; i < count; ++i) {
    auto log = (*logs)->take_shard(i, message);
    if (!log) return fail(log.error());
    auto shard = std::make_unique<Shard>(ShardId{i}, *broker->room_, environment,
                                         std::move(log->disk), std::move(log->log),
                                         catalog.receipt_key(), options, *broker->memory_, wall);
    std::string why;
    const auto report =
        shard->recover(catalog.catalog(), catalog.topics(), options.restored, wall, &why);
    if (!report) {
      *message = fmt::format("{} could not be recovered: {}", shard_directory(i),
                             why.empty() ? errc_text(report.error()) : why);
      return fail(report.error());
    }
    newest = std::max(newest, report->last_server_time);
    // A catalog that lost its newest changes must not give their ids out again.
    catalog.note_id_given(raw(shard->state().newest_queue()));
    broker->report(shard_directory(i), *report);
    broker->shards_.push_back(std::move(shard));
  }
  catalog.set_shard_count(count);
  const int64_t ahead_ms = newest == TimeMs{0} ? 0 : wall - newest;
  const bool ahead = ahead_ms > kRetentionWaitMs;
  const bool waits = (ahead || catalog.retention_waits()) && !options.accept_clock;
  catalog.set_retention_waits(waits);
  if (waits) broker->report_.push_back(waiting_line(ahead_ms, ahead));
  broker->shards_[0]->keep_catalog(std::move(*keeper));

  // Both clocks at one moment: had the wall been read before the recovery, server time would lag by
  // what that took, and jump at the next start.
  base::ServerClock clock(newest, environment.wall_ms(), environment.boot_ns());
  const TimeMs retention_from =
      waits ? clock.at(environment.boot_ns()) + kRetentionWaitMs : TimeMs{0};
  for (const auto& shard : broker->shards_)
    shard->start(clock, retention_from);
  return broker;
}

void BrokerOnDisk::report(std::string_view log, const storage::RecoveryReport& recovery) {
  report_.push_back(report_line(log, recovery));
  if (recovery.damaged_ranges > 0) damage_.push_back(report_.back());
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

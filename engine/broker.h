// BrokerOnDisk: opens a data directory and holds its shards.
//
// Layout: "catalog" (queues, receipt key, number of shards) and "shard-0", "shard-1", ... (a log
// each). A directory made with more shards than asked for is opened with all of them, since their
// messages are there; a shard directory that the catalog knows of and that is missing is damage.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/environment.h"
#include "engine/memory_budget.h"
#include "engine/shard.h"
#include "engine/threads.h"
#include "millrace/engine.h"

namespace millrace::engine {

class BrokerOnDisk final : public Broker {
 public:
  static Result<std::unique_ptr<BrokerOnDisk>> open_directory(const BrokerOptions& options,
                                                              Environment& environment,
                                                              std::string* message);
  ~BrokerOnDisk() override;

  uint16_t shard_count() const override { return static_cast<uint16_t>(shards_.size()); }
  ShardPort& shard(ShardId shard) override { return *shards_[raw(shard)]; }
  Shard& shard_at(ShardId shard) { return *shards_[raw(shard)]; }
  const std::vector<std::string>& recovery_report() const override { return report_; }
  const std::vector<std::string>& damage_report() const override { return damage_; }
  Status start_threads() override;
  Status stop() override;

  // Runs `work` on a shard's thread soon: LocalClient's way in. False: there are no own threads, or
  // they have been stopped.
  bool post(ShardId shard, ShardThreads::Work work) {
    return threads_ != nullptr && threads_->post(shard, std::move(work));
  }
  // The destructor then neither writes nor syncs: what a killed process leaves. For tests.
  void abandon() { stopped_ = true; }
  void own(std::unique_ptr<Environment> environment) { environment_ = std::move(environment); }

 private:
  BrokerOnDisk() = default;
  Status close(bool answer);

  std::unique_ptr<Environment> environment_;  // when it is our own
  std::unique_ptr<Mailroom> room_;
  std::unique_ptr<MemoryBudget> memory_;
  std::unique_ptr<ShardThreads> threads_;  // outlives the shards, whose disks may still wake it
  std::vector<std::unique_ptr<Shard>> shards_;
  void report(std::string_view log, const storage::RecoveryReport& recovery);
  std::vector<std::string> report_;
  std::vector<std::string> damage_;
  bool stopped_ = false;
};

}  // namespace millrace::engine

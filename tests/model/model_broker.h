// ModelBroker: the engine as the model's run drives it: each request answered before the next, on
// simulated disks whose jobs are all done by then; stopped, killed and opened again at will.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "millrace/engine.h"
#include "tests/model/model_queue.h"
#include "tests/sim/sim_environment.h"

namespace millrace::model {

struct Taken {
  Receipt receipt{};
  uint64_t number = 0;
  uint32_t receives = 0;
  int64_t sent_at = 0;
  std::string group{}, body{};
};

class ModelBroker {
 public:
  ModelBroker(uint16_t shards, uint64_t seed);
  ~ModelBroker();
  ModelBroker(const ModelBroker&) = delete;
  ModelBroker& operator=(const ModelBroker&) = delete;

  // An empty id: refused; `detail()` says why.
  std::optional<QueueId> create(std::string_view name, const QueueAttributes& attributes);
  // Where each message lies, or lay when its first was accepted: shard and slot.
  Result<std::vector<uint64_t>> send(QueueId queue, std::span<const Sending> messages);
  Result<std::vector<Taken>> receive(QueueId queue, uint32_t max, uint32_t visibility);
  Errc acknowledge(const Receipt& receipt);
  Errc extend(const Receipt& receipt, uint32_t visibility);
  Errc purge(QueueId queue);
  Errc set_scope(QueueId queue, bool by_group);  // of deduplication
  std::optional<QueueCounters> counters(QueueId queue);
  // Which messages there are, and when they were sent. Nothing if there are too many to see.
  std::optional<std::map<uint64_t, int64_t>> look(QueueId queue);
  // Moves what is ready there, or (0) back to where it came from; the process ends and starts again
  // meanwhile if `disturbed`. How the task ended.
  Result<MoveTask> move_back(QueueId queue, QueueId destination, bool disturbed);

  void pass(int64_t ms);
  void restart(bool kill);
  int64_t now();
  uint16_t shards() const { return shards_; }
  const std::string& detail() const { return detail_; }

 private:
  class Sink;

  void open();
  void turn();
  bool answered();  // turns until it is, or says that it never was
  ShardPort& any_shard();

  const uint16_t shards_;
  sim::SimDiskImage image_;
  sim::SimEnvironment environment_;
  base::Prng prng_;
  std::unique_ptr<Sink> sink_;
  std::unique_ptr<Broker> broker_;
  std::string detail_;
};

}  // namespace millrace::model

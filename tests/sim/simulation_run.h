// Run: one run of the simulator: its node, its clients, the reference and what became of them.
// simulation.cc has what all runs are made of and the random run; simulation_fault.cc the one whose
// disk fails at a planned call.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "millrace/engine.h"
#include "tests/sim/reference_queue.h"
#include "tests/sim/sim_backup.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_connection.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_environment.h"
#include "tests/sim/sim_shape.h"
#include "tests/sim/simulation.h"

namespace millrace::sim {

// Collects the answers of the simulator's own requests: set-up and counters.
class AdminSink final : public ReplySink {
 public:
  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
  void on_queues(uint64_t, const QueueReply& reply) override {
    answered = true;
    error = reply.error;
    queues.assign(reply.queues.begin(), reply.queues.end());
  }
  void on_moves(uint64_t, const MoveReply& reply) override {
    answered = true;
    error = reply.error;
    moves.assign(reply.tasks.begin(), reply.tasks.end());
  }
  bool answered = false;
  Errc error = Errc::ok;
  std::vector<QueueInfo> queues;
  std::vector<MoveTask> moves;
};

inline constexpr uint32_t kTurnsMax = 20'000;  // bound of every loop that waits for an answer
inline constexpr int64_t kLongestHideMs = 60'000;

class Run {
 public:
  explicit Run(const SimulationOptions& options)
      : options_(options),
        prng_(options.seed),
        time_prng_(options.seed ^ 0x71AE),
        backup_prng_(options.seed ^ 0xBAC2),
        image_(),
        environment_(image_, options.seed ^ 0xE57),
        durability_(prng_.chance(3, 4) ? Durability::commit : Durability::none),
        shards_(static_cast<uint16_t>(prng_.between(1, 3))),
        over_connections_(prng_.chance(1, 3)),
        reference_(durability_ == Durability::commit, shards_ == 1 && !over_connections_),
        steps_per_sync_failure_(prng_.chance(1, 4) ? 150 : 1500),
        syncs_lie_(prng_.chance(1, 5)) {
    shape();
  }

  // A node of its own on a copy of another run's (simulation_backup.cc).
  Run(const Run& source, const SimBackup& backup, uint64_t seed);
  // What promise it breaks, or nothing.
  std::string check_copy();

  SimulationOutcome go();
  SimulationOutcome go_with_fault();  // simulation_fault.cc
  StoppedNode go_and_stop();          // simulation_fault.cc

 private:
  void shape();
  bool open();
  void connect();
  void disconnect();
  void turn();
  void refresh_clocks();
  void drive(uint32_t turns);
  DiskFault sync_failure();
  void fail_a_sync();
  void end_faults();
  void crash();
  void stop();
  void kill_or_power(bool power);
  bool create_queues();
  bool create_queue(SimQueue& queue);
  void settle_queues();
  void perhaps_jump_in_time();
  bool wait_for_admin(AdminSink& sink);
  void check_counters();
  void end_moves();
  void drain();
  void finish();
  SimulationOutcome ended();

  // simulation_backup.cc
  void perhaps_back_up();
  void start_backup();
  void forget_backup();

  // simulation_fault.cc
  bool fails_syncs() const;
  bool fault_explains(Errc error) const;
  bool disk_explains(Errc error) const;
  void turn_fault_on(uint32_t life);
  void turn_fault_off();
  bool open_a_life(uint32_t life);
  bool have_queues();
  void live();
  void make_steps(uint64_t count);
  void check_that_it_goes_on();
  void check_answers();
  void end_a_life(uint32_t life);

  bool broken() const { return !world_.violations.empty(); }
  bool over() const { return broken() || lost_to_a_lie_; }
  void say(const std::string& text) const {
    if (options_.verbose)
      std::fprintf(stderr, "[%lld] %s\n", static_cast<long long>(world_.now.value), text.c_str());
  }
  ShardPort& port(size_t client) {
    if (client < connections_.size()) return *connections_[client];
    return broker_->shard(ShardId{static_cast<uint16_t>(client % broker_->shard_count())});
  }

  SimulationOptions options_;
  base::Prng prng_;
  base::Prng time_prng_;
  base::Prng backup_prng_;
  SimDiskImage image_;
  SimEnvironment environment_;
  Durability durability_;
  uint16_t shards_;
  bool over_connections_;
  ReferenceQueue reference_;
  World world_;
  BrokerOptions broker_options_;
  SimShape shape_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::unique_ptr<Broker> broker_;
  std::vector<std::unique_ptr<SimConnection>> connections_;  // of a life; none if not over them
  std::unique_ptr<SimBackup> backup_;                        // under way
  std::optional<uint16_t> slow_shard_;                       // while it begins
  uint32_t backups_given_up_ = 0;  // or read; the broker may not have heard of it yet
  SimulationOutcome outcome_;
  uint32_t steps_per_sync_failure_;
  bool disk_failed_ = false;  // in the life that is ending
  bool syncs_lie_;            // some of the failing syncs say ok, and the next one says it
  std::optional<uint64_t> lie_possible_since_ = {};  // event, in this life
  bool lied_ = false;                                // in the life that is ending
  bool lied_ever_ = false;      // the disk may have holes where it said that it had none
  bool lost_to_a_lie_ = false;  // so large a one that the broker rightly does not open
  // Of a planned fault:
  bool fault_is_on_ = false;
  bool fault_in_life_ = false;  // it was on, and may have fenced a log that no client has met
  bool refused_ = false;        // the start, by what the fault explains
};

}  // namespace millrace::sim

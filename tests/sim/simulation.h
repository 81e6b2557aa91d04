// Simulation: a whole node - several shards, their logs and disks, clients, crashes, restarts - in
// one thread from one seed.
//
// Everything random follows from the seed: the node's shape, each request, the order in which
// shards tick and disk jobs complete, how far time moves, when the process is killed or the power
// fails and which unsynced sectors survive. Beside it stands a plain reference queue; the first
// broken promise ends the run with a text. The same seed gives the same run, so a failing seed is a
// bug report: `millrace-sim --seed N` replays it. Source: deterministic simulation testing as in
// FoundationDB and TigerBeetle (src/vopr.zig).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "millrace/options.h"
#include "millrace/types.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_disk.h"

namespace millrace::sim {

// One call of one disk that fails, in a run of three lives: the first of an empty directory, one
// after a clean stop and one after a kill, each with its start and its end.
struct FaultPlan {
  DiskFault fault;
  uint32_t life = 0;     // 0..kFaultLives - 1
  uint32_t disk = 0;     // 0: the catalog's, 1: shard 0's
  bool backups = false;  // many are taken, opened in nodes of their own as ever
};
inline constexpr uint32_t kFaultLives = 3;

struct SimulationOptions {
  uint64_t seed = 1;
  uint64_t steps = 4000;             // client requests in all, crashes included
  bool power = true;                 // power failures, else only process kills
  bool backups = true;               // are taken, and opened in nodes of their own
  bool verbose = false;              // a line per crash and restart on standard error
  std::optional<ShapeKind> shape{};  // otherwise the seed says
  std::optional<FaultPlan> fault{};  // this instead of crashes and failing syncs by chance
};

struct SimulationOutcome {
  std::string violation;  // empty: no promise was broken
  Coverage coverage;
  Crossing crossing;
  uint64_t requests = 0;
  uint64_t received = 0;
  uint32_t kills = 0;
  uint32_t power_failures = 0;
  uint32_t clean_stops = 0;
  uint64_t faults_met = 0;
  uint32_t backups = 0;       // opened in a node of their own and drained
  uint64_t state_digest = 0;  // of everything observed: equal for equal seeds
};

SimulationOutcome run_simulation(const SimulationOptions& options);

// What a node leaves on its disk that was stopped in order after `options.steps` requests, for
// damage at rest; and with which options it is opened again.
struct StoppedNode {
  std::unique_ptr<SimDiskImage> image;
  BrokerOptions options;
};
StoppedNode run_and_stop(const SimulationOptions& options);

}  // namespace millrace::sim

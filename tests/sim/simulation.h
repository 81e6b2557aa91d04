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
#include <optional>
#include <string>

#include "millrace/types.h"
#include "tests/sim/sim_client.h"

namespace millrace::sim {

struct SimulationOptions {
  uint64_t seed = 1;
  uint64_t steps = 4000;             // client requests in all, crashes included
  bool power = true;                 // power failures, else only process kills
  bool verbose = false;              // a line per crash and restart on standard error
  std::optional<ShapeKind> shape{};  // otherwise the seed says
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
  uint64_t state_digest = 0;  // of everything observed: equal for equal seeds
};

SimulationOutcome run_simulation(const SimulationOptions& options);

}  // namespace millrace::sim

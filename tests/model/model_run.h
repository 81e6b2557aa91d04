// ModelRun: one broker on simulated disks beside model queues: random requests, each answered
// before the next, time that jumps, stops and kills. The first answer that the model finds wrong
// ends it.
//
// A run follows from its seed and configuration alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::model {

struct RunOptions {
  std::string_view configuration;
  uint64_t seed = 1;
  uint64_t operations = 10'000;
  bool trace = false;  // each request and its answer on standard output
};

struct RunReport {
  std::string violation;  // empty: none
  uint64_t operations = 0;
  uint64_t sent = 0, repeated = 0, delivered = 0, acknowledged = 0, late = 0, extended = 0;
  uint64_t dead_lettered = 0, moved_back = 0, expired = 0, purges = 0, restarts = 0;
  uint64_t noisy = 0;  // receives that gave messages of a tenant with too much in flight
};

// Names of the configurations, for --configuration and the tests.
std::vector<std::string_view> configurations();

RunReport run_model(const RunOptions& options);

}  // namespace millrace::model

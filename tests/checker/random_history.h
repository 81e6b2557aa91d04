// RandomHistory: a few clients and a harness against a PerfectQueue, in virtual time, from a seed.
//
// The clients overlap, time out, lose answers, use stale receipts; the harness kills the server,
// cuts its power, purges a queue, and drains everything at the end. What comes out is legal,
// whatever the seed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/checker/event.h"

namespace millrace::checker {

struct RandomFields {
  std::string q{}, k{}, h{}, m{}, r{}, dur{}, lsn{};
  std::optional<uint64_t> n{};
  std::optional<uint32_t> v{}, dl{};
};

struct RandomEnd {
  Nanoseconds t = 0;
  Phase phase{};
  RandomFields fields;
};

struct RandomOperation {
  std::string client;
  Op op{};
  Nanoseconds t = 0;
  RandomFields fields;
  std::vector<RandomEnd> ends;  // none: unfinished; several: a receive of several messages
};

struct RandomSettings {
  uint64_t seed = 1;
  uint32_t operations = 2000;
  std::string durability = "commit";  // or none, or interval=MS
  uint32_t kills = 0, power_losses = 0, purges = 0;
  bool lost_answers = true;
};

std::vector<RandomOperation> random_history(const RandomSettings& settings);

// Writes one file per client into `folder`. False if that failed.
bool write_history(const std::vector<RandomOperation>& history, const std::string& folder);

}  // namespace millrace::checker

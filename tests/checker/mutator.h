// Mutator: plants one violation of one rule in a legal history.
//
// It picks its victim by what it knows of the history's making, not by what the checker computes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tests/checker/findings.h"
#include "tests/checker/random_history.h"

namespace millrace::checker {

struct Mutation {
  std::string_view name;
  std::vector<Rule> breaks;  // the checker must report one of these
  RandomSettings settings;   // of a history in which a victim can be found
  // False if this history has no victim. `chosen` picks one of them.
  bool (*plant)(std::vector<RandomOperation>& history, uint64_t chosen);
};

std::span<const Mutation> mutations();

}  // namespace millrace::checker

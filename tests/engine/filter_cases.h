// Random filter policies and messages, made of few keys and values so that they often meet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/prng.h"
#include "tests/engine/naive_filter.h"

namespace millrace::engine {

class FilterCases {
 public:
  explicit FilterCases(uint64_t seed) : random_(seed) {}

  // Not each is a valid one: some have too many keys or combinations.
  nlohmann::json policy(bool nested);
  std::vector<NaiveAttribute> attributes();
  std::string body();
  size_t below(size_t bound) { return static_cast<size_t>(random_.below(bound)); }

 private:
  bool chance(size_t percent) { return below(100) < percent; }
  template <class Row>
  auto one_of(const Row& row) {
    return row[below(std::size(row))];
  }

  std::string key();
  nlohmann::json text();
  nlohmann::json number();
  nlohmann::json scalar();
  nlohmann::json condition();
  nlohmann::json text_operator();
  nlohmann::json range();
  nlohmann::json object_of_policy(bool nested, size_t levels);
  nlohmann::json value(size_t levels);

  base::Prng random_;
};

}  // namespace millrace::engine

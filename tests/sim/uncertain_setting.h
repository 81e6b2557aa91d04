// UncertainSetting: a setting of a simulated queue, as far as the answers to its changes tell: one
// value, or two while a change is under way or a crash has swallowed its answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace millrace::sim {

class UncertainSetting {
 public:
  UncertainSetting() = default;
  explicit UncertainSetting(uint32_t value) : value_(value) {}

  void asked(uint32_t value) { perhaps_ = value; }
  void answered(bool ok) {
    if (ok) value_ = perhaps_.value_or(value_);
    perhaps_.reset();
  }
  // What it is after a restart; false if it can't be that.
  bool is(uint32_t value) {
    const bool right = value == value_ || value == perhaps_;
    value_ = value;
    perhaps_.reset();
    return right;
  }
  uint32_t lowest() const { return std::min(value_, perhaps_.value_or(value_)); }

 private:
  uint32_t value_ = 0;
  std::optional<uint32_t> perhaps_{};
};

}  // namespace millrace::sim

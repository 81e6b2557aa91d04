// Exposition: metrics in Prometheus's text format, version 0.0.4.
//
//   Exposition text(families);
//   text.sample(kReady, {"queue", "jobs"}, 17);     // families may be written by turns
//   text.take();                                    // one block each, in the order of the table
//
// A family without samples is left out. Label values are written as they are: no quote, backslash
// or line feed may be in them.
//
// Threads: none of its own.   Memory: the text, twice while it is taken.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::net {

inline constexpr std::string_view kExpositionType = "text/plain; version=0.0.4; charset=utf-8";

enum class MetricKind : uint8_t { gauge, counter, histogram };

struct MetricFamily {
  std::string_view name;
  MetricKind kind;
  std::string_view help;  // one line without backslashes
};

struct Label {
  std::string_view name;  // empty: no label
  std::string_view value;
};

class Exposition {
 public:
  explicit Exposition(std::span<const MetricFamily> families)
      : families_(families), blocks_(families.size()) {}

  void sample(size_t family, const Label& label, uint64_t value);
  void sample(size_t family, const Label& label, double value);
  void sample(size_t family, const Label& label, const Label& second, uint64_t value);
  // One of a histogram: how many of all were not more than the bounds[i], how many there were, and
  // what they add up to. `bounds` as they are written.
  void histogram(size_t family, const Label& label, std::span<const std::string_view> bounds,
                 std::span<const uint64_t> up_to, uint64_t count, double sum);
  // All of it; nothing is left.
  std::string take();

 private:
  std::string& begin(size_t family, std::string_view suffix, const Label& label);

  std::span<const MetricFamily> families_;
  std::vector<std::string> blocks_;
};

}  // namespace millrace::net

// The result of a run: for people, as JSON, as a picture.
#pragma once

#include <optional>
#include <string>

#include "tools/bench/load.h"
#include "tools/bench/options.h"
#include "tools/bench/server_process.h"

namespace millrace::tools {

struct Report {
  const BenchOptions& options;
  const LoadResult& result;
  std::string transport;
  std::optional<Durability> durability{};
  std::optional<ProcessUse> server;  // CPU used during the run, memory at its end
};

std::string report_text(const Report& report);
std::string report_json(const Report& report);  // one line
std::string report_svg(const Report& report);   // rate over time, latency by percentile

}  // namespace millrace::tools

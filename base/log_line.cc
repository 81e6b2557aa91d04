#include "base/log_line.h"

#include <atomic>
#include <time.h>
#include <unistd.h>

#include "base/json_string.h"
#include "base/os_clock.h"

namespace millrace::base {
namespace {

std::atomic<LogLevel> g_lowest{LogLevel::info};
std::atomic<LogFormat> g_format{LogFormat::text};

constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};

}  // namespace

std::string utc_text(int64_t ms) {
  const time_t seconds = ms / 1000;
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

void set_log(LogLevel lowest, LogFormat format) {
  g_lowest.store(lowest, std::memory_order_relaxed);
  g_format.store(format, std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) {
  return level >= g_lowest.load(std::memory_order_relaxed);
}

void write_log(LogLevel level, std::string_view area, std::string_view text) {
  const std::string_view name = kNames[static_cast<size_t>(level)];
  std::string line;
  if (g_format.load(std::memory_order_relaxed) == LogFormat::json) {
    line = fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"area\":\"{}\",\"text\":",
                       utc_text(os_wall_ms()), name, area);
    append_json_string(line, text);
    line += "}\n";
  } else {
    line = fmt::format("{} {:5} {}: {}\n", utc_text(os_wall_ms()), name, area, text);
  }
  // A log line that cannot be written has nowhere to be reported.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace millrace::base

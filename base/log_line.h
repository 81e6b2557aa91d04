// LogLine: one line to standard error, as text or JSON. For the control plane; nothing is logged
// per message.
//
//   log_line(LogLevel::info, "recovery", "shard {} replayed {} records", shard, n);      (fmt's
//   format strings)
//
// Threads: any; a line is one write(2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace millrace::base {

enum class LogLevel : uint8_t { debug = 0, info = 1, warn = 2, error = 3 };
enum class LogFormat : uint8_t { text, json };

// "2026-01-31T23:59:59.123Z"; `ms` since the Unix epoch.
std::string utc_text(int64_t ms);

void set_log(LogLevel lowest, LogFormat format);
bool log_enabled(LogLevel level);
void write_log(LogLevel level, std::string_view area, std::string_view text);

template <class... Args>
void log_line(LogLevel level, std::string_view area, fmt::format_string<Args...> format,
              Args&&... args) {
  if (log_enabled(level)) write_log(level, area, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace millrace::base

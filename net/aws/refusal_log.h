// RefusalLog: a line in the log for who was refused, one in ten seconds at most, with a count of
// the others. (The audit log has them all, if there is one.)
//
// Threads: one at a time, a shard has its own.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/log_line.h"

namespace millrace::net {

class RefusalLog {
 public:
  // `from`: an address; empty: a unix socket.
  void add(int64_t now_s, std::string_view from, std::string_view text, std::string_view code) {
    constexpr int64_t kEveryS = 10;
    if (now_s - logged_s_ < kEveryS && now_s >= logged_s_) {
      ++not_logged_;
      return;
    }
    base::log_line(base::LogLevel::warn, "auth", "refused {}: {} ({}); {} more since the last line",
                   from.empty() ? "a unix socket" : from, text, code, not_logged_);
    logged_s_ = now_s;
    not_logged_ = 0;
  }

 private:
  int64_t logged_s_ = 0;
  uint64_t not_logged_ = 0;
};

}  // namespace millrace::net

// What a run that ends by SIGABRT, a failed assertion, says last: how to replay what ran then.
#pragma once

#include <csignal>
#include <string>
#include <unistd.h>

namespace millrace::sim {

// Set before each run; of the process.
inline std::string g_replay_line;

inline void tell_replay_line_on_abort() {
  std::signal(SIGABRT, [](int) {
    (void)!::write(STDOUT_FILENO, g_replay_line.data(), g_replay_line.size());
    std::signal(SIGABRT, SIG_DFL);
  });
}

}  // namespace millrace::sim

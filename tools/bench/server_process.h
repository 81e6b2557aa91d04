// ServerProcess: the CPU time and memory of the broker under load, from /proc, if it runs here.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::tools {

// The process behind an address on this machine: the peer of a unix socket, or whoever holds the
// listening TCP socket. 0 if it cannot be found (another machine, not permitted).
int64_t find_server_process(std::string_view address, int connected_socket);

struct ProcessUse {
  double cpu_s = 0;
  uint64_t rss_kb = 0;   // pages of mapped log files included
  uint64_t anon_kb = 0;  // its own memory only
};
std::optional<ProcessUse> process_use(int64_t pid);

}  // namespace millrace::tools

#include "tools/common/cores.h"

#include <sched.h>

namespace millrace::tools {

std::vector<uint32_t> available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<uint32_t> cores;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (uint32_t core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  if (cores.empty()) cores.push_back(0);
  return cores;
}

Status pin_to_cores(const std::vector<uint32_t>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const uint32_t core : cores) {
    if (core >= CPU_SETSIZE) return fail(Errc::invalid_argument);
    CPU_SET(core, &set);
  }
  if (::sched_setaffinity(0, sizeof set, &set) != 0) return fail(Errc::invalid_argument);
  return {};
}

}  // namespace millrace::tools

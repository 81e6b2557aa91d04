#include "tools/common/machine_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <sys/sysinfo.h>

namespace millrace::tools {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// "max" and files that are not there are no limit.
uint64_t limit_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t bytes = 0;
  return file >> bytes ? bytes : kNoLimit;
}

// A limit of any group above counts, too.
uint64_t least_limit(const std::string& root, std::string group, const char* file) {
  uint64_t least = limit_in(root + "/" + file);
  while (!group.empty() && group != "/") {
    least = std::min(least, limit_in(root + group + "/" + file));
    const size_t slash = group.rfind('/');
    group.resize(slash == std::string::npos ? 0 : slash);
  }
  return least;
}

}  // namespace

uint64_t cgroup_limit_bytes(const std::string& membership, const std::string& cgroup_root) {
  uint64_t least = kNoLimit;
  std::istringstream lines(membership);
  // HIERARCHY:CONTROLLERS:/GROUP; version 2 has no controllers there.
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,")
      least = std::min(least, least_limit(cgroup_root, group, "memory.max"));
    else if (controllers.find(",memory,") != std::string::npos)
      least = std::min(least, least_limit(cgroup_root + "/memory", group, "memory.limit_in_bytes"));
  }
  return least;
}

uint64_t machine_memory_bytes() {
  struct sysinfo machine {};
  const uint64_t bytes =
      ::sysinfo(&machine) == 0 ? uint64_t{machine.totalram} * machine.mem_unit : 0;
  std::ifstream file("/proc/self/cgroup");
  std::stringstream membership;
  membership << file.rdbuf();
  const uint64_t limit = cgroup_limit_bytes(membership.str(), "/sys/fs/cgroup");
  return limit == kNoLimit ? bytes : bytes == 0 ? limit : std::min(bytes, limit);
}

}  // namespace millrace::tools

// What memory this process may use: the machine's, or less if its cgroup says so.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::tools {

// Bytes; 0 if the system does not say. Reads /proc/self/cgroup and what it names in /sys/fs/cgroup,
// of both versions of cgroups.
uint64_t machine_memory_bytes();
// The least limit there is below `cgroup_root` for a process with these lines in /proc/self/cgroup;
// UINT64_MAX: none.
uint64_t cgroup_limit_bytes(const std::string& membership, const std::string& cgroup_root);

}  // namespace millrace::tools

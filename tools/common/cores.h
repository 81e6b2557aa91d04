// Cores: which processors this process may use, and pinning to one.
#pragma once

#include <cstdint>
#include <vector>

#include "millrace/result.h"

namespace millrace::tools {

// Numbers of the cores in this process's affinity mask, rising; at least one.
std::vector<uint32_t> available_cores();
// Restricts the calling thread, and what it starts from now on. Error: invalid_argument (no such
// core, or not ours).
Status pin_to_cores(const std::vector<uint32_t>& cores);

}  // namespace millrace::tools

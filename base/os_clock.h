// The operating system's clocks and entropy: the real binding of the time seam. Only the outermost
// layers and engine/os_environment include this.
#pragma once

#include <cstdint>

namespace millrace::base {

int64_t os_wall_ms();       // CLOCK_REALTIME, Unix epoch
int64_t os_boot_ns();       // CLOCK_BOOTTIME: monotonic, counts suspend
int64_t os_monotonic_ns();  // CLOCK_MONOTONIC, for measuring
uint64_t os_random();       // getrandom(2)

}  // namespace millrace::base

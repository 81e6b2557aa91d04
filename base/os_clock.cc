#include "base/os_clock.h"

#include <sys/random.h>
#include <time.h>

#include "base/assert.h"

namespace millrace::base {
namespace {

int64_t clock_ns(clockid_t id) {
  timespec t{};
  MR_ASSERT(clock_gettime(id, &t) == 0);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

int64_t os_wall_ms() {
  return clock_ns(CLOCK_REALTIME) / 1'000'000;
}
int64_t os_boot_ns() {
  return clock_ns(CLOCK_BOOTTIME);
}
int64_t os_monotonic_ns() {
  return clock_ns(CLOCK_MONOTONIC);
}

uint64_t os_random() {
  uint64_t bits = 0;
  MR_ASSERT(getrandom(&bits, sizeof bits, 0) == sizeof bits);
  return bits;
}

}  // namespace millrace::base

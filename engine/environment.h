// Environment: the three things the engine asks of the outside: time, disks, entropy.
//
// Production binds the OS (engine/os_environment.h); the simulator binds a seeded clock and disks
// that tear and forget. Threads: wall_ms, boot_ns and random are called from any shard's thread;
// make_disk only while a broker opens.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "millrace/result.h"
#include "storage/disk.h"

namespace millrace {

class Environment {
 public:
  virtual ~Environment() = default;
  virtual int64_t wall_ms() = 0;  // Unix epoch; may jump
  virtual int64_t boot_ns() = 0;  // monotonic, counts suspend (CLOCK_BOOTTIME)
  virtual uint64_t random() = 0;  // 64 fresh bits from the OS
  // A disk rooted at the data directory. `wake` is called from any thread when a completion can be
  // reaped.
  virtual Result<std::unique_ptr<storage::Disk>> make_disk(const std::string& data_directory,
                                                           std::function<void()> wake) = 0;
};

}  // namespace millrace

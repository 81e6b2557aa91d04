#include "engine/os_environment.h"

#include "base/os_clock.h"
#include "storage/real_disk.h"

namespace millrace::engine {

int64_t OsEnvironment::wall_ms() {
  return base::os_wall_ms();
}
int64_t OsEnvironment::boot_ns() {
  return base::os_boot_ns();
}
uint64_t OsEnvironment::random() {
  return base::os_random();
}

Result<std::unique_ptr<storage::Disk>> OsEnvironment::make_disk(const std::string& data_directory,
                                                                std::function<void()> wake) {
  auto disk = storage::RealDisk::open_directory(data_directory, std::move(wake));
  if (!disk) return fail(disk.error());
  return std::unique_ptr<storage::Disk>(std::move(*disk));
}

}  // namespace millrace::engine

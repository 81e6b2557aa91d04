// OsEnvironment: the Environment of a real process: the system's clocks, its entropy, RealDisk.
#pragma once

#include "engine/environment.h"

namespace millrace::engine {

class OsEnvironment final : public Environment {
 public:
  int64_t wall_ms() override;
  int64_t boot_ns() override;
  uint64_t random() override;
  Result<std::unique_ptr<storage::Disk>> make_disk(const std::string& data_directory,
                                                   std::function<void()> wake) override;
};

}  // namespace millrace::engine

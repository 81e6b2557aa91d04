// ShadowEnvironment: the OS's environment with disks that keep a durable image beside their files
// (storage/shadow_disk.h). For tests of power loss; chosen by MILLRACE_SHADOW=<folder>.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine/os_environment.h"
#include "storage/shadow_disk.h"

namespace millrace::tools {

class ShadowEnvironment final : public Environment {
 public:
  explicit ShadowEnvironment(std::string folder) : folder_(std::move(folder)) {}
  int64_t wall_ms() override { return real_.wall_ms(); }
  int64_t boot_ns() override { return real_.boot_ns(); }
  uint64_t random() override { return real_.random(); }
  Result<std::unique_ptr<storage::Disk>> make_disk(const std::string& data_directory,
                                                   std::function<void()> wake) override {
    auto disk = storage::ShadowDisk::open_directory(data_directory, folder_, std::move(wake));
    if (!disk) return fail(disk.error());
    return std::unique_ptr<storage::Disk>(std::move(*disk));
  }

 private:
  std::string folder_;
  engine::OsEnvironment real_;
};

}  // namespace millrace::tools

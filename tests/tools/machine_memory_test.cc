#include "tools/common/machine_memory.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace millrace::tools {
namespace {

class MachineMemory : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }

  TemporaryDirectory folder_;
  const std::string root_ = folder_ / "cgroup";
};

TEST_F(MachineMemory, IsTheLeastLimitOfAGroupAndThoseAbove) {
  put("/memory.max", "max");
  put("/system.slice/memory.max", "1000000");
  put("/system.slice/millrace.service/memory.max", "max");
  EXPECT_EQ(cgroup_limit_bytes("0::/system.slice/millrace.service\n", root_), 1'000'000u);
  put("/system.slice/millrace.service/memory.max", "700");
  EXPECT_EQ(cgroup_limit_bytes("0::/system.slice/millrace.service\n", root_), 700u);
}

TEST_F(MachineMemory, OfTheFirstVersionIsTheMemoryControllers) {
  put("/memory/docker/abc/memory.limit_in_bytes", "5000");
  put("/cpu/docker/abc/memory.limit_in_bytes", "1");
  EXPECT_EQ(cgroup_limit_bytes("3:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n", root_), 5'000u);
}

TEST_F(MachineMemory, WithoutAGroupHasNoLimit) {
  EXPECT_EQ(cgroup_limit_bytes("", root_), UINT64_MAX);
  EXPECT_EQ(cgroup_limit_bytes("0::/\n", root_), UINT64_MAX);
  EXPECT_EQ(cgroup_limit_bytes("nonsense\n:\n::\n0::relative\n", root_), UINT64_MAX);
}

TEST_F(MachineMemory, IsKnownOfThisMachine) {
  EXPECT_GT(machine_memory_bytes(), uint64_t{64} << 20);
}

}  // namespace
}  // namespace millrace::tools

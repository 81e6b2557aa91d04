// SimEnvironment: the engine's Environment with a clock, disks and entropy that follow from a seed.
//
// The clock stands still until advance(); the wall clock runs beside it and may be made to jump.
// Disks are SimDisks on one image, listed so that the simulator can complete their jobs one by one.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "engine/environment.h"
#include "tests/sim/sim_disk.h"

namespace millrace::sim {

class SimEnvironment final : public Environment {
 public:
  SimEnvironment(SimDiskImage& image, uint64_t seed) : image_(image), prng_(seed) {}

  int64_t wall_ms() override { return wall_ms_; }
  int64_t boot_ns() override { return boot_ns_; }
  uint64_t random() override { return prng_.next(); }
  Result<std::unique_ptr<storage::Disk>> make_disk(const std::string&,
                                                   std::function<void()> wake) override {
    auto disk = std::make_unique<SimDisk>(image_, std::move(wake));
    disks_.push_back(disk.get());
    if (next_fault_ && disks_.size() > next_fault_->first) {
      disk->inject(next_fault_->second);
      next_fault_.reset();
    }
    return std::unique_ptr<storage::Disk>(std::move(disk));
  }

  void advance(int64_t ms) {
    boot_ns_ += ms * 1'000'000;
    wall_ms_ += ms;
  }
  // The `later`th disk made from a clean start, counted from 0, gets this fault.
  void fail_in_next_disk(const DiskFault& fault, uint32_t later) { next_fault_ = {later, fault}; }
  void jump_wall(int64_t ms) { wall_ms_ += ms; }
  // The time is that of `other`, what is drawn is not.
  void go_on_from(const SimEnvironment& other, uint64_t seed) {
    boot_ns_ = other.boot_ns_;
    wall_ms_ = other.wall_ms_;
    prng_ = base::Prng(seed);
  }
  // The broker, and with it every disk, is about to be destroyed.
  void forget_disks() {
    disks_.clear();
    next_fault_.reset();
  }
  // The first is the catalog's, those of the shards follow.
  const std::vector<SimDisk*>& disks() const { return disks_; }
  SimDisk& disk_of_shard(uint16_t shard) { return *disks_.at(1u + shard); }

 private:
  SimDiskImage& image_;
  base::Prng prng_;
  std::vector<SimDisk*> disks_;
  std::optional<std::pair<size_t, DiskFault>> next_fault_;
  int64_t boot_ns_ = 1'000'000'000;
  int64_t wall_ms_ = 1'700'000'000'000;
};

}  // namespace millrace::sim

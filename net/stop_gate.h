// StopGate: what the threads of a server tell each other: stop, drained, fenced.
//
// A shard goes on ticking after its own connections are gone, until those of all shards are:
// another may still wait for its mail. Cross-shard: atomics, and an eventfd for the program.
#pragma once

#include <atomic>
#include <cstdint>

#include "millrace/types.h"
#include "net/audit/audit_log.h"

namespace millrace::net {

class StopGate {
 public:
  explicit StopGate(uint16_t shards, AuditLog* audit = nullptr);
  ~StopGate();
  StopGate(const StopGate&) = delete;
  StopGate& operator=(const StopGate&) = delete;

  void ask_to_stop() { stop_.store(true, std::memory_order_release); }
  bool stop_asked() const { return stop_.load(std::memory_order_acquire); }

  // Once a shard.
  void report_drained() { drained_.fetch_add(1, std::memory_order_acq_rel); }
  bool all_drained() const { return drained_.load(std::memory_order_acquire) == shards_; }

  // Tells the logs the first time and makes fence_fd() readable.
  void report_fence(ShardId shard);
  bool fenced() const { return fenced_.load(std::memory_order_acquire); }
  int fence_fd() const { return fence_fd_; }

 private:
  const uint16_t shards_;
  AuditLog* const audit_;
  int fence_fd_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> fenced_{false};
  std::atomic<uint16_t> drained_{0};
};

}  // namespace millrace::net

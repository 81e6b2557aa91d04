#include "net/stop_gate.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/log_line.h"

namespace millrace::net {

StopGate::StopGate(uint16_t shards, AuditLog* audit)
    : shards_(shards), audit_(audit), fence_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  MR_ASSERT(fence_fd_ >= 0);
}

StopGate::~StopGate() {
  ::close(fence_fd_);
}

void StopGate::report_fence(ShardId shard) {
  if (fenced_.exchange(true, std::memory_order_acq_rel)) return;
  base::log_line(base::LogLevel::error, "net",
                 "shard {} is fenced: a write or a sync failed, nothing is acknowledged any more",
                 raw(shard));
  const std::string which = fmt::format("shard {}: a write or a sync failed", raw(shard));
  record(audit_, {.event = AuditEvent::shard_fenced, .via = "server", .reason = which});
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fence_fd_, &one, sizeof one);
}

}  // namespace millrace::net

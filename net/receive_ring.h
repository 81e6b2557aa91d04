// ReceiveRing: the buffers that the kernel puts received bytes into, shared by all connections of a
// shard (an io_uring provided-buffer ring).
//
// Why shared: a connection that is silent then holds no buffer, and ten thousand of them no memory.
// Each buffer is in one of two hands: the kernel's, or ours from take() to give_back(). Under
// AddressSanitizer the kernel's are poisoned. The buffers start a few cache lines off a power of
// two: small messages in 64 buffers would otherwise fight for the same lines of the cache.
#pragma once

#include <cstdint>
#include <liburing.h>
#include <memory>
#include <vector>

#include "millrace/result.h"
#include "millrace/types.h"
#include "net/buffer_pool.h"

namespace millrace::net {

class ReceiveRing {
 public:
  static constexpr uint16_t kGroup = 0;

  // `count` is a power of two. The ring must outlive this. Errors: unsupported.
  static Result<std::unique_ptr<ReceiveRing>> make(io_uring* ring, uint32_t count,
                                                   uint32_t buffer_bytes);
  ~ReceiveRing();
  ReceiveRing(const ReceiveRing&) = delete;
  ReceiveRing& operator=(const ReceiveRing&) = delete;

  // The bytes a completion brought; ours until the next give_back_all().
  MutableBytes take(const io_uring_cqe& completion);
  void give_back_all();

 private:
  ReceiveRing(io_uring* ring, uint32_t count, uint32_t buffer_bytes);
  std::byte* buffer(uint32_t id) { return memory_.data.get() + size_t{id} * stride_; }
  void give(uint32_t id, int offset);

  io_uring* ring_;
  uint32_t count_;
  uint32_t buffer_bytes_;
  size_t stride_;
  Buffer memory_;
  io_uring_buf_ring* entries_ = nullptr;
  bool registered_ = false;
  std::vector<uint32_t> taken_;
};

}  // namespace millrace::net

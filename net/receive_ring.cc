#include "net/receive_ring.h"

#include <algorithm>
#include <sys/mman.h>

#include "base/assert.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, bytes) (static_cast<void>(0))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) (static_cast<void>(0))
#endif

namespace millrace::net {
namespace {

constexpr size_t kStaggerBytes = 3 * 64;
static_assert(kStaggerBytes >= kReceivePadding);

}  // namespace

Result<std::unique_ptr<ReceiveRing>> ReceiveRing::make(io_uring* ring, uint32_t count,
                                                       uint32_t buffer_bytes) {
  MR_ASSERT(count > 0 && (count & (count - 1)) == 0 && count <= 32768);
  auto made = std::unique_ptr<ReceiveRing>(new ReceiveRing(ring, count, buffer_bytes));
  if (!made->registered_) return fail(Errc::unsupported);
  return made;
}

ReceiveRing::ReceiveRing(io_uring* ring, uint32_t count, uint32_t buffer_bytes)
    : ring_(ring), count_(count), buffer_bytes_(buffer_bytes) {
  stride_ = buffer_bytes + kStaggerBytes;
  BufferPool unpooled;
  memory_ = unpooled.take(stride_ * count);
  const size_t ring_bytes = count * sizeof(io_uring_buf);
  void* mapped = ::mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE,
                        MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
  if (mapped == MAP_FAILED) return;
  entries_ = static_cast<io_uring_buf_ring*>(mapped);
  io_uring_buf_ring_init(entries_);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(entries_);
  registration.ring_entries = count;
  registration.bgid = kGroup;
  if (io_uring_register_buf_ring(ring_, &registration, 0) != 0) return;
  registered_ = true;
  for (uint32_t id = 0; id < count; ++id) {
    give(id, static_cast<int>(id));
  }
  io_uring_buf_ring_advance(entries_, static_cast<int>(count));
  taken_.reserve(count);
}

ReceiveRing::~ReceiveRing() {
  if (registered_) io_uring_unregister_buf_ring(ring_, kGroup);
  if (entries_ != nullptr) ::munmap(entries_, count_ * sizeof(io_uring_buf));
  if (registered_) {
    for (uint32_t id = 0; id < count_; ++id) {
      ASAN_UNPOISON_MEMORY_REGION(buffer(id), buffer_bytes_);
    }
  }
}

void ReceiveRing::give(uint32_t id, int offset) {
  ASAN_POISON_MEMORY_REGION(buffer(id), buffer_bytes_);
  io_uring_buf_ring_add(entries_, buffer(id), buffer_bytes_, static_cast<unsigned short>(id),
                        io_uring_buf_ring_mask(count_), offset);
}

MutableBytes ReceiveRing::take(const io_uring_cqe& completion) {
  const uint32_t id = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  MR_ASSERT(id < count_);
  taken_.push_back(id);
  const size_t bytes = completion.res > 0 ? static_cast<size_t>(completion.res) : 0;
  ASAN_UNPOISON_MEMORY_REGION(buffer(id), std::min<size_t>(bytes + kReceivePadding, buffer_bytes_));
  return {buffer(id), bytes};
}

void ReceiveRing::give_back_all() {
  int offset = 0;
  for (const uint32_t id : taken_) {
    give(id, offset++);
  }
  if (offset > 0) io_uring_buf_ring_advance(entries_, offset);
  taken_.clear();
}

}  // namespace millrace::net

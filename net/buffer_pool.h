// BufferPool: the byte buffers that a shard's connections borrow while they have something to hold.
//
// An idle connection owns none, which is what keeps it small. Sizes are powers of two from
// kBufferBytesMin; what comes back is kept for the next borrower up to `kept_bytes_max` in all, the
// rest goes back to the allocator, and so does, at each trim(), what nobody needed since the one
// before: a burst's memory outlives it by two of them at most (the low-water mark of TCMalloc's
// caches). Buffers are never cleared. Threads: shard-local.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace millrace::net {

inline constexpr size_t kBufferBytesMin = 16u << 10;
// That many bytes behind received ones may be read, though they mean nothing: parsers that take 64
// bytes at a time want it.
inline constexpr size_t kReceivePadding = 64;

// Raw bytes, 64-byte aligned; empty when default-constructed or moved from.
struct Buffer {
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte[], Free> data;
  size_t capacity = 0;
};

class BufferPool {
 public:
  explicit BufferPool(size_t kept_bytes_max = 8u << 20) : kept_bytes_max_(kept_bytes_max) {}

  // At least `bytes` long. Goes back by give_back().
  Buffer take(size_t bytes);
  void give_back(Buffer buffer);
  void trim();

  size_t kept_bytes() const { return kept_bytes_; }
  // In all: kept, and lent now.
  size_t bytes() const { return kept_bytes_ + lent_bytes_; }

 private:
  static constexpr size_t kClasses = 16;  // 16 KiB .. 512 MiB; a frame's answer is far below
  static size_t class_of(size_t bytes);

  struct Kept {
    std::vector<Buffer> buffers;
    size_t fewest = 0;  // at one time since the last trim()
  };

  std::array<Kept, kClasses> kept_;
  size_t kept_bytes_ = 0;
  size_t lent_bytes_ = 0;
  size_t kept_bytes_max_;
};

}  // namespace millrace::net

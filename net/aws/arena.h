// Arena: memory for what is decoded of one request, given up all at once by the next.
//
// The input structs of the actions, their lists, and texts that could not stay where they lay. What
// is put here is never destroyed, so it is all trivially destructible.
//
// Threads: shard-local.   Memory: one chunk of 64 KiB is kept from request to request; what more a
// request needed is freed.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace millrace::net {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Aligned for any of ours.
  void* take(size_t bytes) {
    bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (bytes > left_) grow(bytes);
    std::byte* const at = next_;
    next_ += bytes;
    left_ -= bytes;
    return at;
  }
  std::string_view copy(std::string_view text) {
    char* const at = static_cast<char*>(take(text.size()));
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }
  void clear() {
    if (chunks_.size() > 1) chunks_.resize(1);
    if (chunks_.empty()) return;
    next_ = chunks_.front().get();
    left_ = kChunkBytes;
  }

 private:
  static constexpr size_t kAlignment = alignof(std::max_align_t);
  static constexpr size_t kChunkBytes = 64u << 10;

  void grow(size_t bytes) {
    // The first is the one that is kept, so it has the usual size.
    if (chunks_.empty()) add(kChunkBytes);
    if (bytes > left_) add(bytes > kChunkBytes ? bytes : kChunkBytes);
  }
  void add(size_t bytes) {
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    next_ = chunks_.back().get();
    left_ = bytes;
  }

  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::byte* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace millrace::net

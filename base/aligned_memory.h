// Aligned memory for buffers, had on the terms of operator new: when there is none the program's
// new-handler is asked, which may end the process in order (tools/daemon/out_of_memory.cc).
//
// Why not a null pointer: what needs it is half done, a batch or a frame, and has no one to refuse.
// What a client can make large is bounded before it gets here (net/limits.h, engine/limits.h).
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#include "base/assert.h"

namespace millrace::base {

// To be given back with std::free. `alignment` is a power of two, `bytes` a multiple of it.
[[nodiscard]] inline std::byte* take_aligned(size_t alignment, size_t bytes) {
  while (true) {
    if (void* memory = std::aligned_alloc(alignment, bytes)) return static_cast<std::byte*>(memory);
    const std::new_handler ask = std::get_new_handler();
    MR_ASSERT(ask != nullptr && "out of memory");
    ask();
  }
}

}  // namespace millrace::base

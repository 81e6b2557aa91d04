// each_bit(): goes through a set that is a word of bits.
//
// Threads: any; no state.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace millrace::base {

// Calls f(i) for each bit i that is set, from the lowest on.
template <class F>
void each_bit(uint64_t bits, F&& f) {
  for (; bits != 0; bits &= bits - 1)
    f(static_cast<size_t>(std::countr_zero(bits)));
}

}  // namespace millrace::base

// XXH3 of long inputs, by the widest vectors this processor has: the library's copy chooses between
// SSE2, AVX2 and AVX-512 when it runs, which an inlined copy, compiled for the oldest processor,
// cannot. Three times as fast from a few KiB on; for short inputs the call costs more than it
// saves.
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace::base {

// Equal to XXH3_64bits_withSeed() for every length.
uint64_t hash64_long(const void* data, size_t bytes, uint64_t seed);

}  // namespace millrace::base

// XXH3 as this project uses it: against accidents, never against an attacker (receipts have a MAC
// for that).
#pragma once

#include <cstddef>
#include <cstdint>

#include "millrace/types.h"

namespace millrace::base {

// One call over one stretch of bytes.
uint64_t hash64(const void* data, size_t bytes, uint64_t seed);
inline uint64_t hash64(Bytes b, uint64_t seed) {
  return hash64(b.data(), b.size(), seed);
}
// A strong mix of two words, for deriving seeds and generations.
uint64_t mix(uint64_t a, uint64_t b);

}  // namespace millrace::base

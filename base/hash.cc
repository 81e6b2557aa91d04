#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash_long.h"

namespace millrace::base {

uint64_t hash64(const void* data, size_t bytes, uint64_t seed) {
  if (bytes > XXH3_MIDSIZE_MAX) return hash64_long(data, bytes, seed);
  return XXH3_64bits_withSeed(data, bytes, seed);
}

uint64_t mix(uint64_t a, uint64_t b) {
  const uint64_t words[2] = {a, b};
  return XXH3_64bits_withSeed(words, sizeof words, 0x4D696C6C72616365ULL);
}

}  // namespace millrace::base

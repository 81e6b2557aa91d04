#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace millrace::base {

uint64_t hash64(const void* data, size_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

uint64_t hash64(Bytes first, Bytes second, uint64_t seed) {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_64bits_reset_withSeed(&state, seed);
  XXH3_64bits_update(&state, first.data(), first.size());
  XXH3_64bits_update(&state, second.data(), second.size());
  return XXH3_64bits_digest(&state);
}

uint64_t mix(uint64_t a, uint64_t b) {
  const uint64_t words[2] = {a, b};
  return XXH3_64bits_withSeed(words, sizeof words, 0x4D696C6C72616365ULL);
}

}  // namespace millrace::base

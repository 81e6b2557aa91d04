#include "base/hash_long.h"

#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // replaces the functions' names by those that choose
#else
#include <xxhash.h>
#endif

namespace millrace::base {

uint64_t hash64_long(const void* data, size_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

}  // namespace millrace::base

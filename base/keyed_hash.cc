#include "base/keyed_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"

namespace millrace::base {

KeyedHash::KeyedHash(std::span<const unsigned char, 16> key) {
  MR_ASSERT(XXH3_generateSecret(secret_.data(), secret_.size(), key.data(), key.size()) == XXH_OK);
}

Hash128 KeyedHash::of(Bytes bytes) const {
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(bytes.data(), bytes.size(), secret_.data(), secret_.size());
  return {hash.low64, hash.high64};
}

}  // namespace millrace::base

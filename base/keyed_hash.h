// KeyedHash: 128-bit identities of names that strangers choose (message groups, deduplication ids).
//
// XXH3-128 under a secret of 192 bytes stretched from a key that never leaves the data directory,
// and whose results are never shown. Nobody who does not know the secret can look for two names of
// one identity, and by chance 10^9 names meet with a probability of 10^-21. It is not a MAC: what
// proves something to a client has one (engine/receipt.h).
//
// Threads: immutable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/types.h"

namespace millrace::base {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  friend constexpr auto operator<=>(const Hash128&, const Hash128&) = default;
};

class KeyedHash {
 public:
  explicit KeyedHash(std::span<const unsigned char, 16> key);
  Hash128 of(Bytes bytes) const;

 private:
  std::array<unsigned char, 192> secret_;
};

}  // namespace millrace::base

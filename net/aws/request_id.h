// RequestIds: the id that each answer carries, a random UUID (RFC 9562, version 4) in lower case.
// Random enough to find a request again; it is no secret.
//
// Threads: shard-local.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/prng.h"

namespace millrace::net {

struct RequestId {
  std::array<char, 36> characters;
  std::string_view text() const { return {characters.data(), characters.size()}; }
};

class RequestIds {
 public:
  explicit RequestIds(uint64_t seed) : prng_(seed) {}
  RequestId next() {
    constexpr char kHex[] = "0123456789abcdef";
    constexpr uint64_t kVersion = 0x4000, kVersionMask = 0xF000;
    const uint64_t high = (prng_.next() & ~kVersionMask) | kVersion;
    const uint64_t low = (prng_.next() & ~(uint64_t{3} << 62)) | uint64_t{1} << 63;
    RequestId id;
    size_t at = 0;
    for (int digit = 0; digit < 32; ++digit) {
      if (digit == 8 || digit == 12 || digit == 16 || digit == 20) id.characters[at++] = '-';
      const uint64_t half = digit < 16 ? high : low;
      id.characters[at++] = kHex[half >> (60 - 4 * (digit % 16)) & 15];
    }
    return id;
  }
  // A seed for more of them, apart from these.
  uint64_t fork() { return prng_.next(); }

 private:
  base::Prng prng_;
};

}  // namespace millrace::net

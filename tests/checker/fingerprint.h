// Fingerprint: 128 bits that stand for a string (a key, a MessageId), and 64 bits for those that
// are only compared within one message (a body hash, a receipt).
//
// Ten million lines hold some two million keys: kept as text they would be most of the memory. Two
// different keys share a 128-bit fingerprint with a chance under 1e-25 in such a history; nobody
// attacks the checker. Multiply-and-fold mixing, as in wyhash.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace millrace::checker {

struct Fingerprint {
  uint64_t high = 0, low = 0;
  friend constexpr auto operator<=>(const Fingerprint&, const Fingerprint&) = default;
  constexpr bool empty() const { return high == 0 && low == 0; }
};

inline uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a} * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Never 0 for a text that is not empty; 0 for an empty one.
inline uint64_t short_fingerprint(std::string_view text, uint64_t seed = 0x9E3779B97F4A7C15ULL) {
  if (text.empty()) return 0;
  uint64_t state = seed ^ (text.size() * 0xA0761D6478BD642FULL);
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    state = fold(state ^ word, 0xE7037ED1A0B428DBULL);
  }
  uint64_t tail = 0;
  if (at < text.size()) std::memcpy(&tail, text.data() + at, text.size() - at);
  state = fold(state ^ tail, 0x8EBC6AF09C88C6E3ULL);
  state = fold(state ^ seed, 0x589965CC75374CC3ULL);
  return state == 0 ? 1 : state;
}

inline Fingerprint fingerprint(std::string_view text) {
  return {short_fingerprint(text), short_fingerprint(text, 0xD6E8FEB86659FD93ULL)};
}

}  // namespace millrace::checker

// plain_run(): how far a text goes on without a character that a format has to write in another
// way; sixteen bytes at a time where the processor can.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace millrace::net {

// The length of the longest beginning of `text` without a control character (below the blank) and
// without any of kSpecials.
template <char... kSpecials>
inline size_t plain_run(std::string_view text) {
  size_t at = 0;
#ifdef __SSE2__
  const __m128i last_control = _mm_set1_epi8(0x1F);
  for (; at + 16 <= text.size(); at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    __m128i found = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    ((found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(kSpecials)))), ...);
    const int mask = _mm_movemask_epi8(found);
    if (mask != 0) return at + static_cast<size_t>(std::countr_zero(static_cast<uint32_t>(mask)));
  }
#endif
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) < ' ' || ((c == kSpecials) || ...)) break;
  }
  return at;
}

// How far it is to the next '"' or '\\', of which there is one. Up to 15 bytes behind it are read.
inline size_t run_to_quote(const char* text) {
  size_t at = 0;
#ifdef __SSE2__
  for (;; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + at));
    const __m128i found = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                       _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    const int mask = _mm_movemask_epi8(found);
    if (mask != 0) return at + static_cast<size_t>(std::countr_zero(static_cast<uint32_t>(mask)));
  }
#else
  while (text[at] != '"' && text[at] != '\\')
    ++at;
  return at;
#endif
}

}  // namespace millrace::net

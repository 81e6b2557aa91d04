// Frames of the binary protocol (millrace/wire.h), as the server reads and writes them.
//
// The checksum covers the header's first 16 bytes and the body, with its own 8 bytes between them.
// Both directions slide those 16 bytes up against the body and hash one stretch: one call of XXH3
// is several times cheaper than its streaming form on small frames.
#pragma once

#include <cstring>
#include <string_view>
#include <type_traits>

#include "millrace/result.h"
#include "millrace/types.h"
#include "millrace/wire.h"
#include "net/output_buffer.h"

namespace millrace::net {

inline constexpr size_t kFrameHeaderBytes = sizeof(wire::FrameHeader);

// A frame that is there whole. `body` is 8-byte aligned, a view into the receive buffer.
struct Frame {
  wire::FrameHeader header{};
  Bytes body;
};

// What the length field of a frame's first bytes deserves: ok, malformed or frame_too_large.
Errc check_frame_length(uint32_t length, uint32_t length_max);
// Changes the first 24 bytes of `frame`: take the header before.
bool checksum_matches(MutableBytes frame, uint64_t checksum);

// Adds a frame with an uninitialised body of `body_bytes` (a multiple of 8) to `out` and returns
// the body. seal_frame() follows once it is filled and before anything else is added.
std::byte* begin_frame(OutputBuffer& out, uint8_t opcode, Errc status, uint64_t correlation,
                       size_t body_bytes);
void seal_frame(std::byte* body, size_t body_bytes);

// Copies a wire struct to `to` and returns the first byte after it.
template <class T>
std::byte* put(std::byte* to, const T& value) {
  static_assert(std::has_unique_object_representations_v<T>);
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}
// Copies bytes, then zeros up to a multiple of 8.
std::byte* put_padded(std::byte* to, Bytes bytes);
// A text that is all of a body, without its padding.
std::string_view without_padding(Bytes body);
// Reads a wire struct; `from` has at least its size.
template <class T>
T take(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace millrace::net

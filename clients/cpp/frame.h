// Frames of the binary protocol (millrace/wire.h), as a client builds and reads them.
//
// The checksum covers the header's first 16 bytes and the body, with its own 8 bytes between them.
// Both directions slide those 16 bytes up against the body and hash one stretch: one call of XXH3
// is several times cheaper than its streaming form on small frames.
#pragma once

#include <cstring>

#include "clients/cpp/byte_queue.h"
#include "millrace/result.h"
#include "millrace/types.h"
#include "millrace/wire.h"

namespace millrace::client {

// A frame that was received whole and whose checksum is right. `body` is a view into the buffer.
struct Frame {
  wire::FrameHeader header{};
  Bytes body;
};

// Adds a frame with an uninitialised body of `body_bytes` (a multiple of 8) to `out` and returns
// the body. seal_frame() must follow once the body is filled, before anything else is added.
std::byte* begin_frame(ByteQueue& out, wire::Opcode opcode, uint64_t correlation,
                       size_t body_bytes);
void seal_frame(std::byte* body, size_t body_bytes);

// Reads the frame at the start of `bytes`. A frame that is not all there yet is an empty body with
// header.length 0 (unless its length is known: see frame_bytes_at). Errors: malformed (a length
// that is no frame's), frame_too_large (over `length_max`), corrupt (checksum). The bytes are
// written to, in place.
Result<Frame> read_frame(MutableBytes bytes, uint32_t length_max);
// The length the frame at the start of `bytes` says it has; 0 if not even that is there.
inline uint32_t frame_bytes_at(Bytes bytes) {
  uint32_t length = 0;
  if (bytes.size() >= sizeof length) std::memcpy(&length, bytes.data(), sizeof length);
  return length;
}

// Copies a wire struct to `to` and returns the first byte after it.
template <class T>
std::byte* put(std::byte* to, const T& value) {
  static_assert(std::has_unique_object_representations_v<T>);
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}
// Copies bytes, then zeros up to a multiple of 8.
std::byte* put_padded(std::byte* to, Bytes bytes);
// Reads a wire struct; `from` has at least its size.
template <class T>
T take(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace millrace::client

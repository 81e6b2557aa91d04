// ChunkedDecoder: a body in chunks, as it comes, by llhttp in its strict mode.
//
// Extensions and trailing fields are passed over; of both together a little is allowed. Every way
// in which the framing can be wrong has the same answer, so that it does not depend on the pieces
// in which the bytes came.   Memory: about 200 bytes, for as long as the body is under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <llhttp.h>

#include "millrace/types.h"
#include "net/input_buffer.h"

namespace millrace::net {

class ChunkedDecoder {
 public:
  enum class State : uint8_t { under_way, whole, malformed, too_long };

  // The body is appended to `body`, which is lent; at most `bytes_max`.
  ChunkedDecoder(InputBuffer& body, uint64_t bytes_max);
  ChunkedDecoder(const ChunkedDecoder&) = delete;
  ChunkedDecoder& operator=(const ChunkedDecoder&) = delete;

  // Returns how many of the bytes belong to the body's framing. After under_way all of them.
  size_t feed(Bytes bytes);
  State state() const { return state_; }

 private:
  static int on_chunk(llhttp_t* llhttp);
  static int on_body(llhttp_t* llhttp, const char* at, size_t length);
  static int on_extra(llhttp_t* llhttp, const char* at, size_t length);
  static int on_end(llhttp_t* llhttp);

  InputBuffer& body_;
  const uint64_t bytes_max_;
  uint64_t bytes_ = 0;        // of all chunks announced
  uint64_t extra_bytes_ = 0;  // of extensions and trailing fields
  State state_ = State::under_way;
  bool after_return_ = false;  // the last byte was a carriage return
  llhttp_t llhttp_{};
};

}  // namespace millrace::net

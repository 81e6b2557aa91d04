// The bounds a peer meets, in one place. docs/wire-protocol.md carries the same table.
#pragma once

#include <cstdint>

#include "millrace/wire.h"

namespace millrace::net {

struct Limits {
  uint32_t connections_max = 16'384;        // of the process
  uint32_t prelogin_per_address_max = 256;  // not for unix sockets
  uint32_t login_ms = 5'000;                // from accept to HELLO
  uint32_t stalled_output_ms = 60'000;      // output waits and the peer reads nothing: closed
  uint32_t frame_ms = 60'000;               // from a frame's first byte to its last
  uint32_t input_bytes_free = 64u << 10;    // held of a frame without a claim (InputBudget)
  uint32_t input_bytes_max = 64u << 20;     // of a shard: all claims for larger frames
  uint32_t stalled_input_ms = 5'000;        // while others wait for a claim: for the next 64 KiB
  uint64_t output_bytes_all = 256u << 20;   // of a shard: past it those who read nothing are closed
  uint32_t crowded_output_ms = 1'000;       // ... for so long
  uint32_t linger_ms = 2'000;               // after a fatal ERROR: for the peer to read it
  uint32_t stop_ms = 4'000;                 // of a graceful stop
  uint32_t stop_output_ms = 1'000;  // ... in which output waits and the peer reads nothing: closed
  uint32_t insecure_warning_ms = 60'000;   // between two log lines about listening unprotected
  uint32_t inflight_max = 1'024;           // requests under way on a connection
  uint32_t output_bytes_max = 2u << 20;    // waiting to be sent; past it reading pauses
  uint32_t output_bytes_hard = 32u << 20;  // past it what came is given back, not written
  uint32_t frame_bytes_max = wire::kFrameBytesMax;

  uint32_t http_head_bytes_max = 16u << 10;
  uint32_t http_fields_max = 100;
  uint32_t http_body_bytes_max = 2u << 20;
  uint32_t http_head_ms = 10'000;        // from a request's first byte to the end of its head
  uint32_t http_body_ms = 15'000;        // in each stretch of so long ...
  uint32_t http_body_bytes = 15u << 10;  // ... so much of a body has to come
  uint32_t http_idle_ms = 60'000;        // between an answer and the next request
};

}  // namespace millrace::net

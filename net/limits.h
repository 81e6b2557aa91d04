// The bounds a peer meets, in one place. docs/wire-protocol.md carries the same table.
#pragma once

#include <cstdint>

#include "millrace/wire.h"

namespace millrace::net {

struct Limits {
  uint32_t connections_max = 10'000;        // of the process
  uint32_t prelogin_per_address_max = 256;  // not for unix sockets
  uint32_t login_ms = 5'000;                // from accept to HELLO
  uint32_t stalled_output_ms = 60'000;      // output waits and the peer reads nothing: closed
  uint32_t linger_ms = 2'000;               // after a fatal ERROR: for the peer to read it
  uint32_t stop_ms = 5'000;                 // of a graceful stop
  uint32_t inflight_max = 1'024;            // requests under way on a connection
  uint32_t output_bytes_max = 2u << 20;     // waiting to be sent; past it reading pauses
  uint32_t output_bytes_hard = 32u << 20;   // past it what came is given back, not written
  uint32_t frame_bytes_max = wire::kFrameBytesMax;
};

}  // namespace millrace::net

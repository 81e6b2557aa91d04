// PublishFigures: what became of what was published, on all shards of a server.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace::net::topics {

struct PublishFigures {
  std::atomic<uint64_t> published{0};  // messages
  std::atomic<uint64_t> delivered{0};  // copies of them in queues
  std::atomic<uint64_t> filtered{0};   // copies that a subscription did not want
  std::atomic<uint64_t> redriven{0};   // copies that went to a subscription's dead-letter queue
  std::atomic<uint64_t> dropped{0};    // copies that no queue could take
};

}  // namespace millrace::net::topics

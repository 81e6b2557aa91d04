// What a broker and a queue can be told. Names as in docs/operations.md; bounds are checked when
// used, in one place each (engine/queue_attributes.cc, engine/broker.cc).
#pragma once

#include <cstdint>
#include <string>

#include "millrace/types.h"

namespace millrace {

struct BrokerOptions {
  std::string data_directory;  // made if missing (mode 0700)
  uint16_t shards = 1;  // 1..64; a directory remembers how many it was made with, see operations.md
  Durability durability = Durability::commit;
  uint32_t interval_ms = 100;          // with Durability::interval: 1..60000
  uint64_t segment_bytes = 64u << 20;  // power of two, 64 KiB..1 GiB, which bounds a batch too; a
                                       // directory keeps the size it was made with
  uint64_t disk_bytes_max =
      0;  // 0: 90 % of what is free at start. Sends are refused past it, acks are not
};

enum class DeduplicationScope : uint8_t { queue = 0, group = 1 };
enum class ThroughputLimit : uint8_t { queue = 0, group = 1 };
// Attributes of a queue; defaults are SQS's.
struct QueueAttributes {
  uint32_t visibility_timeout_ms = 30'000;  // 0..kVisibilityMsMax
  uint32_t delay_ms = 0;                    // 0..kDelayMsMax
  uint32_t message_bytes_max = 1u << 20;    // 1024..kMessageBytesMax
  uint32_t receive_wait_ms = 0;  // 0..20'000: a receive that says nothing waits this long
  Durability durability = Durability::none;  // at least this; the server's is used if it is more

  // Fixed at creation. A FIFO queue's name ends in ".fifo".
  bool fifo = false;
  uint16_t partitions = 0;  // shards it lives on; 0: all for standard, one for FIFO, all for FIFO
                            // with scope and limit `group`
  // FIFO only.
  bool content_deduplication = false;
  DeduplicationScope deduplication_scope = DeduplicationScope::queue;
  ThroughputLimit throughput_limit = ThroughputLimit::queue;

  friend bool operator==(const QueueAttributes&, const QueueAttributes&) = default;
};

inline constexpr uint32_t kVisibilityMsMax = 43'200'000;  // 12 h
inline constexpr uint32_t kDelayMsMax = 900'000;          // 15 min
inline constexpr uint32_t kQueueNameBytesMax = 80;

}  // namespace millrace

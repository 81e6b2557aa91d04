// What a broker and a queue can be told. Names as in docs/operations.md; bounds are checked when
// used, in one place each (engine/queue_attributes.cc, engine/broker.cc).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
  // What the shards may hold in memory together (indexes, windows of deduplication ids, what waits,
  // and what the driver of a shard notes with ShardPort::note_memory), without the logs' maps; 0:
  // no bound. Past 85 % of it sends are refused with memory_full, below 80 % they are taken again.
  uint64_t memory_bytes_max = 0;
  // In which each byte of the logs is read back from the device once and compared with its
  // checksum; 0: never. A byte is read within two periods of being written.
  uint32_t scrub_period_s = 43'200;
  // The wall clock is right, though it is more than a day ahead of all that was stored: messages
  // may age out at once. Without it they wait for kRetentionWaitMs.
  bool accept_clock = false;
  // The directory was made from a backup, whose broker went on: the places in queues that it may
  // have given out since are passed over, so that no receipt or message id of then names a message
  // of now. For the first opening; each passes over kSlotsSkippedByRestore.
  bool restored = false;
};
inline constexpr uint64_t kSlotsSkippedByRestore = uint64_t{1} << 40;
// After a start at which the wall clock was further ahead of what was stored newest than this, no
// message ages out for as long, restarts not counted: a clock that was set wrong must not empty the
// queues before somebody looks.
inline constexpr int64_t kRetentionWaitMs = 86'400'000;

enum class DeduplicationScope : uint8_t { queue = 0, group = 1 };
enum class ThroughputLimit : uint8_t { queue = 0, group = 1 };
// Which queues may name this one as their dead-letter queue; unset: all.
enum class RedrivePermission : uint8_t { unset = 0, allow_all = 1, deny_all = 2, by_queue = 3 };

// A queue's attribute or tag as a text.
struct NamedText {
  std::string name;
  std::string value;
  friend bool operator==(const NamedText&, const NamedText&) = default;
};

// What can be set of a queue; defaults are SQS's. Handed on by reference: only administration
// copies it.
struct QueueAttributes {
  uint32_t visibility_timeout_ms = 30'000;  // 0..kVisibilityMsMax
  uint32_t delay_ms = 0;                    // 0..kDelayMsMax
  uint32_t message_bytes_max = 1u << 20;    // 1024..kMessageBytesMax
  uint32_t receive_wait_ms = 0;  // 0..20'000: a receive that says nothing waits this long
  Durability durability = Durability::none;  // at least this; the server's is used if it is more
  uint32_t retention_ms = 345'600'000;       // kRetentionMsMin..kRetentionMsMax; 4 days
  uint32_t in_flight_max = 120'000;          // leased at once: 1..kInFlightMax

  // Fixed at creation. A FIFO queue's name ends in ".fifo".
  bool fifo = false;
  uint16_t partitions = 0;  // shards it lives on; 0: all for standard, one for FIFO, all for FIFO
                            // with scope and limit `group`
  // FIFO only.
  bool content_deduplication = false;
  DeduplicationScope deduplication_scope = DeduplicationScope::queue;
  ThroughputLimit throughput_limit = ThroughputLimit::queue;

  std::string dead_letter_queue{};  // its name; empty: none. It may be gone by now
  uint32_t receives_max = 0;        // 1..1000 with a dead-letter queue: after so many, there
  RedrivePermission redrive_permission = RedrivePermission::unset;
  std::vector<std::string> redrive_sources{};  // with by_queue: 1..10 names

  // Kept for SQS clients. The engine does not go by them.
  std::string policy{};
  bool managed_encryption = true;
  std::string kms_key{};
  uint32_t kms_reuse_s = 300;  // 60..86'400

  std::vector<NamedText> tags{};  // sorted by name, at most kTagsMax

  friend bool operator==(const QueueAttributes&, const QueueAttributes&) = default;
};

inline constexpr uint32_t kVisibilityMsMax = 43'200'000;  // of a queue: 12 h
inline constexpr uint32_t kDelayMsMax = 900'000;          // of a queue: 15 min
// What one message or one receive may ask for instead: 30 days.
inline constexpr uint32_t kLeaseMsMax = 2'592'000'000;
inline constexpr uint32_t kMessageDelayMsMax = 2'592'000'000;
inline constexpr uint32_t kRetentionMsMin = 60'000;
inline constexpr uint32_t kRetentionMsMax = 1'209'600'000;  // 14 days
inline constexpr uint32_t kInFlightMax = 1'000'000'000;     // memory is the bound: 40 bytes each
inline constexpr uint32_t kQueueNameBytesMax = 80;
inline constexpr uint32_t kTagsMax = 50;

// A change of a queue, in texts. What is not named stays as it is, or has its default in a new
// queue. Names, values and ranges of attributes: engine/queue_attributes.cc, docs/operations.md.
struct QueueSettings {
  std::vector<NamedText> attributes{};
  std::vector<NamedText> tags{};        // put, in place of one with the same name
  std::vector<std::string> untagged{};  // taken away before `tags` are put
  // Of a queue that there is: nothing is set unless its Policy is this text now. Refused is it with
  // `throttled`, when this shard knows the text there is: who read, changed and set it does so
  // again.
  std::optional<std::string> policy_before{};
};

}  // namespace millrace

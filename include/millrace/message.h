// MessageHeader: how one message lies in a SEND frame, in the log and in a RECEIVE answer. The same
// bytes in all three places.
//
// A producer's batch is a run of messages, each: MessageHeader, properties, body, zero padding to 8
// bytes. The server checks the lengths, patches `record_offset` and `delay_ms`, and copies the run
// once, into the log. A consumer gets the run back as it lies in the log. Offsets are pinned below;
// docs/wire-protocol.md and docs/storage-format.md carry the same table.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace millrace {

inline constexpr uint32_t kDelayQueueDefault =
    0xFFFFFFFF;                                         // on the wire: take the queue's own delay
inline constexpr uint32_t kMessageBytesMax = 1u << 20;  // properties + body of one message
inline constexpr uint32_t kBatchMessagesMax = 1000;
inline constexpr uint32_t kBatchBytesMax = 4u << 20;  // one SEND, headers and padding included

struct MessageHeader {
  uint32_t body_bytes;        //  0  0..kMessageBytesMax
  uint32_t properties_bytes;  //  4  attributes and system properties, opaque here; with the body <=
                              //  kMessageBytesMax
  uint32_t delay_ms;  //  8  on the wire: 0..kMessageDelayMsMax or kDelayQueueDefault; in the log:
                      //  what was decided
  uint32_t record_offset;  // 12  on the wire 0; in the log: bytes from the start of its record's
                           // body to this header
};
static_assert(sizeof(MessageHeader) == 16 && offsetof(MessageHeader, record_offset) == 12);
static_assert(std::has_unique_object_representations_v<MessageHeader>);
static_assert(std::endian::native == std::endian::little);

constexpr uint64_t padded8(uint64_t n) {
  return (n + 7) & ~uint64_t{7};
}
// Bytes a message takes in a run: header, properties, body, padding.
constexpr uint64_t message_stride(const MessageHeader& h) {
  return sizeof(MessageHeader) + padded8(uint64_t{h.properties_bytes} + h.body_bytes);
}

// Receipt: the token that proves a lease. An address (shard, slot, generation), so that ack and
// extend are array accesses, and a keyed MAC (AES-128, key made once per data directory), so
// that it can't be forged or moved to another queue. Opaque to clients. Valid across restarts; a
// receipt of an older lease of the same message never matches again.
struct Receipt {
  uint64_t shard_slot;  //  0  shard in the top 16 bits, slot in the lower 48
  uint32_t queue_id;    //  8
  uint32_t generation;  // 12  the message's receive count when this lease was given: 1, 2, ...
  uint64_t mac;         // 16  over bytes [0, 16)
};
static_assert(sizeof(Receipt) == 24 && offsetof(Receipt, mac) == 16);
static_assert(std::has_unique_object_representations_v<Receipt>);

}  // namespace millrace

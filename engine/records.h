// The bodies of the records a shard writes: every change of a message's state is one of these, and
// state is what applying them in log order leaves (docs/storage-format.md, "Engine records").
//
// A message is found by the position of its MessageHeader alone: header.record_offset leads back to
// the start of the record's body, where EnqueueHead, CarryHead and DeadLetterHead keep slot and
// sending time at the same offsets. What follows from server time is not written: a lease's end and
// a delay's end.
//
//   enqueue    EnqueueHead + the producer's run (millrace/message.h), offsets and delays filled in
//   lease      LeaseHead + SlotRun...     receive count of each +1, deadline leased_at + visibility
//   extend     ExtendHead + ExtendMark... new deadline at + visibility; visibility 0: ready
//   ack        AckHead + SlotRun...       gone
//   dead_letter  DeadLetterHead + message gone from one queue, in another now
//   carry      CarryHead + messages       same messages, new position (cleaning)
//   purge      SlotEnd                    all slots below slot_end are gone
//   expire     AckHead + SlotRun...       gone, being older than the queue keeps messages
//   move       MoveHead + SlotRun... + messages   gone from one queue, new in another (move tasks)
//   move_in    MoveInHead + u64 slots + messages   new here, gone from another shard soon
//   move_ids   MoveIdsHead + u64 slots     what move_in brought and may come again, or not any more
//   publish    PublishHead + PublishTarget... + (SharedHead + message)...   new in many queues,
//   each
//                                          message written once
//   carry_shared CarrySharedHead + SharedReference... + SharedHead + message   the same message, in
//                                          the queues that still have it, at a new position
//                                          (cleaning)
//   slot_end   SlotEnd...                 slots below slot_end were given out once, or are passed
//                                         over (cleaning, starts)
//   dedup      DedupHead + DedupMark...   these deduplication ids are in force (cleaning)
//
// The catalog's log:
//   queue_put     QueueDefinition + name + DefinitionTexts   a queue exists with exactly these
//                                          attributes
//   queue_delete  QueueGone
//   topic_put     TopicDefinition + name + DefinitionTexts   a topic exists with exactly these
//                                          attributes and tags
//   topic_delete  TopicGone               it and its subscriptions are gone
//   subscription_put     SubscriptionDefinition + protocol + endpoint + queue + token +
//                                          DefinitionTexts
//   subscription_delete  SubscriptionGone
//   move_task     MoveTaskHead + texts       how a move task stands
//   meta          CatalogMeta              what belongs to the whole directory
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>

#include "engine/received_times.h"
#include "millrace/message.h"
#include "millrace/types.h"

namespace millrace::engine {

enum class RecordKind : uint16_t {
  enqueue = 1,
  lease = 2,
  extend = 3,
  ack = 4,
  dead_letter = 5,
  carry = 6,
  purge = 7,
  slot_end = 8,
  dedup = 9,
  expire = 10,
  move = 11,
  move_in = 12,
  move_ids = 13,
  publish = 14,
  carry_shared = 15,
  queue_put = 16,
  queue_delete = 17,
  meta = 18,
  move_task = 19,
  topic_put = 20,
  topic_delete = 21,
  subscription_put = 22,
  subscription_delete = 23,
};
constexpr uint16_t raw(RecordKind kind) {
  return static_cast<uint16_t>(kind);
}

struct EnqueueHead {
  uint32_t queue_id;    //  0
  uint32_t count;       //  4  messages that follow
  uint64_t first_slot;  //  8  the others follow by one
  int64_t sent_at_ms;   // 16  server time
  uint64_t reserved;    // 24  0
};
static_assert(sizeof(EnqueueHead) == 32);

struct CarryHead {
  uint32_t queue_id;       //  0
  uint32_t receive_count;  //  4
  uint64_t slot;           //  8
  int64_t sent_at_ms;      // 16  of the first enqueue
  int64_t due_ms;          // 24  leased: when the lease ends; delayed: when ready; ready: 0
  uint8_t state;           // 32  MessageState
  // When it was received; 0 if it was not.
  ThreeByteSeconds last_received_s;  // 33  seconds after it was sent, rounded up, signed
  int32_t first_received_ms;         // 36  milliseconds after it was sent
};
static_assert(sizeof(CarryHead) == 40);
static_assert(offsetof(EnqueueHead, sent_at_ms) == offsetof(CarryHead, sent_at_ms));

// A message that was received too often. Both queues have their part on this shard.
struct DeadLetterHead {
  uint32_t queue_id;             //  0  where it is now
  uint32_t receive_count;        //  4  goes on
  uint64_t slot;                 //  8
  int64_t sent_at_ms;            // 16  standard: of the first enqueue; FIFO: of the move
  uint64_t source_slot;          // 24  where it was
  uint32_t source_queue_id;      // 32
  int32_t last_received_ms;      // 36  after sent_at_ms; below 0: before it
  int64_t first_received_at_ms;  // 40  0: not known
};
static_assert(sizeof(DeadLetterHead) == 48);
static_assert(offsetof(EnqueueHead, sent_at_ms) == offsetof(DeadLetterHead, sent_at_ms) &&
              offsetof(EnqueueHead, first_slot) == offsetof(DeadLetterHead, slot));

struct SlotRun {
  uint64_t first_slot;  //  0
  uint32_t count;       //  8  consecutive slots
  uint32_t reserved;    // 12  0
};
static_assert(sizeof(SlotRun) == 16);

// Messages that a move task took, each a new one where it is now. Behind it the SlotRuns, then the
// messages. Both queues have their part on this shard.
struct MoveHead {
  uint32_t queue_id;         //  0  where they are now
  uint32_t count;            //  4  messages
  uint64_t first_slot;       //  8  there; the others follow by one
  int64_t sent_at_ms;        // 16  of the move
  uint32_t source_queue_id;  // 24
  uint32_t run_count;        // 28  SlotRuns: where they were, `count` slots in all
};
static_assert(sizeof(MoveHead) == 32);
static_assert(offsetof(EnqueueHead, sent_at_ms) == offsetof(MoveHead, sent_at_ms) &&
              offsetof(EnqueueHead, first_slot) == offsetof(MoveHead, first_slot));

// As MoveHead, of messages that another shard has. Behind it the slots they have there, one u64
// each, then the messages.
struct MoveInHead {
  uint32_t queue_id;         //  0
  uint32_t count;            //  4
  uint64_t first_slot;       //  8
  int64_t sent_at_ms;        // 16
  uint32_t source_queue_id;  // 24
  uint16_t source_shard;     // 28
  uint16_t reserved;         // 30  0
};
static_assert(sizeof(MoveInHead) == 32);
static_assert(offsetof(EnqueueHead, sent_at_ms) == offsetof(MoveInHead, sent_at_ms) &&
              offsetof(EnqueueHead, first_slot) == offsetof(MoveInHead, first_slot));

// Slots follow, one u64 each, to the body's end.
struct MoveIdsHead {
  uint32_t queue_id;      // 0  the source
  uint16_t source_shard;  // 4
  uint8_t over;           // 6  0: these were taken in (cleaning); 1: these are gone there
  uint8_t reserved;       // 7  0
};
static_assert(sizeof(MoveIdsHead) == 8);

// --- messages that several queues share ---

// Right before the header of a message of a publish or a carry_shared record, which is marked by
// kSharedMessage in its record_offset.
struct SharedHead {
  uint32_t references;  // 0  of this record: queues that it is in by it
  uint32_t stamp_at;    // 4  in the body: kUuidTextBytes that are each reference's own; 0: none
};
static_assert(sizeof(SharedHead) == 8);
inline constexpr uint32_t kSharedMessage = 1;

struct PublishHead {
  uint32_t topic_id;       //  0
  uint32_t target_count;   //  4  PublishTargets that follow, by queue, rising, then by slot
  uint32_t message_count;  //  8  1..kSharedMessagesMax
  uint32_t reserved;       // 12  0
  int64_t sent_at_ms;      // 16  server time
  uint64_t reserved2;      // 24  0
};
static_assert(sizeof(PublishHead) == 32);
static_assert(offsetof(EnqueueHead, sent_at_ms) == offsetof(PublishHead, sent_at_ms));

// Some of the record's messages come to one queue, by one subscription.
struct PublishTarget {
  uint32_t queue_id;         //  0
  uint32_t delay_ms;         //  4
  uint64_t first_slot;       //  8  the others follow by one
  uint64_t messages;         // 16  bit i: the record's i-th message
  uint32_t subscription_id;  // 24
  uint32_t reserved;         // 28  0
  uint8_t stamp[16];         // 32  the UUID that is to stand at stamp_at
};
static_assert(sizeof(PublishTarget) == 48);
// How many messages come to the target's queue by it, and whether this slot there is of one.
inline uint64_t slots_of(const PublishTarget& target) {
  return static_cast<uint64_t>(std::popcount(target.messages));
}
inline bool holds(const PublishTarget& target, uint64_t slot) {
  return slot >= target.first_slot && slot - target.first_slot < slots_of(target);
}

struct CarrySharedHead {
  uint32_t reference_count;  //  0  SharedReferences that follow, by queue, rising, then by slot
  uint32_t reserved;         //  4  0
  uint64_t reserved2;        //  8  0
  int64_t sent_at_ms;        // 16  of the publish
  uint64_t reserved3;        // 24  0
};
static_assert(sizeof(CarrySharedHead) == 32);
static_assert(offsetof(EnqueueHead, sent_at_ms) == offsetof(CarrySharedHead, sent_at_ms));

// As CarryHead, of one queue's reference.
struct SharedReference {
  uint32_t queue_id;                 //  0
  uint32_t receive_count;            //  4
  uint64_t slot;                     //  8
  int64_t due_ms;                    // 16
  uint8_t state;                     // 24  MessageState
  ThreeByteSeconds last_received_s;  // 25
  int32_t first_received_ms;         // 28
  uint8_t stamp[16];                 // 32
};
static_assert(sizeof(SharedReference) == 48);
// What is carried of a record is not more than what it has.
static_assert(sizeof(SharedReference) <= sizeof(PublishTarget) &&
              sizeof(CarrySharedHead) <= sizeof(PublishHead));

struct LeaseHead {
  uint32_t queue_id;       //  0
  uint32_t run_count;      //  4  SlotRuns that follow
  int64_t leased_at_ms;    //  8
  uint32_t visibility_ms;  // 16
  uint32_t reserved;       // 20  0
};
static_assert(sizeof(LeaseHead) == 24);

struct ExtendHead {
  uint32_t queue_id;  //  0
  uint32_t count;     //  4  ExtendMarks that follow
  int64_t at_ms;      //  8
};
static_assert(sizeof(ExtendHead) == 16);

struct ExtendMark {
  uint64_t slot;           //  0
  uint32_t generation;     //  8  of the lease that is extended
  uint32_t visibility_ms;  // 12  0: ready at once
};
static_assert(sizeof(ExtendMark) == 16);

struct AckHead {
  uint32_t queue_id;   // 0
  uint32_t run_count;  // 4  SlotRuns that follow
};
static_assert(sizeof(AckHead) == 8);

struct SlotEnd {
  uint32_t queue_id;  // 0
  uint32_t reserved;  // 4  0
  uint64_t slot_end;  // 8
};
static_assert(sizeof(SlotEnd) == 16);

struct DedupHead {
  uint32_t queue_id;  // 0
  uint32_t count;     // 4  DedupMarks that follow
};
static_assert(sizeof(DedupHead) == 8);

struct DedupMark {
  uint64_t id_low;   //  0  identity of the deduplication id (base/keyed_hash.h)
  uint64_t id_high;  //  8
  uint64_t slot;     // 16  of the message that brought it first
  int64_t at_ms;     // 24  when it was accepted
};
static_assert(sizeof(DedupMark) == 32);

struct QueueDefinition {
  uint32_t queue_id;               //  0
  uint32_t name_bytes;             //  4  the name follows
  int64_t created_at_ms;           //  8
  uint32_t visibility_timeout_ms;  // 16
  uint32_t delay_ms;               // 20
  uint32_t message_bytes_max;      // 24
  uint32_t receive_wait_ms;        // 28
  uint8_t durability;              // 32
  uint8_t flags;                   // 33  kQueue...
  uint16_t partitions;             // 34  FIFO: shards it lives on, 0: standard, on all
  uint16_t first_shard;            // 36  FIFO: the first of them
  uint16_t texts;                  // 38  DefinitionTexts after the name
};
static_assert(sizeof(QueueDefinition) == 40);

// What the fixed part has no field for, and is not the default. Names and values are those of
// engine/queue_attributes.h. A reader refuses what it does not know.
struct DefinitionText {
  uint8_t kind;          // 0  DefinitionTextKind
  uint8_t reserved;      // 1  0
  uint16_t name_bytes;   // 2  name and value follow, unpadded
  uint32_t value_bytes;  // 4
};
static_assert(sizeof(DefinitionText) == 8);
enum class DefinitionTextKind : uint8_t {
  attribute = 1,
  tag = 2,
  modified = 3,  // no name; the value is modified_at_ms in decimal digits
};

inline constexpr uint8_t kQueueFifo = 1;
inline constexpr uint8_t kQueueContentDedup = 2;
inline constexpr uint8_t kQueueDedupByGroup = 4;
inline constexpr uint8_t kQueueLimitByGroup = 8;

struct QueueGone {
  uint32_t queue_id;  // 0
  uint32_t reserved;  // 4  0
};
static_assert(sizeof(QueueGone) == 8);

struct TopicDefinition {
  uint32_t topic_id;           //  0
  uint32_t name_bytes;         //  4  the name follows
  int64_t created_at_ms;       //  8
  uint32_t message_bytes_max;  // 16
  uint8_t flags;               // 20  kTopic...
  uint8_t reserved;            // 21  0
  uint16_t home;               // 22  FIFO: the shard that publishes it
  uint16_t texts;              // 24  DefinitionTexts after the name
  uint16_t reserved2;          // 26  0
  uint32_t reserved3;          // 28  0
};
static_assert(sizeof(TopicDefinition) == 32);
inline constexpr uint8_t kTopicFifo = 1;
inline constexpr uint8_t kTopicContentDedup = 2;

struct TopicGone {
  uint32_t topic_id;  // 0
  uint32_t reserved;  // 4  0
};
static_assert(sizeof(TopicGone) == 8);

// Protocol, endpoint, queue and token follow, unpadded, then the DefinitionTexts.
struct SubscriptionDefinition {
  uint32_t subscription_id;  //  0
  uint32_t topic_id;         //  4
  uint8_t uuid[16];          //  8
  int64_t created_at_ms;     // 24
  uint16_t protocol_bytes;   // 32
  uint16_t endpoint_bytes;   // 34
  uint16_t queue_bytes;      // 36  its name, 0: it is no queue of this broker
  uint16_t token_bytes;      // 38
  uint16_t texts;            // 40
  uint8_t flags;             // 42  kSubscription...
  uint8_t reserved;          // 43  0
  uint32_t reserved2;        // 44  0
};
static_assert(sizeof(SubscriptionDefinition) == 48);
inline constexpr uint8_t kSubscriptionPending = 1;
inline constexpr uint8_t kSubscriptionAuthenticatedEnd = 2;

struct SubscriptionGone {
  uint32_t subscription_id;  // 0
  uint32_t reserved;         // 4  0
};
static_assert(sizeof(SubscriptionGone) == 8);

// The newest one of a task counts. Behind it the destination's name and the reason of a failure,
// unpadded.
struct MoveTaskHead {
  uint64_t task_id;               //  0
  uint32_t source_queue_id;       //  8
  uint32_t destination_queue_id;  // 12  0: each message to where it came from
  uint32_t rate;                  // 16  messages a second; 0: unlimited
  uint8_t state;                  // 20  MoveState
  uint8_t reserved;               // 21  0
  uint16_t name_bytes;            // 22
  uint16_t failure_bytes;         // 24
  uint16_t reserved2;             // 26  0
  uint32_t reserved3;             // 28  0
  uint64_t moved;                 // 32
  uint64_t to_move;               // 40
  int64_t started_at_ms;          // 48
  int64_t ended_at_ms;            // 56
};
static_assert(sizeof(MoveTaskHead) == 64);

struct CatalogMeta {
  uint32_t next_queue_id;   // 0  ids below were given out once, to queues, topics, subscriptions
  uint16_t shard_count;     // 4
  uint16_t flags;           // 6  1: the clock was far ahead at a start, nothing ages out yet
  uint8_t receipt_key[16];  // 8
};
static_assert(sizeof(CatalogMeta) == 24);
inline constexpr uint16_t kMetaRetentionWaits = 1;

static_assert(std::has_unique_object_representations_v<EnqueueHead> &&
              std::has_unique_object_representations_v<CarryHead> &&
              std::has_unique_object_representations_v<DeadLetterHead> &&
              std::has_unique_object_representations_v<MoveHead> &&
              std::has_unique_object_representations_v<MoveInHead> &&
              std::has_unique_object_representations_v<MoveIdsHead> &&
              std::has_unique_object_representations_v<SharedHead> &&
              std::has_unique_object_representations_v<PublishHead> &&
              std::has_unique_object_representations_v<PublishTarget> &&
              std::has_unique_object_representations_v<CarrySharedHead> &&
              std::has_unique_object_representations_v<SharedReference> &&
              std::has_unique_object_representations_v<MoveTaskHead> &&
              std::has_unique_object_representations_v<LeaseHead> &&
              std::has_unique_object_representations_v<ExtendHead> &&
              std::has_unique_object_representations_v<AckHead> &&
              std::has_unique_object_representations_v<DedupHead> &&
              std::has_unique_object_representations_v<DedupMark> &&
              std::has_unique_object_representations_v<SlotEnd> &&
              std::has_unique_object_representations_v<QueueDefinition> &&
              std::has_unique_object_representations_v<DefinitionText> &&
              std::has_unique_object_representations_v<TopicDefinition> &&
              std::has_unique_object_representations_v<TopicGone> &&
              std::has_unique_object_representations_v<SubscriptionDefinition> &&
              std::has_unique_object_representations_v<SubscriptionGone> &&
              std::has_unique_object_representations_v<CatalogMeta>);

// A fixed part as bytes, for Log::append.
template <class T>
Bytes bytes_of(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}
template <class T>
Bytes bytes_of(std::span<const T> values) {
  return std::as_bytes(values);
}

// Reads a T at `offset`; the caller knows that it is there.
template <class T>
T read_at(Bytes bytes, size_t offset = 0) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// The head of a body, or nothing if the body is too short to hold one.
template <class Head>
std::optional<Head> read_head(Bytes body) {
  if (body.size() < sizeof(Head)) return std::nullopt;
  return read_at<Head>(body);
}

// The `count` fixed parts behind a head, in place (bodies are 8-byte aligned); empty if they do not
// fit.
template <class Item, class Head>
std::span<const Item> items_after(Bytes body, uint32_t count) {
  if ((body.size() - sizeof(Head)) / sizeof(Item) < count) return {};
  return {reinterpret_cast<const Item*>(body.data() + sizeof(Head)), count};
}

}  // namespace millrace::engine

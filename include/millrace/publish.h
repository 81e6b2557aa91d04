// Publishing inside a broker: messages that many queues get, each written once.
//
// Who gets what is decided by whoever is above the engine. The engine puts each message into all of
// its queues or into none, with one record of the shard's log that asks for it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "millrace/message.h"
#include "millrace/topics.h"
#include "millrace/types.h"

namespace millrace {

inline constexpr uint32_t kSharedMessagesMax = 64;  // of one publish
// Queues that get a message by one record; where there are more it takes several, which a crash may
// part as long as the publish is not answered.
inline constexpr uint32_t kTargetsPerRecordMax = 1'024;
inline constexpr uint32_t kUuidTextBytes = 36;

// Some of the messages, for one queue.
struct PublishCopy {
  QueueId queue{};  // standard
  SubscriptionId subscription{};
  uint64_t messages = 0;  // bit i: the i-th; at least one
  Uuid stamp{};           // what stands in its copies at `stamps`
};

struct PublishRequest {
  TopicId topic{};
  uint32_t count = 0;  // 1..kSharedMessagesMax
  Bytes messages;  // a run as in message.h; their delays are not looked at, each queue has its own
  // Of each message, where in its body kUuidTextBytes are to be a copy's stamp; 0: nowhere.
  std::span<const uint32_t> stamps;
  // Each message is in one at least. In any order.
  std::span<const PublishCopy> copies;
};

// --- FIFO topics ---

inline constexpr uint32_t kSequenceTextBytes = 20;

// What is put into a form of a message before it is sent. Places in its body; 0: nowhere.
struct OrderedForm {
  uint32_t message = 0;      // whose form it is
  uint32_t id_at = 0;        // kUuidTextBytes: the message's id
  uint32_t sequence_at = 0;  // kSequenceTextBytes: its sequence number
};

// Messages of a FIFO topic, in their order. Each gets the next sequence number of the topic; one
// whose deduplication id was published within the last five minutes is answered with that one's
// number, and comes nowhere.
struct OrderedPublishRequest {
  // What comes where: `count` forms of the messages, 0 if nobody wants any. To FIFO queues with the
  // properties of a send, to standard queues as ever; `stamps` as ever.
  PublishRequest copies;
  std::span<const OrderedForm> forms;  // of each of copies.count
  // Of each message, 1..kSharedMessagesMax, in the scope that it counts in.
  std::span<const std::string_view> deduplication_ids;
};

}  // namespace millrace

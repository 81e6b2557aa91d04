// Publishing inside a broker: messages that many queues get, each written once.
//
// Who gets what is decided by whoever is above the engine. The engine puts each message into all of
// its queues or into none, with one record of the shard's log that asks for it.
#pragma once

#include <cstdint>
#include <span>

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

}  // namespace millrace

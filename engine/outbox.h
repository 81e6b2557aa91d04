// Outbox: where what was published waits for a subscriber outside, until whoever reaches him has
// delivered it. It is a standard queue of the subscription's id, there from the subscription's
// confirmation to its end: the fold of the same records. It has no name: nobody finds, lists or
// sends to it, only publish() and a receive that says `outbox` do.
//
// Threads: any; no state.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "millrace/engine.h"

namespace millrace::engine {

// Those that whoever is above the engine delivers by.
inline constexpr std::array<std::string_view, 2> kOutsideProtocols{"http", "https"};

inline bool is_outside(std::string_view protocol) {
  return std::find(kOutsideProtocols.begin(), kOutsideProtocols.end(), protocol) !=
         kOutsideProtocols.end();
}

// Nothing: it has none, as it is a queue's, not confirmed, or of a protocol that nobody delivers.
inline std::optional<QueueInfo> outbox_of(const SubscriptionInfo& subscription) {
  if (!is_outside(subscription.protocol) || subscription.pending) return std::nullopt;
  QueueInfo outbox;
  outbox.id = outbox_id(subscription.id);
  outbox.created_at_ms = subscription.created_at_ms;
  outbox.attributes.message_bytes_max = kMessageBytesMax;
  outbox.attributes.retention_ms = kRetentionMsMax;
  return outbox;
}

}  // namespace millrace::engine

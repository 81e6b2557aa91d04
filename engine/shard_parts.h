// ShardParts: what the pieces of one shard lend each other. All shard-local.
#pragma once

#include "engine/catalog.h"
#include "engine/commit_queue.h"
#include "engine/mailbox.h"
#include "engine/shard_state.h"

namespace millrace::engine {

struct ShardParts {
  ShardState& state;
  Catalog& catalog;  // this shard's copy
  CommitQueue& commits;
  Mailbox& mailbox;
  const TimeMs& now;      // of the current turn
  Durability durability;  // the server's

  // The level a queue's answers wait for: the stronger of the server's and its own.
  Durability level(const QueueInfo& queue) const {
    return std::max(durability, queue.attributes.durability);
  }
  bool waits_durable(QueueId queue) const {
    const QueueInfo* info = catalog.find_any(queue);
    return info != nullptr && level(*info) == Durability::commit;
  }
  // All shards but this one, as bits.
  uint64_t other_shards() const {
    const uint64_t all =
        mailbox.shards() == 64 ? ~uint64_t{0} : (uint64_t{1} << mailbox.shards()) - 1;
    return all & ~(uint64_t{1} << raw(mailbox.own()));
  }
};

constexpr CommitQueue::Level park_level(bool durable) {
  return durable ? CommitQueue::Level::durable : CommitQueue::Level::written;
}

}  // namespace millrace::engine

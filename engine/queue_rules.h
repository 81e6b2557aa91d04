// QueueRules: what a partition goes by of its queue's attributes, with names resolved. Made anew by
// each shard whenever its catalog changes, so that a queue may be named before it exists, and again
// after it was deleted and created anew.
//
// Threads: shard-local.
#pragma once

#include <cstdint>

#include "engine/catalog.h"

namespace millrace::engine {

struct QueueRules {
  // After so many receives a message goes to `dead_letters`, a queue of the same kind. 0: never.
  uint32_t receives_max = 0;
  QueueId dead_letters{};
  uint32_t retention_ms = UINT32_MAX;
  // Leased at once, of this part: its share of what the queue may have.
  uint64_t in_flight_max = UINT64_MAX;
  // FIFO: deduplication ids are told from one another within their groups.
  bool dedup_by_group = false;
  // Until then ids that were taken in the other scope may be in force too.
  TimeMs both_scopes_until{};
};

// A dead-letter queue that leads back to the queue, at once or by way of others, counts as none:
// messages would go round with each receive, and no end to it.
QueueRules rules_of(const Catalog& catalog, const QueueInfo& queue, uint16_t shards);

}  // namespace millrace::engine

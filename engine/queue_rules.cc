#include "engine/queue_rules.h"

#include "base/planted.h"
#include "engine/dedup_window.h"
#include "engine/limits.h"

namespace millrace::engine {
namespace {

constexpr int64_t kClockSlackMs = 60'000;

const QueueInfo* dead_letter_queue(const Catalog& catalog, const QueueInfo& queue) {
  const QueueAttributes& attributes = queue.attributes;
  if (attributes.dead_letter_queue.empty() || attributes.receives_max == 0) return nullptr;
  const QueueInfo* target = catalog.find(attributes.dead_letter_queue);
  return target != nullptr && target->attributes.fifo == attributes.fifo ? target : nullptr;
}

bool leads_back(const Catalog& catalog, const QueueInfo& queue, const QueueInfo* next) {
  for (uint32_t steps = 0; next != nullptr && steps < kDeadLetterChainMax; ++steps) {
    if (next->id == queue.id) return true;
    next = dead_letter_queue(catalog, *next);
  }
  return false;
}

}  // namespace

QueueRules rules_of(const Catalog& catalog, const QueueInfo& queue, uint16_t shards) {
  QueueRules rules;
  rules.retention_ms = queue.attributes.retention_ms;
  if (base::planted(base::Bug::retention_too_early)) rules.retention_ms /= 2;
  const uint64_t parts = queue.attributes.fifo ? queue.attributes.partitions : shards;
  rules.in_flight_max = (queue.attributes.in_flight_max + parts - 1) / parts;
  rules.dedup_by_group = queue.attributes.deduplication_scope == DeduplicationScope::group;
  // Whatever was changed. The shards' clocks are not quite one.
  if (queue.attributes.fifo && queue.modified_at_ms != queue.created_at_ms)
    rules.both_scopes_until = TimeMs{queue.modified_at_ms} + DedupWindow::kWindowMs + kClockSlackMs;
  const QueueInfo* target = dead_letter_queue(catalog, queue);
  if (target != nullptr && !leads_back(catalog, queue, target)) {
    rules.receives_max = queue.attributes.receives_max;
    if (base::planted(base::Bug::dead_letter_too_late)) ++rules.receives_max;
    rules.dead_letters = target->id;
  }
  return rules;
}

}  // namespace millrace::engine

#include "tests/sim/sim_shape.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/prng.h"

namespace millrace::sim {
namespace {

constexpr std::array<std::string_view, 3> kNames{"standard", "fifo", "dead-letters"};
constexpr uint64_t kStream = 0x5A4E;
constexpr uint64_t kMovesStream = 0x30BE;

void make_fifo(QueueAttributes& attributes, base::Prng& prng) {
  attributes.fifo = true;
  attributes.content_deduplication = prng.chance(1, 3);
  if (!prng.chance(1, 2)) return;
  attributes.deduplication_scope = DeduplicationScope::group;
  if (prng.chance(1, 2)) attributes.throughput_limit = ThroughputLimit::group;
}

void fill_in(QueueAttributes& attributes, base::Prng& prng) {
  if (prng.chance(1, 4)) attributes.delay_ms = static_cast<uint32_t>(prng.between(20, 400));
  if (prng.chance(1, 4)) attributes.in_flight_max = static_cast<uint32_t>(prng.between(3, 30));
}

}  // namespace

std::optional<ShapeKind> shape_by_name(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<ShapeKind>(found - kNames.begin());
}

std::string_view shape_name(ShapeKind kind) {
  return kNames[static_cast<size_t>(kind)];
}

ShapeKind shape_of(uint64_t seed) {
  return static_cast<ShapeKind>(base::Prng(seed ^ kStream).below(kNames.size()));
}

SimShape make_shape(ShapeKind kind, uint64_t seed, uint64_t queues, const QueueAttributes& base) {
  base::Prng prng((seed ^ kStream) * 31 + 1);
  SimShape shape;
  shape.kind = kind;
  for (uint64_t n = queues; n > 0; --n)
    shape.queues.push_back({.name = fmt::format("queue-{}", n), .attributes = base});
  if (kind == ShapeKind::standard) return shape;
  shape.time_jumps = true;
  for (SimQueueShape& queue : shape.queues) {
    if (kind == ShapeKind::fifo || prng.chance(1, 2)) make_fifo(queue.attributes, prng);
    fill_in(queue.attributes, prng);
  }
  if (kind == ShapeKind::dead_letters) {
    // A chain behind each; or the first one's, where it is of the same kind.
    std::optional<size_t> shared[2];
    for (size_t i = 0; i < queues; ++i) {
      const bool fifo = shape.queues[i].attributes.fifo;
      shape.queues[i].dies = prng.chance(1, 3);
      size_t source = i;
      for (uint64_t links = prng.between(1, 2); links > 0; --links) {
        shape.queues[source].attributes.receives_max = static_cast<uint32_t>(prng.between(1, 5));
        if (source == i && shared[fifo] && prng.chance(1, 2)) {
          shape.queues[source].dead_letters = shared[fifo];
          break;
        }
        SimQueueShape target{.name = fmt::format("dead-{}-{}", i, links), .attributes = base};
        if (fifo) make_fifo(target.attributes, prng);
        fill_in(target.attributes, prng);
        const size_t at = shape.queues.size();
        shape.queues.push_back(std::move(target));
        shape.queues[source].dead_letters = at;
        if (source == i && !shared[fifo]) shared[fifo] = at;
        source = at;
      }
    }
    for (SimQueueShape& queue : shape.queues)
      if (prng.chance(1, 3))
        queue.attributes.retention_ms = static_cast<uint32_t>(prng.between(60, 180) * 1000);
  }
  shape.moves = kind == ShapeKind::dead_letters && base::Prng(seed ^ kMovesStream).chance(1, 2);
  for (SimQueueShape& queue : shape.queues) {
    if (queue.attributes.fifo) queue.name += ".fifo";
    if (!shape.moves) continue;
    queue.dies = false;
    queue.attributes.retention_ms = base.retention_ms;
  }
  for (SimQueueShape& queue : shape.queues) {
    if (queue.dead_letters) {
      shape.queues[*queue.dead_letters].is_target = true;
      queue.attributes.dead_letter_queue = shape.queues[*queue.dead_letters].name;
    } else if (kind == ShapeKind::dead_letters && prng.chance(1, 4)) {
      // One that names itself has none.
      queue.attributes.dead_letter_queue = queue.name;
      queue.attributes.receives_max = 1;
    }
  }
  return shape;
}

ReferenceRules rules_of(const SimQueueShape& queue, uint16_t shards) {
  const QueueAttributes& a = queue.attributes;
  ReferenceRules rules;
  rules.fifo = a.fifo;
  rules.dedup_by_group = a.deduplication_scope == DeduplicationScope::group;
  rules.spread = a.throughput_limit == ThroughputLimit::group && shards > 1;
  rules.receives_max = queue.dead_letters ? a.receives_max : 0;
  rules.retention_ms = a.retention_ms;
  if (a.in_flight_max < QueueAttributes{}.in_flight_max) {
    // Each part has an equal share, rounded up.
    const uint64_t parts = !a.fifo || rules.spread ? shards : 1;
    rules.in_flight_max = (a.in_flight_max + parts - 1) / parts * parts;
    // Dead letters lie where their source has them, and each shard has a share of its own.
    if (a.fifo && queue.is_target && !rules.spread) rules.in_flight_max *= shards;
  }
  return rules;
}

}  // namespace millrace::sim

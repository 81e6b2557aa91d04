// SimShape: which queues a run has, and what they were created as. Follows from the seed, by a
// stream of its own: the rest of a run does not change with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/options.h"
#include "tests/sim/reference_message.h"

namespace millrace::sim {

enum class ShapeKind : uint8_t {
  standard,      // plain standard queues, and no time that jumps
  fifo,          // FIFO queues: groups, deduplication, spread or not
  dead_letters,  // chains of either kind; and either short retention and queues that go and come
                 // again, or move tasks
};
std::optional<ShapeKind> shape_by_name(std::string_view name);
std::string_view shape_name(ShapeKind kind);
ShapeKind shape_of(uint64_t seed);

struct SimQueueShape {
  std::string name;
  QueueAttributes attributes;
  std::optional<size_t> dead_letters{};  // index of that queue, which comes later
  bool is_target = false;                // of another's dead letters
  bool dies = false;                     // deleted and created again now and then

  // Some queue names it, if only itself.
  bool has_sources() const { return is_target || attributes.dead_letter_queue == name; }
};

struct SimShape {
  ShapeKind kind = ShapeKind::standard;
  std::vector<SimQueueShape> queues;
  bool time_jumps = false;
  bool moves = false;  // clients start move tasks: half of the runs with dead letters
};

// `queues`: how many there are that messages are sent to, dead-letter queues aside.
SimShape make_shape(ShapeKind kind, uint64_t seed, uint64_t queues, const QueueAttributes& base);

// What the reference must know of a queue; `id` and dead_letters are the caller's.
ReferenceRules rules_of(const SimQueueShape& queue, uint16_t shards);

}  // namespace millrace::sim

// The part of ReferenceQueue that knows dead-letter queues (promises.md a10, C9).
#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/reference_queue.h"

namespace millrace::sim {
bool ReferenceQueue::leads_to(uint32_t from, uint32_t to) const {
  for (int steps = 0; steps < kChainMax; ++steps) {
    const auto next = rules(from).dead_letters;
    if (!next) return false;
    if (*next == to) return true;
    from = *next;
  }
  return false;
}

// Of all queues it may be in without anybody having seen it there.
int64_t ReferenceQueue::shortest_retention(const ReferenceMessage& m) const {
  int64_t shortest = rules(m.queue).retention_ms;
  auto next = rules(m.queue).dead_letters;
  for (int steps = 0; next && steps < kChainMax; ++steps, next = rules(*next).dead_letters)
    shortest = std::min(shortest, rules(*next).retention_ms);
  return shortest;
}

// How often it may have been received by now, as far as anybody can know.
uint64_t ReferenceQueue::most_receives(const ReferenceMessage& m) const {
  const auto found = queues_.find(m.queue);
  if (found == queues_.end()) return m.count_high;
  const Queue& queue = found->second;
  // A task that takes its messages to another shard hides them there by a lease.
  if (queue.pushes_open > 0 || queue.moves_until > m.seen_event) return UINT32_MAX;
  return m.count_high + (queue.receives_lost - m.lost_then) + queue.receives_open;
}

bool ReferenceQueue::may_have_moved(const ReferenceMessage& m, TimeMs now) const {
  const ReferenceRules& from = rules(m.queue);
  return from.dead_letters && now >= m.hidden_until && most_receives(m) >= from.receives_max;
}

// A lie may have taken the record of its move and left what cleaning had carried since: one is
// here, one there.
bool ReferenceQueue::may_be_two(const ReferenceMessage& m) const {
  return m.in_a_hole && (rules(m.first_queue).dead_letters || any_moves_);
}

// It comes from a queue that it was not seen in before.
std::string ReferenceQueue::arrived(ReferenceMessage& m, const Delivered& d, TimeMs now) {
  if (!leads_to(m.queue, d.queue))
    return m.queue == m.first_queue
               ? fmt::format("C2: key {} of queue {} came from queue {}", d.key, m.queue, d.queue)
               : fmt::format("C9: key {} is a dead letter in queue {} and came from queue {}",
                             d.key, m.queue, d.queue);
  uint32_t last = m.queue;
  for (uint32_t step = m.queue; step != d.queue; step = *rules(step).dead_letters) {
    last = step;
    if (d.receive_count <= rules(step).receives_max)
      return fmt::format("C9: key {} left queue {} after {} receives, {} are allowed", d.key, step,
                         d.receive_count - 1, rules(step).receives_max);
  }
  if (d.moved == nullptr)
    return fmt::format("C9: dead letter {} does not say where it is from", d.key);
  if (d.moved->origin_queue != rules(m.first_queue).id)
    return fmt::format("C9: dead letter {} has another message id", d.key);
  if (std::string wrong = check_place(m, m.first_queue, d.moved->origin_shard_slot, d.event, now);
      !wrong.empty())
    return wrong;
  if (d.moved->source_queue != rules(last).id)
    return fmt::format("C9: dead letter {} says it came from another queue", d.key);
  if (std::string wrong = check_passed_by(m, now); !wrong.empty()) return wrong;
  // What was asked there by its old receipts found nothing, or will.
  m.queue = d.queue;
  m.seen_event = d.asked_event;
  m.moved_event = d.event;
  m.acked = m.acked == Known::yes ? Known::yes : Known::no;
  m.acks_pending = m.extends_pending = 0;
  m.extends_overlap = false;
  m.delay_ms = 0;
  // A FIFO queue counts its age from the move.
  if (rules(d.queue).fifo && d.sent_at >= m.sent_at && d.sent_at <= now)
    m.sent_at = m.sent_by = d.sent_at;
  ++moves_seen_;
  return {};
}

// In a group nothing is reached before what stands before it, so nothing can have moved before it.
std::string ReferenceQueue::check_passed_by(const ReferenceMessage& m, TimeMs now) {
  const uint64_t place = m.place_in(m.queue);
  if (m.group == 0 || m.queue != m.first_queue || place == kNoPlace) return {};
  std::string wrong;
  order_.before(
      m.queue, m.group, place,
      [&](Key key, uint64_t stands) { return is_gone(messages_.at(key), m.queue, stands); },
      [&](Key key) {
        if (!must_be_in(messages_.at(key), m.queue, now)) return false;
        wrong = fmt::format("C6: key {} is a dead letter, key {} of its group stood before it",
                            m.key, key);
        return true;
      });
  return wrong;
}

}  // namespace millrace::sim

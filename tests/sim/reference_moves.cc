// The part of ReferenceQueue that knows move tasks (sqs.md 12): what is ready in a dead-letter
// queue becomes a new message of another queue, once.
//
// Nobody is told which messages a task took, or when. So what may have been in its source, and not
// leased, while it ran is allowed to be in any queue, under a new id, until it is seen again; then
// its earlier life is over, and must not be seen any more.
#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/reference_queue.h"

namespace millrace::sim {
namespace {

constexpr uint64_t kStillRuns = UINT64_MAX;

}  // namespace

void ReferenceQueue::move_asked(uint32_t source, uint64_t event) {
  Queue& queue = queue_at(source);
  ++queue.move_starts_open;
  queue.move_asked_event = event;
  queue.moves_until = kStillRuns;
  any_moves_ = true;
}

void ReferenceQueue::move_answered(uint32_t source, bool started, uint64_t event) {
  Queue& queue = queue_at(source);
  if (queue.move_starts_open > 0) --queue.move_starts_open;
  if (started) queue.move_asked_event = event;
}

// Two starts may be open at once: only what was asked after the newest was answered is about it.
void ReferenceQueue::move_ended(uint32_t source, uint64_t asked_event, uint64_t event) {
  Queue& queue = queue_at(source);
  if (queue.move_starts_open > 0 || asked_event < queue.move_asked_event) return;
  queue.moves_until = std::min(queue.moves_until, event);
}

// A task may have taken it since it was seen last.
bool ReferenceQueue::may_be_redriven(const ReferenceMessage& m, TimeMs now) const {
  if (!any_moves_ || now < m.hidden_until) return false;
  uint32_t at = m.queue;
  for (int steps = 0; steps < kChainMax; ++steps) {
    const auto found = queues_.find(at);
    if (found != queues_.end() && found->second.moves_until > m.seen_event) return true;
    const auto next = rules(at).dead_letters;
    if (!next || !may_have_moved(m, now)) return false;
    at = *next;
  }
  return false;
}

// What is delivered is not what was known, but what a task made of it.
bool ReferenceQueue::is_redriven(const ReferenceMessage& m, const Delivered& d) const {
  if (d.sent_at == kNever || d.sent_at < m.sent_at) return false;
  if (m.sent_by != kNever && d.sent_at > m.sent_by && !(d.moved != nullptr && rules(d.queue).fifo))
    return true;
  const uint64_t first = m.place_in(m.first_queue);
  if (d.moved == nullptr)
    return d.queue != m.first_queue || (first != kNoPlace && first != d.place);
  return d.moved->origin_queue != rules(m.first_queue).id ||
         (first != kNoPlace && first != d.moved->origin_shard_slot);
}

// It begins anew, where the task put it; if it is a dead letter again, where it was one from.
std::string ReferenceQueue::redriven(ReferenceMessage& m, const Delivered& d, TimeMs now) {
  uint32_t queue = d.queue;
  if (d.moved != nullptr) {
    const auto origin = std::find_if(queues_.begin(), queues_.end(), [&](const auto& one) {
      return one.second.rules.id == d.moved->origin_queue;
    });
    if (origin == queues_.end())
      return fmt::format("C9: dead letter {} is from a queue that never was", d.key);
    queue = origin->first;
  }
  if (rules(queue).fifo != rules(m.first_queue).fifo)
    return fmt::format("C9: key {} was moved to a queue of the other kind", d.key);
  if (d.sent_at > now) return fmt::format("C2: key {} is moved in {} ms", d.key, d.sent_at - now);
  if (const auto id = ids_.find(d.key); id != ids_.end() && !m.redriven)
    for (const Key other : dedup_.in_its_place(id->second, d.key))
      if (messages_.at(other).sent == Known::yes) messages_.at(other).sent = Known::unknown;
  const bool keeps_time = d.moved == nullptr || !rules(d.queue).fifo;
  m.redriven = true;
  m.queue = m.first_queue = queue;
  m.sent = Known::yes;
  m.sent_at = keeps_time ? d.sent_at : m.sent_at;
  m.sent_by = keeps_time ? d.sent_at : now;
  m.delay_ms = 0;
  m.hidden_until = {};
  m.acked = m.acked == Known::yes ? Known::yes : Known::no;
  m.acks_pending = m.extends_pending = 0;
  m.extends_overlap = false;
  m.extended_ahead = 0;
  m.counts_seen.clear();
  m.receive_count = m.count_high = 0;
  m.lost_then = 0;
  m.moved_event = d.event;
  m.seen_event = d.asked_event;
  m.places.clear();
  ++redrives_seen_;
  return {};
}

}  // namespace millrace::sim

// Receive attempt ids: what a receive that is asked again may bring, and must.
#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/reference_queue.h"

namespace millrace::sim {

void ReferenceQueue::repeat_asked(Key key, uint32_t receive_count, uint32_t visibility_ms,
                                  TimeMs now) {
  ReferenceMessage& m = messages_.at(key);
  if (m.receive_count != receive_count) return;
  m.hidden_until = std::min(m.hidden_until, now + visibility_ms);
  m.extends_overlap = m.extends_overlap || m.extends_pending > 0;  // either may come last
}

std::string ReferenceQueue::repeated(const Delivered& d, bool in_doubt) {
  ReferenceMessage& m = messages_.at(d.key);
  if (m.body_hash != d.body_hash) return fmt::format("C2: the body of key {} changed", d.key);
  if (may_be_two(m) || m.in_a_hole) return {};
  if (d.asked_at - d.sent_at >= rules(d.queue).retention_ms)
    return fmt::format("C1: key {} is given again {} ms after it was over", d.key,
                       d.asked_at - d.sent_at - rules(d.queue).retention_ms);
  if (m.acked == Known::yes && d.asked_event > m.acked_event)
    return fmt::format("C3: key {} was acknowledged and is given again", d.key);
  if (m.purged == Known::yes && d.asked_event > m.purged_event)
    return fmt::format("C10: key {} was purged and is given again", d.key);
  if (m.queue != d.queue)
    return d.asked_event > m.moved_event
               ? fmt::format("C9: key {} moved on and is given again where it was", d.key)
               : std::string();
  if (m.receive_count > d.receive_count)
    return d.asked_event > m.lease_event
               ? fmt::format("C8: lease {} of key {} is given again after lease {}",
                             d.receive_count, d.key, m.receive_count)
               : std::string();
  // An extension that came meanwhile may have come after it.
  if (m.extends_pending > 0 || m.lease_event > d.asked_event || in_doubt) return {};
  m.hidden_until = d.asked_at + d.visibility_ms;
  m.lease_event = d.event;
  return {};
}

TimeMs ReferenceQueue::lasts_until(Key key) const {
  const ReferenceMessage& m = messages_.at(key);
  return std::min(m.hidden_until, m.sent_at + rules(m.queue).retention_ms);
}

bool ReferenceQueue::lease_untouched(Key key, uint32_t queue, uint64_t lease_event,
                                     TimeMs now) const {
  const ReferenceMessage* m = find(key);
  return m != nullptr && m->queue == queue && m->lease_event == lease_event &&
         m->extends_pending == 0 && m->acks_pending == 0 && m->acked == Known::no &&
         m->purged == Known::no && !may_be_elsewhere(*m, now);
}

}  // namespace millrace::sim

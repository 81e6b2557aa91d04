#include "tests/sim/reference_queue.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace millrace::sim {

uint32_t ReferenceQueue::add_queue(const ReferenceRules& rules) {
  const auto number = static_cast<uint32_t>(queues_.size());
  queues_[number].rules = rules;
  return number;
}

ReferenceQueue::Queue& ReferenceQueue::queue_at(uint32_t queue) {
  return queues_[queue];
}

const ReferenceRules& ReferenceQueue::rules(uint32_t queue) const {
  static const ReferenceRules kStandard;
  const auto found = queues_.find(queue);
  return found == queues_.end() ? kStandard : found->second.rules;
}

bool ReferenceQueue::may_exist(const ReferenceMessage& m) {
  return m.sent != Known::no && m.acked != Known::yes && m.purged != Known::yes;
}

bool ReferenceQueue::must_exist(const ReferenceMessage& m, TimeMs now) const {
  if (m.in_a_hole || now - m.sent_at >= shortest_retention(m)) return false;
  const bool sent = m.sent == Known::yes || (m.delivered && delivered_is_durable_);
  return sent && m.acked == Known::no && m.purged == Known::no;
}

const ReferenceMessage* ReferenceQueue::find(Key key) const {
  const auto it = messages_.find(key);
  return it == messages_.end() ? nullptr : &it->second;
}

bool ReferenceQueue::must_be_in(Key key, uint32_t queue, TimeMs now) const {
  const ReferenceMessage* m = find(key);
  return m != nullptr && must_be_in(*m, queue, now);
}

// --- sending ---

void ReferenceQueue::send_asked(const Sent& sent, TimeMs now) {
  ReferenceMessage& m = messages_[sent.key];
  m = {.key = sent.key,
       .queue = sent.queue,
       .first_queue = sent.queue,
       .group = sent.group,
       .body_hash = sent.body_hash,
       .sent_at = now,
       .asked_event = sent.event,
       .delay_ms = sent.delay_ms,
       .seen_event = sent.event};
  m.sent = Known::pending;
  m.lost_then = queue_at(sent.queue).receives_lost;
  // A purge under way reaches each shard at its own time: this send may fall on either side of it.
  for (const auto& [number, purge] : purges_)
    if (purge.queue == sent.queue) m.purged = Known::unknown;
  m.hidden_until = now + sent.delay_ms;
  if (!rules(sent.queue).fifo) return;
  ids_[sent.key] = sent.id;
  dedup_.asked(sent.id, {sent.key, now, sent.event});
}

void ReferenceQueue::learn_place(ReferenceMessage& m, uint32_t queue, uint64_t place,
                                 uint64_t group) {
  m.places.emplace_back(queue, place);
  order_.put(queue, group, place, m.key);
}

std::string ReferenceQueue::send_answered(Key key, bool ok, uint64_t place, uint64_t event,
                                          TimeMs now) {
  ReferenceMessage& m = messages_.at(key);
  const ReferenceRules& queue = rules(m.first_queue);
  m.sent_by = std::min(m.sent_by, now);
  if (m.redriven) return {};  // this is of an earlier life
  if (!ok) {
    m.sent = queue.spread ? Known::unknown : Known::no;
    if (queue.fifo && !queue.spread) dedup_.closed(ids_.at(key), key);
    return {};
  }
  const uint64_t known = m.place_in(m.first_queue);
  Key there = order_.at(m.first_queue, place);
  m.sent = Known::yes;
  if (place == kNoPlace || known == place) return {};
  if (known != kNoPlace) return fmt::format("C2: key {} is said to lie in two places", key);
  // A lie may have taken what said how far places were given out.
  const bool lost = there != 0 && messages_.at(there).in_a_hole;
  if (!queue.fifo) {
    if (there != 0 && !lost) return fmt::format("C6: keys {} and {} have one place", there, key);
    learn_place(m, m.first_queue, place, 0);
    return {};
  }
  const DedupId& id = ids_.at(key);
  if (lost && dedup_.find(id, place) == nullptr) there = 0;
  const ReferenceDedup::Attempt attempt{key, m.sent_at, m.asked_event};
  if (there == 0) {
    std::string wrong = dedup_.accepted(id, attempt, place, false, now, event);
    if (!wrong.empty()) return wrong;
    uint64_t asked = m.asked_event;
    bool one_group = true;
    for (const auto& one : dedup_.find(id, place)->candidates) {
      // Until it is known whose place it is, what may be true of any is true of this one.
      const ReferenceMessage& other = messages_.at(one.key);
      asked = std::min(asked, one.asked_event);
      // Its earlier life may have been here, and this one a duplicate of that.
      if (other.redriven) m.sent = Known::unknown;
      if (other.purged != Known::no) m.purged = Known::unknown;
      one_group = one_group && other.group == m.group;
      m.in_a_hole = m.in_a_hole || other.in_a_hole;
      m.sent_at = std::min(m.sent_at, other.sent_at);
      m.lost_then = std::min(m.lost_then, other.lost_then);
      m.seen_event = std::min(m.seen_event, other.seen_event);
      m.hidden_until = std::min(m.hidden_until, other.hidden_until);
    }
    learn_place(m, m.first_queue, place, one_group ? m.group : 0);
    if (!one_group) return {};
    return order_.sent(m.first_queue, m.group, place, key, asked, event);
  }
  // A duplicate, unless its own answer came after one that repeats it.
  ReferenceDedup::Place* held = dedup_.find(id, place);
  if (held == nullptr)
    return fmt::format("C7: key {} is answered as key {}, which has another id", key, there);
  if (held->candidates.size() > 1 && held->may_be(key)) {
    for (auto& one : held->candidates)
      one.answered = one.answered || one.key == key;
    m.sent = Known::unknown;
    return {};
  }
  // The place of what a lie took may be given out again, also for the same id.
  m.sent = lost ? Known::unknown : Known::no;
  dedup_.closed(id, key);
  return ReferenceDedup::repeated(*held, attempt);
}

// What stood for the message that turned out to lie there was its duplicate.
void ReferenceQueue::stand_in(ReferenceMessage& found, Key stood) {
  ReferenceMessage& other = messages_.at(stood);
  if (found.sent != Known::pending) found.sent = other.sent;
  if (other.purged == Known::yes) {
    found.purged = Known::yes;
    found.purged_event = other.purged_event;
  }
  std::erase_if(other.places, [&](const auto& one) { return one.first == other.first_queue; });
  if (other.sent != Known::pending) other.sent = Known::no;
}

// --- deliveries ---

// Where it lies is where it lay, and nobody else ever does.
std::string ReferenceQueue::check_place(ReferenceMessage& m, uint32_t queue, uint64_t place,
                                        uint64_t event, TimeMs now) {
  if (place == kNoPlace) return {};
  const bool first = queue == m.first_queue;
  const bool fifo = rules(queue).fifo;
  const uint64_t known = m.place_in(queue);
  const Key there = order_.at(queue, place);
  // What a move task brought has no deduplication id.
  const bool has_id = first && fifo && !m.redriven;
  ReferenceDedup::Place* held = has_id ? dedup_.find(ids_.at(m.key), place) : nullptr;
  if (held != nullptr && there != 0 && there != m.key && known == kNoPlace && held->may_be(m.key)) {
    stand_in(m, there);
    m.places.emplace_back(queue, place);
  } else if (there != 0 && there != m.key && !messages_.at(there).in_a_hole) {
    return fmt::format("C6: keys {} and {} have one place", there, m.key);
  }
  if (held != nullptr && held->candidates.size() > 1) {
    order_.put(queue, m.group, place, m.key);
    // Who was answered with this place repeats it; of others nothing is known still.
    for (const auto& one : held->candidates) {
      ReferenceMessage& other = messages_.at(one.key);
      if (one.key != m.key && !one.answered) continue;
      dedup_.closed(ids_.at(one.key), one.key);
      if (one.key != m.key && other.place_in(queue) == kNoPlace) other.sent = Known::no;
    }
    held->candidates = {{m.key, m.sent_at, m.asked_event}};
  }
  if (m.place_in(queue) == place) return {};
  if (known != kNoPlace)
    return fmt::format("{}: key {} is in queue {} twice", first ? "C2" : "C9", m.key, queue);
  if (m.sent == Known::no)
    return fmt::format("{}: key {} was {} and is delivered", fifo ? "C7" : "C2", m.key,
                       fifo ? "refused or a duplicate" : "refused");
  learn_place(m, queue, place, m.group);
  if (!has_id) return {};
  const TimeMs by = std::min(now, m.sent_by);
  std::string wrong =
      dedup_.accepted(ids_.at(m.key), {m.key, m.sent_at, m.asked_event}, place, true, by, event);
  if (!wrong.empty()) return wrong;
  return order_.sent(queue, m.group, place, m.key, m.asked_event, event);
}

std::string ReferenceQueue::check_times(ReferenceMessage& m, const Delivered& d, TimeMs now) const {
  if (d.sent_at == kNever) return {};
  if (d.sent_at < m.sent_at || d.sent_at > std::min(now, m.sent_by))
    return fmt::format("C2: key {} was sent at {} to {} and says {}", d.key, m.sent_at.value,
                       m.sent_by.value, d.sent_at.value);
  const int64_t retention = rules(d.queue).retention_ms;
  if (d.asked_at - d.sent_at >= retention)
    return fmt::format("C1: key {} is delivered {} ms after it was over", d.key,
                       d.asked_at - d.sent_at - retention);
  m.sent_at = m.sent_by = d.sent_at;
  return {};
}

std::string ReferenceQueue::check_count(const ReferenceMessage& m, const Delivered& d) const {
  if (d.receive_count == 0) return fmt::format("C8: key {} has receive count 0", d.key);
  if (std::find(m.counts_seen.begin(), m.counts_seen.end(), d.receive_count) != m.counts_seen.end())
    return fmt::format("C8: receive count {} of key {} came twice", d.receive_count, d.key);
  const ReferenceRules& queue = rules(d.queue);
  if (queue.dead_letters && d.receive_count > queue.receives_max)
    return fmt::format("C9: key {} is received {} times from queue {}, which allows {}", d.key,
                       d.receive_count, d.queue, queue.receives_max);
  const auto found = queues_.find(m.queue);
  const uint64_t lost = found == queues_.end() ? 0 : found->second.receives_lost - m.lost_then;
  if (answers_in_order_ && d.queue == m.queue && d.receive_count > m.count_high + 1 + lost)
    return fmt::format("C8: the receive count of key {} jumped from {} to {}", d.key, m.count_high,
                       d.receive_count);
  return {};
}

// What stands before it in its group must be gone, or be given with it.
std::string ReferenceQueue::check_order(const ReferenceMessage& m, const Delivered& d, TimeMs now) {
  if (m.group == 0 || d.place == kNoPlace || !rules(d.queue).fifo) return {};
  std::string wrong;
  order_.before(
      d.queue, m.group, d.place,
      [&](Key key, uint64_t place) { return is_gone(messages_.at(key), d.queue, place); },
      [&](Key key) {
        if (std::find(d.before.begin(), d.before.end(), key) != d.before.end() ||
            !must_be_in(messages_.at(key), d.queue, now))
          return false;
        wrong = fmt::format("C6: key {} is delivered, key {} of its group stands before it (at {})",
                            d.key, key, now.value);
        return true;
      });
  return wrong;
}

std::string ReferenceQueue::check_in_flight(uint32_t queue, Key key, TimeMs now) {
  Queue& q = queue_at(queue);
  if (q.rules.in_flight_max >= UINT32_MAX) return {};
  std::erase_if(q.leased, [&](Key one) {
    const ReferenceMessage& m = messages_.at(one);
    return one == key || m.queue != queue || now >= m.hidden_until || !must_exist(m, now);
  });
  const ReferenceMessage& m = messages_.at(key);
  if (now < m.hidden_until && must_exist(m, now)) q.leased.push_back(key);
  if (q.leased.size() <= q.rules.in_flight_max) return {};
  return fmt::format("a18: {} messages of queue {} are leased, {} may be", q.leased.size(), queue,
                     q.rules.in_flight_max);
}

std::string ReferenceQueue::delivered(const Delivered& d, TimeMs now) {
  const auto it = messages_.find(d.key);
  if (it == messages_.end()) return fmt::format("C2: key {} was never sent", d.key);
  ReferenceMessage& m = it->second;
  if (m.body_hash != d.body_hash) return fmt::format("C2: the body of key {} changed", d.key);
  if (may_be_two(m)) {
    m.queue = d.queue;
    m.hidden_until = {};
    return {};
  }
  if (m.sent == Known::no && d.place == kNoPlace)
    return fmt::format("C2: key {} was refused and is delivered", d.key);
  if (m.acked == Known::yes && d.asked_event > m.acked_event)
    return fmt::format("C3: key {} was acknowledged and is delivered", d.key);
  if (m.purged == Known::yes && d.asked_event > m.purged_event)
    return fmt::format("C10: key {} was purged and is delivered", d.key);
  const bool old_place = m.place_in(d.queue) != d.place && order_.at(d.queue, d.place) == d.key;
  if (m.redriven && d.asked_event < m.moved_event && (d.sent_at < m.sent_at || old_place))
    return {};  // of an earlier life
  if (may_be_redriven(m, now) && is_redriven(m, d))
    if (std::string wrong = redriven(m, d, now); !wrong.empty()) return wrong;
  // Answers of two shards may overtake each other: an older lease's news changes nothing.
  const bool newest = d.receive_count >= m.receive_count;
  const bool late = m.queue != d.queue && leads_to(d.queue, m.queue);
  if (late && (newest || d.asked_event > m.moved_event))
    return fmt::format("C9: key {} is a dead letter in queue {} and is delivered from queue {}",
                       d.key, m.queue, d.queue);
  if (newest && now < m.hidden_until && m.extends_pending == 0)
    return fmt::format("{}: key {} is delivered {} ms early (at {}, receive count {})",
                       m.receive_count > 0 ? "C4" : "C11", d.key, m.hidden_until - now, now.value,
                       d.receive_count);
  if (std::string wrong = check_count(m, d); !wrong.empty()) return wrong;
  if (m.queue != d.queue && !late)
    if (std::string wrong = arrived(m, d, now); !wrong.empty()) return wrong;
  if (std::string wrong = check_place(m, d.queue, d.place, d.event, now); !wrong.empty())
    return wrong;
  if (!late)
    if (std::string wrong = check_times(m, d, now); !wrong.empty()) return wrong;
  m.counts_seen.push_back(d.receive_count);
  m.delivered = true;
  m.ack_lost = false;
  // What was asked for after a doubtful ack or purge, and comes, was not taken by it.
  if (m.acked == Known::unknown && m.acks_pending == 0 && d.asked_event > m.acked_event)
    m.acked = Known::no;
  if (m.purged == Known::unknown && purges_.empty() && d.asked_event > purge_ended_event_)
    m.purged = Known::no;
  if (late || !newest) return {};
  if (std::string wrong = check_order(m, d, now); !wrong.empty()) return wrong;
  m.receive_count = m.count_high = d.receive_count;
  m.lease_event = d.event;
  m.seen_event = std::max(m.seen_event, d.asked_event);
  // One that was given up while this answer was coming may have leased it anew already.
  m.lost_then = std::min(d.lost_when_asked, queue_at(d.queue).receives_lost);
  // An extension that is open may be by a receipt from before a power loss, which forgot the lease
  // it is of; then it is as good as this one's, and may have come after it.
  const bool extended = d.receive_count == m.extended_ahead || m.extends_pending > 0;
  m.hidden_until = d.asked_at + (extended ? 0 : d.visibility_ms);
  return check_in_flight(d.queue, d.key, now);
}

// --- acks and extensions ---

ReferenceMessage* ReferenceQueue::heir(const ReferenceMessage& m, uint32_t queue, uint64_t place) {
  const Key there = order_.at(queue, place);
  return m.in_a_hole && there != 0 && there != m.key ? &messages_.at(there) : nullptr;
}

void ReferenceQueue::ack_asked(Key key, uint32_t queue, uint64_t place) {
  ReferenceMessage& m = messages_.at(key);
  if (ReferenceMessage* other = heir(m, queue, place)) {
    ++other->acks_pending;
    if (other->acked == Known::no) other->acked = Known::unknown;
  }
  if (!is_at(m, queue, place)) return;
  ++m.acks_pending;
  if (m.acked == Known::no) m.acked = Known::pending;
}

std::string ReferenceQueue::ack_answered(const Acked& a, TimeMs now) {
  ReferenceMessage& m = messages_.at(a.key);
  if (ReferenceMessage* other = heir(m, a.queue, a.place); other && other->acks_pending > 0) {
    --other->acks_pending;
    if (other->acked == Known::pending && other->acks_pending == 0) other->acked = Known::unknown;
    if (other->acked == Known::unknown) other->acked_event = a.event;
  }
  if (!is_at(m, a.queue, a.place) || m.acks_pending == 0) return {};
  --m.acks_pending;
  if (a.ok) {
    const bool in_doubt = m.ack_lost || may_be_elsewhere(m, now);
    if (m.acked == Known::yes) return {};
    m.acked_event = a.event;
    m.acked = in_doubt ? Known::unknown : Known::yes;
    return {};
  }
  if (m.acked == Known::pending && m.acks_pending == 0) m.acked = Known::no;
  // A refusal is right only if a later lease exists. None can while the newest one we know of
  // lasts. A receipt of a lease that a power loss took counts on standard queues only.
  const bool newest =
      rules(a.queue).fifo ? a.generation == m.receive_count : a.generation >= m.receive_count;
  if (a.expired && newest && a.asked_event > m.lease_event && now < m.hidden_until)
    return fmt::format("a7: the newest receipt of key {} (count {}) was refused as expired", a.key,
                       a.generation);
  return {};
}

void ReferenceQueue::extend_asked(Key key, uint32_t queue, uint64_t place, uint32_t visibility_ms,
                                  TimeMs now) {
  ReferenceMessage& m = messages_.at(key);
  if (ReferenceMessage* other = heir(m, queue, place)) extend_begins(*other, visibility_ms, now);
  if (is_at(m, queue, place)) extend_begins(m, visibility_ms, now);
}

void ReferenceQueue::extend_begins(ReferenceMessage& m, uint32_t visibility_ms, TimeMs now) {
  m.extends_overlap = m.extends_overlap || m.extends_pending > 0;
  ++m.extends_pending;
  m.hidden_until = std::min(m.hidden_until, now + visibility_ms);
}

std::string ReferenceQueue::extend_answered(const Extended& e, TimeMs now) {
  ReferenceMessage& m = messages_.at(e.key);
  // Of the other one's lease it may have been or not: the lower bound stays where it is.
  if (ReferenceMessage* other = heir(m, e.queue, e.place); other && other->extends_pending > 0) {
    if (e.ok) other->lease_event = e.event;
    if (--other->extends_pending == 0) other->extends_overlap = false;
  }
  if (!is_at(m, e.queue, e.place) || m.extends_pending == 0) return {};
  --m.extends_pending;
  if (e.ok && rules(e.queue).fifo) m.lease_event = e.event;  // a late one begins a lease anew
  if (e.ok && e.generation > m.receive_count) m.extended_ahead = e.generation;
  if (e.gone && must_be_in(m, e.queue, now))
    return fmt::format("C1: key {} is called gone, and was neither acknowledged nor purged", e.key);
  if (m.extends_pending > 0) return {};
  // Of two that were open at once either may have come last: the lower bound stays where it is.
  const bool in_doubt = std::exchange(m.extends_overlap, false);
  if (e.ok && !in_doubt && e.generation == m.receive_count)
    m.hidden_until = e.asked_at + e.visibility_ms;
  return {};
}

// --- purges ---

uint64_t ReferenceQueue::purge_asked(uint32_t queue, TimeMs now) {
  Purge& purge = purges_[next_purge_];
  purge.queue = queue;
  for (auto& [key, m] : messages_) {
    if (!may_exist(m) || m.purged != Known::no) continue;
    if (m.queue != queue) {
      if ((may_have_moved(m, now) && leads_to(m.queue, queue)) || may_be_redriven(m, now))
        m.purged = Known::unknown;
      continue;
    }
    // A send still open when the purge starts may fall on either side of it, and so may what leaves
    // by itself.
    m.purged = m.sent == Known::yes && !may_be_elsewhere(m, now) ? Known::pending : Known::unknown;
    if (m.purged == Known::pending) purge.taken.push_back(key);
  }
  dedup_.purge_asked(queue, now);
  return next_purge_++;
}

void ReferenceQueue::purge_answered(uint64_t number, bool ok, uint64_t event, TimeMs now) {
  const auto found = purges_.find(number);
  if (found == purges_.end()) return;
  const uint32_t queue = found->second.queue;
  for (Key key : found->second.taken) {
    ReferenceMessage& m = messages_.at(key);
    if (m.purged != Known::pending) continue;
    const bool taken = ok && m.queue == queue && !may_be_elsewhere(m, now);
    m.purged = taken ? Known::yes : Known::unknown;
    m.purged_event = event;
  }
  doubt_moved_into(queue, now);
  purges_.erase(found);
  purge_ended_event_ = event;
  bool more = false;
  for (const auto& [other, purge] : purges_)
    more = more || purge.queue == queue;
  if (!more) dedup_.purge_ended(queue, now);
}

// Of a purge under way: what came in meanwhile as a dead letter, or by a move task, may have come
// before it.
void ReferenceQueue::doubt_moved_into(uint32_t queue, TimeMs now) {
  for (auto& [key, m] : messages_) {
    if (m.purged != Known::no || !may_exist(m)) continue;
    const bool here = m.queue == queue && m.moved_event != 0;
    const bool perhaps = leads_to(m.queue, queue) && may_have_moved(m, now);
    if ((m.first_queue != queue && (here || perhaps)) || (m.redriven && here) ||
        may_be_redriven(m, now))
      m.purged = Known::unknown;
  }
}

void ReferenceQueue::deleted(uint32_t queue, uint64_t event, TimeMs now) {
  for (auto& [key, m] : messages_) {
    if (m.queue != queue || !may_exist(m)) continue;
    m.purged = may_have_moved(m, now) ? Known::unknown : Known::yes;
    m.purged_event = event;
  }
}

// --- crashes ---

// a6: a lost lease ends early; the count may be low, never high.
void ReferenceQueue::forget_leases(ReferenceMessage& m) {
  m.hidden_until = std::min(m.hidden_until, m.sent_at + m.delay_ms);
  m.counts_seen.clear();
  m.receive_count = 0;
}

void ReferenceQueue::crashed(bool power, bool answers_hold, uint64_t event, TimeMs now) {
  for (const auto& [number, purge] : purges_)
    doubt_moved_into(purge.queue, now);
  for (auto& [key, m] : messages_) {
    if (m.sent == Known::pending) {
      m.sent = Known::unknown;
      m.sent_by = std::min(m.sent_by, now);
    }
    if (m.acked == Known::pending) m.acked = Known::unknown;
    if (m.acked == Known::unknown) m.acked_event = event;
    if (m.purged == Known::pending) m.purged = Known::unknown;
    m.extends_pending = 0;
    m.extends_overlap = false;
    m.extended_ahead = 0;
    m.acks_pending = 0;
    // A FIFO queue shows no lease before it is as durable as what it sends.
    if (power && !(answers_hold && rules(m.queue).fifo && !m.in_a_hole)) forget_leases(m);
    if (power && !answers_hold) {
      if (m.sent == Known::yes) m.sent = Known::unknown;
      if (m.acked == Known::yes) m.acked = Known::unknown;
      if (m.purged == Known::yes) m.purged = Known::unknown;
      m.delivered = false;
    }
  }
  for (auto& [number, q] : queues_) {
    q.receives_lost += q.receives_open + (q.pushes_open > 0 ? 1000 : 0);
    q.receives_open = q.pushes_open = q.move_starts_open = 0;
    dedup_.purge_ended(number, now);
  }
  if (power && !answers_hold) dedup_.doubt();
  if (!purges_.empty()) purge_ended_event_ = event;
  purges_.clear();
}

void ReferenceQueue::syncs_lied(uint64_t since) {
  for (auto& [key, m] : messages_) {
    m.in_a_hole = true;
    forget_leases(m);
    if (m.acked == Known::yes && m.acked_event > since) {
      m.acked = Known::unknown;
      m.ack_lost = true;
    }
    if (m.purged == Known::yes && m.purged_event > since) m.purged = Known::unknown;
  }
  dedup_.doubt();
  order_.doubt();
}

std::string ReferenceQueue::check_drained(TimeMs now) const {
  for (const auto& [key, m] : messages_)
    if (must_exist(m, now))
      return fmt::format("C1: key {} of queue {} is lost (sent {}, delivered {})", key, m.queue,
                         m.sent == Known::yes, m.delivered);
  return {};
}

// It is over in whatever queue it is, and swept.
bool ReferenceQueue::surely_over(const ReferenceMessage& m, TimeMs now) const {
  constexpr int64_t kSweptMs = 62'000;
  if (m.sent_by == kNever) return false;
  int64_t longest = rules(m.queue).retention_ms;
  for (auto next = rules(m.queue).dead_letters; next; next = rules(*next).dead_letters) {
    if (rules(*next).fifo) return false;  // from the move on
    longest = std::max(longest, rules(*next).retention_ms);
  }
  return now - m.sent_by > longest + kSweptMs;
}

ReferenceQueue::Bounds ReferenceQueue::bounds(uint32_t queue, TimeMs now) const {
  Bounds b;
  const bool moving = std::any_of(queues_.begin(), queues_.end(), [](const auto& one) {
    return one.second.moves_until == UINT64_MAX;
  });
  for (const auto& [key, m] : messages_) {
    if (may_be_two(m)) {
      b.at_most += any_moves_ || queue == m.first_queue || leads_to(m.first_queue, queue);
      continue;
    }
    if (!may_exist(m) || surely_over(m, now)) continue;
    if (m.queue == queue) {
      ++b.at_most;
      if (must_be_in(m, queue, now)) ++b.at_least;
    } else if ((may_have_moved(m, now) && leads_to(m.queue, queue)) || may_be_redriven(m, now) ||
               (moving && m.redriven)) {  // the source may not have let go of it yet
      ++b.at_most;
    }
  }
  return b;
}

}  // namespace millrace::sim

#include "tests/sim/reference_queue.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace millrace::sim {

bool ReferenceQueue::may_exist(const ReferenceMessage& m) {
  return m.sent != Known::no && m.acked != Known::yes && m.purged != Known::yes;
}

bool ReferenceQueue::must_exist(const ReferenceMessage& m) const {
  if (m.in_a_hole) return false;
  const bool sent = m.sent == Known::yes || (m.delivered && delivered_is_durable_);
  return sent && m.acked == Known::no && m.purged == Known::no;
}

const ReferenceMessage* ReferenceQueue::find(Key key) const {
  const auto it = messages_.find(key);
  return it == messages_.end() ? nullptr : &it->second;
}

void ReferenceQueue::send_asked(Key key, uint32_t queue, uint64_t body_hash, uint32_t delay_ms,
                                TimeMs now) {
  ReferenceMessage& m = messages_[key];
  m = {.key = key, .queue = queue, .body_hash = body_hash, .sent_at = now, .delay_ms = delay_ms};
  m.sent = Known::pending;
  // A purge under way reaches each shard at its own time: this send may fall on either side of it.
  if (purge_pending_.contains(queue)) m.purged = Known::unknown;
  m.hidden_until = now + delay_ms;
}

void ReferenceQueue::send_answered(Key key, bool ok) {
  messages_.at(key).sent = ok ? Known::yes : Known::no;
}

std::string ReferenceQueue::delivered(const Delivered& d, TimeMs now) {
  const auto it = messages_.find(d.key);
  if (it == messages_.end()) return fmt::format("C2: key {} was never sent", d.key);
  ReferenceMessage& m = it->second;
  if (m.queue != d.queue)
    return fmt::format("C2: key {} of queue {} came from queue {}", d.key, m.queue, d.queue);
  if (m.body_hash != d.body_hash) return fmt::format("C2: the body of key {} changed", d.key);
  if (m.sent == Known::no) return fmt::format("C2: key {} was refused and is delivered", d.key);
  if (m.acked == Known::yes && d.asked_event > m.acked_event)
    return fmt::format("C3: key {} was acknowledged and is delivered", d.key);
  if (m.purged == Known::yes && d.asked_event > m.purged_event)
    return fmt::format("C10: key {} was purged and is delivered", d.key);
  if (d.receive_count == 0) return fmt::format("C8: key {} has receive count 0", d.key);
  if (std::find(m.counts_seen.begin(), m.counts_seen.end(), d.receive_count) != m.counts_seen.end())
    return fmt::format("C8: receive count {} of key {} came twice", d.receive_count, d.key);
  if (answers_in_order_ && d.receive_count > m.receive_count + 1 + lost_receives_)
    return fmt::format("C8: the receive count of key {} jumped from {} to {}", d.key,
                       m.receive_count, d.receive_count);
  // Answers of two shards may overtake each other: an older lease's news changes nothing.
  const bool newest = d.receive_count >= m.receive_count;
  if (newest && now < m.hidden_until && m.extends_pending == 0)
    return fmt::format("{}: key {} is delivered {} ms early (at {}, receive count {})",
                       m.receive_count > 0 ? "C4" : "C11", d.key, m.hidden_until - now, now.value,
                       d.receive_count);
  m.counts_seen.push_back(d.receive_count);
  m.delivered = true;
  m.ack_lost = false;
  if (!newest) return {};
  m.receive_count = d.receive_count;
  // An extension that is open may be by a receipt from before a power loss, which forgot the lease
  // it is of; then it is as good as this one's, and may have come after it.
  const bool extended = d.receive_count == m.extended_ahead || m.extends_pending > 0;
  m.hidden_until = d.asked_at + (extended ? 0 : d.visibility_ms);
  return {};
}

void ReferenceQueue::ack_asked(Key key) {
  ReferenceMessage& m = messages_.at(key);
  ++m.acks_pending;
  if (m.acked == Known::no) m.acked = Known::pending;
}

std::string ReferenceQueue::ack_answered(Key key, bool ok, bool expired_answer, uint32_t generation,
                                         uint64_t event, TimeMs now) {
  ReferenceMessage& m = messages_.at(key);
  --m.acks_pending;
  if (ok) {
    if (m.acked != Known::yes) m.acked_event = event;
    m.acked = m.ack_lost ? Known::unknown : Known::yes;
    return {};
  }
  if (m.acked == Known::pending && m.acks_pending == 0) m.acked = Known::no;
  // A refusal is right only if a later lease exists. None can while the newest one we know of
  // lasts.
  if (expired_answer && generation >= m.receive_count && now < m.hidden_until)
    return fmt::format("a7: the newest receipt of key {} (count {}) was refused as expired", key,
                       generation);
  return {};
}

void ReferenceQueue::extend_asked(Key key, uint32_t visibility_ms, TimeMs now) {
  ReferenceMessage& m = messages_.at(key);
  m.extends_overlap = m.extends_overlap || m.extends_pending > 0;
  ++m.extends_pending;
  m.hidden_until = std::min(m.hidden_until, now + visibility_ms);
}

void ReferenceQueue::extend_answered(Key key, bool ok, uint32_t generation, uint32_t visibility_ms,
                                     TimeMs asked_at) {
  ReferenceMessage& m = messages_.at(key);
  --m.extends_pending;
  if (ok && generation > m.receive_count) m.extended_ahead = generation;
  if (m.extends_pending > 0) return;
  // Of two that were open at once either may have come last: the lower bound stays where it is.
  const bool in_doubt = std::exchange(m.extends_overlap, false);
  if (ok && !in_doubt && generation == m.receive_count) m.hidden_until = asked_at + visibility_ms;
}

void ReferenceQueue::purge_asked(uint32_t queue) {
  std::vector<Key>& taken = purge_pending_[queue];
  for (auto& [key, m] : messages_) {
    if (m.queue != queue || !may_exist(m) || m.purged != Known::no) continue;
    // A send still open when the purge starts may fall on either side of it.
    m.purged = m.sent == Known::yes ? Known::pending : Known::unknown;
    if (m.purged == Known::pending) taken.push_back(key);
  }
}

void ReferenceQueue::purge_answered(uint32_t queue, bool ok, uint64_t event) {
  for (Key key : purge_pending_[queue]) {
    ReferenceMessage& m = messages_.at(key);
    if (m.purged != Known::pending) continue;
    m.purged = ok ? Known::yes : Known::unknown;
    m.purged_event = event;
  }
  purge_pending_.erase(queue);
}

void ReferenceQueue::crashed(bool power, bool answers_hold) {
  for (auto& [key, m] : messages_) {
    if (m.sent == Known::pending) m.sent = Known::unknown;
    if (m.acked == Known::pending) m.acked = Known::unknown;
    if (m.purged == Known::pending) m.purged = Known::unknown;
    m.extends_pending = 0;
    m.extends_overlap = false;
    m.extended_ahead = 0;
    m.acks_pending = 0;
    if (power) {
      // a6: a lost lease ends early; the count may be low, never high.
      m.hidden_until = std::min(m.hidden_until, m.sent_at + m.delay_ms);
      m.counts_seen.clear();
      m.receive_count = 0;
      lost_receives_ += 1000;
      if (!answers_hold) {
        if (m.sent == Known::yes) m.sent = Known::unknown;
        if (m.acked == Known::yes) m.acked = Known::unknown;
        if (m.purged == Known::yes) m.purged = Known::unknown;
        m.delivered = false;
      }
    }
  }
  purge_pending_.clear();
}

void ReferenceQueue::syncs_lied(uint64_t since) {
  for (auto& [key, m] : messages_) {
    m.in_a_hole = true;
    if (m.acked == Known::yes && m.acked_event > since) {
      m.acked = Known::unknown;
      m.ack_lost = true;
    }
    if (m.purged == Known::yes && m.purged_event > since) m.purged = Known::unknown;
  }
}

std::string ReferenceQueue::check_drained() const {
  for (const auto& [key, m] : messages_)
    if (must_exist(m))
      return fmt::format("C1: key {} of queue {} is lost (sent {}, delivered {})", key, m.queue,
                         m.sent == Known::yes, m.delivered);
  return {};
}

ReferenceQueue::Bounds ReferenceQueue::bounds(uint32_t queue) const {
  Bounds b;
  for (const auto& [key, m] : messages_) {
    if (m.queue != queue) continue;
    if (must_exist(m)) ++b.at_least;
    if (may_exist(m)) ++b.at_most;
  }
  return b;
}

}  // namespace millrace::sim

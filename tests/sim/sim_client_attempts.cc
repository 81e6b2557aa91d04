// Receives with attempt ids: what a simulated client asks for again, and what
// it must get.
#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/sim_client.h"

namespace millrace::sim {

// A third of the receives of FIFO queues have one, most of them one that was
// used before.
void SimClient::use_attempt(Open& request) {
  if (!is_fifo(request.queue) || !attempts_prng_.chance(1, 3)) return;
  SimAttempt& attempt = world_.attempts[request.queue].pick(attempts_prng_);
  attempt.open = true;
  request.attempt = attempt.id;
  TimeMs until = attempt.given.empty() || attempt.in_doubt() ? TimeMs{} : kNever;
  for (const SimAttempt::Given& one : attempt.given) {
    const bool lasts =
        world_.reference->lease_untouched(one.key, request.queue, one.lease_event, world_.now);
    until = std::min(until, lasts ? world_.reference->lasts_until(one.key) : TimeMs{});
    world_.reference->repeat_asked(one.key, one.receive_count, request.visibility_ms, world_.now);
  }
  request.must_repeat_until = until;
}

// A delivery that gives a lease of the attempt again.
bool SimClient::take_repeated(const Open& request, const Delivery& d, Key key, uint64_t body_hash) {
  if (request.attempt.empty()) return false;
  const SimAttempt* attempt = world_.attempts[request.queue].find(request.attempt);
  if (attempt == nullptr || attempt->find(key, d.receipt) == nullptr) return false;
  world_.violation(world_.reference->repeated({.key = key,
                                               .queue = request.queue,
                                               .body_hash = body_hash,
                                               .receive_count = d.receive_count,
                                               .visibility_ms = request.visibility_ms,
                                               .asked_at = request.asked_at,
                                               .asked_event = request.asked_event,
                                               .sent_at = d.sent_at,
                                               .event = world_.event},
                                              attempt->in_doubt()));
  return true;
}

// Before its deliveries are looked at one by one.
void SimClient::attempt_answered(const Open& request, const ReceiveReply& reply) {
  SimAttempt* attempt = world_.attempts[request.queue].find(request.attempt);
  if (attempt == nullptr || reply.error != Errc::ok) return;
  size_t again = 0;
  bool untouched = true;
  for (const Delivery& d : reply.deliveries)
    if (const auto content = read_delivered(d))
      again += attempt->find(content->key, d.receipt) != nullptr;
  for (const SimAttempt::Given& one : attempt->given)
    untouched = untouched && world_.reference->lease_untouched(one.key, request.queue,
                                                               one.lease_event, world_.now);
  if (again > 0) count(true, "receive", "", "repeated");
  if (again > 0 && (again != reply.deliveries.size() || again != attempt->given.size()))
    world_.violation(fmt::format("a repeated receive brought {} messages, {} of the {} from before",
                                 reply.deliveries.size(), again, attempt->given.size()));
  if (again == 0 && untouched && world_.now < request.must_repeat_until)
    world_.violation(fmt::format("a repeated receive brought {} other messages than before",
                                 reply.deliveries.size()));
}

// How long what it brings is hidden at least.
uint32_t SimClient::shortest_visibility(const Open& request) {
  const SimAttempt* attempt = world_.attempts[request.queue].find(request.attempt);
  return attempt == nullptr ? request.visibility_ms
                            : std::min(request.visibility_ms, attempt->doubtful_visibility_ms);
}

// It may have been given something, and may be still.
void SimClient::attempt_lost(const Open& request) {
  SimAttempt* attempt = world_.attempts[request.queue].find(request.attempt);
  if (attempt == nullptr) return;
  attempt->open = false;
  attempt->doubtful_visibility_ms =
      std::min(attempt->doubtful_visibility_ms, request.visibility_ms);
}

}  // namespace millrace::sim

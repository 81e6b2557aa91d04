// What a simulated client is told, and what the reference says to it.
#include <algorithm>

#include <fmt/format.h>

#include "tests/sim/sim_client.h"

namespace millrace::sim {

void SimClient::on_send(uint64_t token, const SendReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("an answer to a send that was not open");
  if (it->second.kind == Kind::publish) return publish_answered(it, reply);
  const bool ok = reply.error == Errc::ok;
  world_.fenced = world_.fenced || reply.error == Errc::shard_fenced;
  // io_error: a segment's file could not be made. Nothing was in it, so nothing
  // is fenced.
  if (!ok && reply.error != Errc::disk_full && reply.error != Errc::io_error &&
      reply.error != Errc::shard_fenced &&
      !(reply.error == Errc::queue_not_found && may_be_missing(it->second.queue)))
    world_.violation(fmt::format("a good send was refused: {}", errc_name(reply.error)));
  const bool fifo = is_fifo(it->second.queue);
  if (!ok) count(fifo, "send", "", errc_name(reply.error).data());
  for (size_t i = 0; i < it->second.entries.size(); ++i) {
    const Held& h = it->second.entries[i];
    // A fence leaves the outcome open: the record may be on the disk.
    if (reply.error == Errc::shard_fenced) continue;
    if (ok && !reply.shard_slots.empty() && reply.shard_slots.size() <= i)
      return world_.violation("another number of places than messages");
    const uint64_t first = uint64_t{raw(reply.shard)} << 48 | raw(reply.first_slot);
    const uint64_t place = reply.shard_slots.empty() ? first + i : reply.shard_slots[i];
    world_.violation(world_.reference->send_answered(h.key, ok, place, world_.event, world_.now));
    if (ok) {
      const bool repeats = world_.reference->find(h.key)->sent == Known::no;
      count(fifo, "send", "", repeats ? "repeated" : "ok");
    }
  }
  close(it);
}

void SimClient::on_receive(uint64_t token, const ReceiveReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("an answer to a receive that was not open");
  const Open& request = it->second;
  const bool subscription = request.kind == Kind::subscribe;
  const bool fifo = is_fifo(request.queue);
  count(fifo, subscription ? "push" : "receive", "",
        reply.error != Errc::ok    ? errc_name(reply.error).data()
        : reply.deliveries.empty() ? "empty"
                                   : "ok");
  const bool limited = world_.reference->rules(request.queue).in_flight_max < UINT32_MAX;
  if (reply.error != Errc::ok && reply.error != Errc::shard_fenced &&
      reply.error != Errc::disk_full && reply.error != Errc::io_error &&
      !(reply.error == Errc::over_limit && limited && !fifo) &&
      !(reply.error == Errc::queue_not_found && may_be_missing(request.queue)))
    world_.violation(fmt::format("a receive was refused: {}", errc_name(reply.error)));
  if (!request.attempt.empty()) attempt_answered(request, reply);
  std::vector<Key> before;
  std::vector<SimAttempt::Given> given;
  for (const Delivery& d : reply.deliveries) {
    const auto content = read_delivered(d);
    if (!content) return world_.violation("C2: a body too short for any key");
    given.push_back({content->key, d.receipt.shard_slot, d.receive_count, world_.event});
    if (take_repeated(request, d, content->key, content->hash)) {
      held_.push_back({content->key, request.queue, d.receipt});
      continue;
    }
    // A push's lease may have been given long before it got here (on another
    // shard), so for it both bounds are loose: not before the subscription was
    // made.
    const uint64_t moves = world_.reference->moves_seen();
    const uint64_t redrives = world_.reference->redrives_seen();
    world_.violation(
        world_.reference->delivered({.key = content->key,
                                     .queue = request.queue,
                                     .body_hash = content->hash,
                                     .receive_count = d.receive_count,
                                     .visibility_ms = shortest_visibility(request),
                                     .asked_at = request.asked_at,
                                     .asked_event = subscription ? 0 : request.asked_event,
                                     .lost_when_asked = request.lost_when_asked,
                                     .place = d.receipt.shard_slot,
                                     .sent_at = d.sent_at,
                                     .moved = content->moved ? &*content->moved : nullptr,
                                     .before = before,
                                     .event = world_.event},
                                    world_.now));
    if (world_.reference->moves_seen() > moves) count(fifo, "move", "", "ok");
    if (world_.reference->redrives_seen() > redrives) count(fifo, "redrive", "", "ok");
    if (d.receive_count != d.receipt.generation)
      world_.violation("a receipt's generation is not the receive count");
    before.push_back(content->key);
    ++received_;
    (request.drain ? drained_ : held_).push_back({content->key, request.queue, d.receipt});
  }
  if (subscription && reply.error == Errc::ok) return;
  // An error may come after the lease was written.
  if (subscription || reply.error != Errc::ok)
    forget_receive(request);
  else
    world_.reference->receive_answered(request.queue);
  SimAttempt* attempt = world_.attempts[request.queue].find(request.attempt);
  if (attempt != nullptr && reply.error == Errc::ok) {
    attempt->open = false;
    attempt->given = std::move(given);
  }
  close(it);
}

void SimClient::on_results(uint64_t token, const ResultsReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("results of a request that was not open");
  const Open request = std::move(it->second);
  open_.erase(it);
  const bool is_ack = request.kind == Kind::ack;
  if (reply.error == Errc::ok && reply.results.size() != request.entries.size())
    return world_.violation("another number of results than entries");
  for (size_t i = 0; i < request.entries.size(); ++i) {
    const Errc result = reply.error != Errc::ok ? reply.error : reply.results[i];
    const Held& h = request.entries[i];
    count(is_fifo(h.queue), is_ack ? "ack" : "extend", h.state, errc_name(result).data());
    if (h.key == 0) {
      if (result == Errc::ok) world_.violation("a forged receipt was accepted");
      continue;
    }
    if (result == Errc::queue_not_found && !may_be_missing(h.queue))
      world_.violation("a queue that is there was not found");
    if (result == Errc::receipt_invalid) world_.violation("a true receipt was called invalid");
    world_.fenced = world_.fenced || result == Errc::shard_fenced;
    if (result == Errc::shard_fenced) continue;
    if (is_ack) {
      world_.violation(world_.reference->ack_answered({.key = h.key,
                                                       .queue = h.queue,
                                                       .place = h.receipt.shard_slot,
                                                       .ok = result == Errc::ok,
                                                       .expired = result == Errc::receipt_expired,
                                                       .generation = h.receipt.generation,
                                                       .asked_event = request.asked_event,
                                                       .event = world_.event},
                                                      world_.now));
    } else {
      world_.violation(world_.reference->extend_answered({.key = h.key,
                                                          .queue = h.queue,
                                                          .place = h.receipt.shard_slot,
                                                          .ok = result == Errc::ok,
                                                          .gone = result == Errc::message_gone,
                                                          .generation = h.receipt.generation,
                                                          .visibility_ms = request.visibility_ms,
                                                          .asked_at = request.asked_at,
                                                          .event = world_.event},
                                                         world_.now));
    }
  }
}

void SimClient::on_peek(uint64_t token, const PeekReply& reply) {
  ++world_.event;
  if (open_.erase(token) == 0) return world_.violation("a peek that was not open");
  count(false, "peek", "", errc_name(reply.error).data());
}

void SimClient::on_queues(uint64_t token, const QueueReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("queues of a request that was not open");
  const Open request = it->second;
  open_.erase(it);
  const bool ok = reply.error == Errc::ok;
  ReferenceQueue& reference = *world_.reference;
  const char* answer = errc_name(reply.error).data();
  SimQueue& queue = world_.queues[request.index];
  switch (request.kind) {
    case Kind::purge:
      reference.purge_answered(request.purge, ok, world_.event, world_.now);
      return count(is_fifo(request.queue), "purge", "", answer);
    case Kind::remove:
      // A fenced log leaves it open; the next start shows it.
      if (reply.error == Errc::shard_fenced) return count(false, "delete", "", answer);
      reference.purge_answered(request.purge, ok, world_.event, world_.now);
      if (ok) reference.deleted(request.queue, world_.event, world_.now);
      queue.state = ok ? SimQueue::State::gone : SimQueue::State::there;
      return count(false, "delete", "", answer);
    case Kind::create:
      if (ok && reply.queues.size() == 1) {
        world_.born(queue, reply.queues[0].id);
      } else if (reply.error != Errc::shard_fenced) {
        queue.state = SimQueue::State::gone;
      }
      return count(false, "create", "", answer);
    case Kind::set:
      return queue_set(request, reply.error);
    default:
      return count(false, "stats", "", answer);
  }
}

void SimClient::on_stats(uint64_t token, const BrokerStatsReply& reply) {
  ++world_.event;
  if (open_.erase(token) == 0) world_.violation("stats of a request that was not open");
  count(false, "broker stats", "", errc_name(reply.error).data());
}

}  // namespace millrace::sim

// Move tasks: what a simulated client asks of dead-letter queues, and what it
// is told.
#include <fmt/format.h>

#include "tests/sim/sim_client.h"

namespace millrace::sim {

void SimClient::ask_about_moves(ShardPort& port) {
  const size_t index = moves_prng_.below(world_.queues.size());
  const SimQueue& source = world_.queues[index];
  if (source.state != SimQueue::State::there) return;
  const uint64_t dice = moves_prng_.below(10);
  if (dice < 5) return start_move(port, index);
  const bool cancels = dice < 6;
  const uint64_t token = open({.kind = cancels ? Kind::cancel_move : Kind::list_moves,
                               .index = index,
                               .queue = source.number});
  if (cancels)
    port.cancel_move(source.id, 0, {this, token});
  else
    port.list_moves(source.id, 1, {this, token});
}

void SimClient::start_moves(ShardPort& port) {
  for (size_t i = 0; i < world_.queues.size(); ++i)
    if (world_.queues[i].state == SimQueue::State::there && world_.queues[i].shape.has_sources())
      start_move(port, i);
}

void SimClient::start_move(ShardPort& port, size_t source) {
  const SimQueue& from = world_.queues[source];
  MoveRequest request{.source = from.id};
  if (moves_prng_.chance(1, 2))
    request.destination = world_.queues[moves_prng_.below(world_.queues.size())].id;
  if (moves_prng_.chance(1, 3)) request.rate = static_cast<uint32_t>(moves_prng_.between(1, 500));
  const uint64_t token = open({.kind = Kind::start_move, .index = source, .queue = from.number});
  if (from.shape.has_sources()) world_.reference->move_asked(from.number, world_.event);
  port.start_move(request, {this, token});
}

void SimClient::on_moves(uint64_t token, const MoveReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("an answer about moves that were not asked about");
  const Open request = it->second;
  open_.erase(it);
  ReferenceQueue& reference = *world_.reference;
  const bool target = world_.queues[request.index].shape.has_sources();
  const bool fifo = is_fifo(request.queue);
  world_.fenced = world_.fenced || reply.error == Errc::shard_fenced;
  const bool failing = reply.error == Errc::shard_fenced || reply.error == Errc::io_error ||
                       reply.error == Errc::disk_full;
  switch (request.kind) {
    case Kind::start_move:
      count(fifo, "start move", "", errc_name(reply.error).data());
      if (target) reference.move_answered(request.queue, reply.error == Errc::ok, world_.event);
      if (!target && reply.error == Errc::ok)
        world_.violation("a move was started from what is nobody's dead-letter queue");
      return;
    case Kind::cancel_move:
      count(fifo, "cancel move", "", errc_name(reply.error).data());
      if (reply.error == Errc::ok)
        reference.move_ended(request.queue, request.asked_event, world_.event);
      return;
    default:
      count(fifo, "list moves", "", errc_name(reply.error).data());
      if (reply.error != Errc::ok) {
        if (!failing) world_.violation("move tasks of a queue that is there cannot be listed");
        return;
      }
      if (reply.tasks.empty() || reply.tasks[0].ended_at_ms != 0)
        reference.move_ended(request.queue, request.asked_event, world_.event);
  }
}

}  // namespace millrace::sim

// Changes of queues' settings: what a simulated client asks, and what it is
// told.
#include <string>

#include <fmt/format.h>

#include "tests/sim/sim_client.h"

namespace millrace::sim {
namespace {

std::string seconds(uint32_t ms) {
  return fmt::format("{}.{:03}", ms / 1000, ms % 1000);
}

}  // namespace

// One change of a queue at a time; and none while the answer to a request is
// open that takes a setting from the queue, so that what it took is known.
void SimClient::set_queue(ShardPort& port) {
  const size_t index = settings_prng_.below(world_.queues.size());
  SimQueue& queue = world_.queues[index];
  if (queue.state != SimQueue::State::there || queue.being_set || queue.defaults_open > 0) return;
  const auto visibility_ms = static_cast<uint32_t>(settings_prng_.between(20, 800));
  const auto delay_ms =
      settings_prng_.chance(1, 2) ? 0 : static_cast<uint32_t>(settings_prng_.between(20, 400));
  QueueSettings settings;
  queue.being_set = true;
  queue.visibility_ms.asked(visibility_ms);
  settings.attributes.push_back({"VisibilityTimeout", seconds(visibility_ms)});
  queue.delay_ms.asked(delay_ms);
  settings.attributes.push_back({"DelaySeconds", seconds(delay_ms)});
  const uint64_t token = open({.kind = Kind::set, .index = index, .queue = queue.number});
  port.set_queue(queue.id, settings, {this, token});
}

void SimClient::queue_set(const Open& request, Errc error) {
  SimQueue& queue = world_.queues[request.index];
  count(is_fifo(request.queue), "set", "", errc_name(error).data());
  if (queue.number != request.queue) return;  // deleted since, and made anew
  // A fenced log leaves it open; the next start shows it.
  if (error == Errc::shard_fenced) {
    world_.fenced = true;
    return;
  }
  queue.being_set = false;
  queue.visibility_ms.answered(error == Errc::ok);
  queue.delay_ms.answered(error == Errc::ok);
  if (error != Errc::ok && error != Errc::disk_full && error != Errc::io_error &&
      !(error == Errc::queue_not_found && may_be_missing(request.queue)))
    world_.violation(fmt::format("a good change of a queue was refused: {}", errc_name(error)));
}

}  // namespace millrace::sim

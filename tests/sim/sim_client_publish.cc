// What a simulated client publishes: messages that come into several standard queues with one
// record. Each copy is a message of its own to the reference, with its key in the stamp.
#include "tests/sim/sim_client.h"

namespace millrace::sim {

void SimClient::publish(ShardPort& port) {
  std::vector<size_t> there;
  for (size_t i = 0; i < world_.queues.size(); ++i)
    if (!world_.queues[i].fifo() && world_.queues[i].state == SimQueue::State::there)
      there.push_back(i);
  if (there.empty()) return;
  const auto count = static_cast<uint32_t>(publish_prng_.between(1, 4));
  std::vector<std::byte> run;
  std::vector<Key> roots;
  std::vector<uint32_t> stamps;
  for (uint32_t i = 0; i < count; ++i) {
    roots.push_back(world_.next_key++);
    append_published(run, roots.back());
    stamps.push_back(kPublishedStampAt);
  }
  Open request{.kind = Kind::publish, .index = there[0], .queue = world_.queues[there[0]].number};
  // A copy has one stamp for all of its messages, so a key of its own means a copy for each. Now
  // and then a queue gets the same message by two subscriptions.
  std::vector<PublishCopy> copies;
  uint32_t subscription = 0;
  for (uint32_t i = 0; i < count; ++i) {
    bool wanted = false;
    for (const size_t index : there) {
      // The last one takes what nobody else did.
      if ((wanted || index != there.back()) && publish_prng_.chance(1, 3)) continue;
      wanted = true;
      const SimQueue& queue = world_.queues[index];
      for (int twice = publish_prng_.chance(1, 10) ? 2 : 1; twice > 0; --twice) {
        const Key key = world_.next_key++;
        copies.push_back(
            {queue.id, SubscriptionId{++subscription}, uint64_t{1} << i, stamp_of(key)});
        world_.reference->send_asked({.key = key,
                                      .queue = queue.number,
                                      .body_hash = published_hash(roots[i], key),
                                      .delay_ms = queue.delay_ms.lowest(),
                                      .group = 0,
                                      .id = {},
                                      .event = world_.event + 1},
                                     world_.now);
        request.entries.push_back({.key = key, .queue = queue.number});
        request.published_to.push_back(index);
      }
    }
  }
  const uint64_t token = open(std::move(request));
  port.publish({.topic = TopicId{1'000'000},
                .count = count,
                .messages = run,
                .stamps = stamps,
                .copies = copies},
               {this, token});
}

void SimClient::publish_answered(std::map<uint64_t, Open>::iterator request,
                                 const SendReply& reply) {
  const bool ok = reply.error == Errc::ok;
  world_.fenced = world_.fenced || reply.error == Errc::shard_fenced;
  bool missing = false;
  for (const Held& h : request->second.entries)
    missing = missing || may_be_missing(h.queue);
  if (!ok && reply.error != Errc::disk_full && reply.error != Errc::io_error &&
      reply.error != Errc::shard_fenced && !(reply.error == Errc::queue_not_found && missing))
    world_.violation("a good publish was refused: " + std::string(errc_name(reply.error)));
  count(false, "publish", "", ok ? "ok" : errc_name(reply.error).data());
  // A fence leaves the outcome open: the record may be on the disk.
  if (reply.error != Errc::shard_fenced)
    for (const Held& h : request->second.entries)
      world_.violation(
          world_.reference->send_answered(h.key, ok, kNoPlace, world_.event, world_.now));
  close(request);
}

}  // namespace millrace::sim

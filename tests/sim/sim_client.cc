#include "tests/sim/sim_client.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/queue_attributes.h"

namespace millrace::sim {
namespace {

constexpr uint32_t kHeldMax = 400;
constexpr size_t kRecentMax = 40;
constexpr uint64_t kGroups = 8;

}  // namespace

uint64_t SimClient::open(Open request) {
  request.asked_at = world_.now;
  request.asked_event = ++world_.event;
  if (request.kind == Kind::receive || request.kind == Kind::subscribe)
    request.lost_when_asked = world_.reference->receives_lost(request.queue);
  if (request.defaults) ++world_.queues[request.index].defaults_open;
  open_.emplace(next_token_, std::move(request));
  return next_token_++;
}

std::map<uint64_t, SimClient::Open>::iterator SimClient::close(
    std::map<uint64_t, Open>::iterator request) {
  if (request->second.defaults) --world_.queues[request->second.index].defaults_open;
  return open_.erase(request);
}

void SimClient::count(bool fifo, const char* op, const char* state, const char* outcome) {
  const std::string name = fmt::format("{}{}", fifo ? "fifo " : "", op);
  ++world_.coverage[fmt::format("{} {}", name, outcome)];
  ++world_.crossing[fmt::format("{} {}{}{}", name, state, *state == 0 ? "" : ": ", outcome)]
                   [static_cast<size_t>(world_.start) * 2 + world_.sync_fails];
}

bool SimClient::may_be_missing(uint32_t queue) const {
  for (const SimQueue& one : world_.queues)
    if (one.number == queue) return one.state != SimQueue::State::there;
  return true;  // an earlier one of the same name
}

// As far as the reference knows.
const char* SimClient::state_of(const Held& held) const {
  const ReferenceMessage* m = world_.reference->find(held.key);
  if (m == nullptr) return "forged";
  if (m->queue != held.queue) return "moved";
  if (m->acked == Known::yes) return "acked";
  if (m->purged == Known::yes) return "purged";
  if (held.receipt.generation < m->receive_count) return "leased again";
  return world_.now < m->hidden_until ? "leased" : "lease over";
}

SimClient::Open SimClient::about_some_queue(Kind kind) {
  const size_t index = prng_.below(world_.queues.size());
  return {.kind = kind, .index = index, .queue = world_.queues[index].number};
}

void SimClient::step(ShardPort& port) {
  if (world_.kind != ShapeKind::standard) {
    for (size_t i = 0; i < world_.queues.size(); ++i)
      if (world_.queues[i].state == SimQueue::State::gone) return create_queue(port, i);
    if (prng_.chance(1, 250)) return remove_queue(port);
  }
  if (world_.kind != ShapeKind::standard && settings_prng_.chance(1, 40)) return set_queue(port);
  if (world_.moves && moves_prng_.chance(1, 25)) return ask_about_moves(port);
  const uint64_t dice = prng_.below(100);
  if (dice < 34) return send(port);
  if (dice < 62) return receive(port);
  if (dice < 82) return ack_some(port);
  if (dice < 90) return extend_some(port);
  if (dice < 92) return subscribe(port);
  if (dice < 94) return end_subscription(port);
  if (dice < 96) return cancel_one(port);
  if (dice < 97) return forge(port);
  if (dice < 98) {
    Open request = about_some_queue(Kind::peek);
    const QueueId queue = world_.queues[request.index].id;
    const auto states = static_cast<uint8_t>(prng_.between(1, 7));
    port.peek({.queue = queue, .messages_max = 10, .states = states},
              {this, open(std::move(request))});
    return;
  }
  if (dice < 99) {
    port.queue_stats({}, {this, open({.kind = Kind::stats})});
    return;
  }
  if (prng_.chance(1, 10)) purge(port);
}

// Now and then one that repeats another: the same id or content.
SimMessage SimClient::make_message(SimQueue& queue, Key key) {
  SimMessage message{.key = key, .root = key, .plain = world_.kind == ShapeKind::standard};
  if (!queue.fifo()) {
    const bool own = message.plain || prng_.chance(1, 2);
    message.delay_ms = !own                 ? kDelayQueueDefault
                       : prng_.chance(1, 8) ? static_cast<uint32_t>(prng_.between(1, 400))
                                            : 0;
    // Tenants, of which one sends most; some messages are of none.
    if (!message.plain) message.group = key % 5 == 0 ? 0 : key % 3 == 0 ? 1 + key % kGroups : 1;
    return message;
  }
  message.delay_ms = kDelayQueueDefault;
  message.group = prng_.between(1, kGroups);
  message.with_id = !queue.shape.attributes.content_deduplication || prng_.chance(1, 4);
  if (!queue.recent.empty() && prng_.chance(1, 3)) {
    const SimQueue::Repeatable& one = queue.recent[prng_.below(queue.recent.size())];
    message.root = one.root;
    message.with_id = one.with_id;
    if (!prng_.chance(1, 10)) message.group = one.group;
    return message;
  }
  if (queue.recent.size() == kRecentMax) queue.recent.erase(queue.recent.begin());
  queue.recent.push_back({message.root, message.group, message.with_id});
  return message;
}

void SimClient::send(ShardPort& port) {
  Open request = about_some_queue(Kind::send);
  SimQueue& queue = world_.queues[request.index];
  const uint64_t count = prng_.chance(1, 20) ? prng_.between(1, 60) : prng_.between(1, 5);
  const bool by_group = queue.shape.attributes.deduplication_scope == DeduplicationScope::group;
  std::vector<std::byte> run;
  for (uint64_t i = 0; i < count; ++i) {
    const SimMessage message = make_message(queue, world_.next_key++);
    append_message(run, message);
    const uint32_t delay =
        message.delay_ms == kDelayQueueDefault ? queue.delay_ms.lowest() : message.delay_ms;
    request.defaults = request.defaults || message.delay_ms == kDelayQueueDefault;
    const DedupId id{queue.number, by_group ? message.group : 0, message.root, !message.with_id};
    world_.reference->send_asked({.key = message.key,
                                  .queue = queue.number,
                                  .body_hash = content_hash(message),
                                  .delay_ms = delay,
                                  .group = queue.fifo() ? message.group : 0,
                                  .id = id,
                                  .event = world_.event + 1},
                                 world_.now);
    request.entries.push_back({.key = message.key, .queue = queue.number});
  }
  const uint64_t token = open(std::move(request));
  port.send({.queue = queue.id, .count = static_cast<uint32_t>(count), .messages = run},
            {this, token});
}

void SimClient::receive(ShardPort& port) {
  if (held_.size() > kHeldMax) return ack_some(port);
  Open request = about_some_queue(Kind::receive);
  const SimQueue& queue = world_.queues[request.index];
  const bool own = prng_.chance(1, 4);
  request.defaults = own;
  request.visibility_ms =
      own ? queue.visibility_ms.lowest() : static_cast<uint32_t>(prng_.between(0, 600));
  ReceiveRequest asked{
      .queue = queue.id,
      .messages_max = static_cast<uint32_t>(prng_.between(1, prng_.chance(1, 10) ? 100 : 8)),
      .visibility_ms = own ? kDelayQueueDefault : request.visibility_ms,
      .wait_ms = prng_.chance(1, 3) ? static_cast<uint32_t>(prng_.between(1, 300)) : 0};
  world_.reference->receive_asked(request.queue);
  use_attempt(request);
  const std::string attempt = request.attempt;
  asked.attempt_id = attempt;
  const uint64_t token = open(std::move(request));
  port.receive(asked, {this, token});
}

void SimClient::forget_receive(const Open& request) {
  if (request.kind == Kind::receive) world_.reference->receive_lost(request.queue);
  if (!request.attempt.empty()) attempt_lost(request);
  if (request.kind == Kind::subscribe) world_.reference->pushes(request.queue, false);
}

void SimClient::subscribe(ShardPort& port) {
  Open request = about_some_queue(Kind::subscribe);
  request.visibility_ms = static_cast<uint32_t>(prng_.between(50, 600));
  const uint32_t number = request.queue;
  const ReceiveRequest asked{.queue = world_.queues[request.index].id,
                             .messages_max = static_cast<uint32_t>(prng_.between(1, 8)),
                             .visibility_ms = request.visibility_ms};
  const uint64_t token = open(std::move(request));
  world_.reference->pushes(number, true);
  const Status made = port.subscribe(asked, prng_.between(1, 40), {this, token});
  if (made) return;
  world_.reference->pushes(number, false);
  open_.erase(token);
  if (made.error() == Errc::queue_not_found && may_be_missing(number)) return;
  if (made.error() != Errc::shard_fenced)
    return world_.violation("a subscription to a queue that exists was refused");
  world_.fenced = true;
}

void SimClient::end_subscription(ShardPort& port) {
  for (auto it = open_.begin(); it != open_.end(); ++it) {
    if (it->second.kind != Kind::subscribe) continue;
    if (prng_.chance(1, 2)) {
      if (!port.add_credit({this, it->first}, prng_.between(1, 40)) &&
          !may_be_missing(it->second.queue))
        world_.violation("credit for a live subscription was refused");
    } else {
      if (!port.unsubscribe({this, it->first}) && !may_be_missing(it->second.queue))
        world_.violation("unsubscribe of a live subscription was refused");
      forget_receive(it->second);
      open_.erase(it);
    }
    return;
  }
}

void SimClient::cancel_one(ShardPort& port) {
  for (auto it = open_.begin(); it != open_.end(); ++it) {
    if (it->second.kind != Kind::receive) continue;
    port.cancel({this, it->first});
    count(is_fifo(it->second.queue), "receive", "", "canceled");
    forget_receive(it->second);
    close(it);
    return;
  }
}

void SimClient::ack(ShardPort& port, std::vector<Held> held, bool drain) {
  std::vector<Receipt> receipts;
  for (Held& h : held) {
    h.state = state_of(h);
    world_.reference->ack_asked(h.key, h.queue, h.receipt.shard_slot);
    receipts.push_back(h.receipt);
  }
  const uint64_t token = open({.kind = Kind::ack, .entries = std::move(held), .drain = drain});
  port.ack({receipts}, {this, token});
}

void SimClient::ack_some(ShardPort& port) {
  if (held_.empty()) return;
  std::vector<Held> some;
  for (uint64_t n = prng_.between(1, 12); n > 0 && !held_.empty(); --n) {
    const size_t i = prng_.below(held_.size());
    some.push_back(held_[i]);
    // Now and then a receipt is used again later: acknowledging twice must be
    // harmless.
    if (prng_.chance(1, 20)) continue;
    held_[i] = held_.back();
    held_.pop_back();
  }
  ack(port, std::move(some), false);
}

void SimClient::extend_some(ShardPort& port) {
  if (held_.empty()) return;
  Open request{
      .kind = Kind::extend,
      .visibility_ms = prng_.chance(1, 3) ? 0 : static_cast<uint32_t>(prng_.between(1, 900))};
  std::vector<ExtendEntry> entries;
  for (uint64_t n = prng_.between(1, 4); n > 0; --n) {
    Held h = held_[prng_.below(held_.size())];
    const auto same = [&](const Held& other) { return other.key == h.key; };
    if (std::any_of(request.entries.begin(), request.entries.end(), same)) continue;
    h.state = state_of(h);
    world_.reference->extend_asked(h.key, h.queue, h.receipt.shard_slot, request.visibility_ms,
                                   world_.now);
    entries.push_back({h.receipt, request.visibility_ms, 0});
    request.entries.push_back(h);
  }
  const uint64_t token = open(std::move(request));
  port.extend({entries}, {this, token});
}

void SimClient::forge(ShardPort& port) {
  if (held_.empty()) return;
  Held h = held_[prng_.below(held_.size())];
  auto* bytes = reinterpret_cast<unsigned char*>(&h.receipt);
  bytes[prng_.below(sizeof h.receipt)] ^= static_cast<unsigned char>(1u << prng_.below(8));
  h.key = 0;  // marks the entry as forged
  h.state = "forged";
  const Receipt receipts[] = {h.receipt};
  const uint64_t token = open({.kind = Kind::ack, .entries = {h}});
  port.ack({receipts}, {this, token});
}

void SimClient::purge(ShardPort& port) {
  Open request = about_some_queue(Kind::purge);
  const QueueId queue = world_.queues[request.index].id;
  request.purge = world_.reference->purge_asked(request.queue, world_.now);
  const uint64_t token = open(std::move(request));
  port.purge_queue(queue, {this, token});
}

void SimClient::remove_queue(ShardPort& port) {
  Open request = about_some_queue(Kind::remove);
  SimQueue& queue = world_.queues[request.index];
  if (!queue.shape.dies || queue.state != SimQueue::State::there) return;
  queue.state = SimQueue::State::going;
  request.purge = world_.reference->purge_asked(queue.number, world_.now);
  const QueueId id = queue.id;
  const uint64_t token = open(std::move(request));
  port.delete_queue(id, {this, token});
}

void SimClient::create_queue(ShardPort& port, size_t index) {
  SimQueue& queue = world_.queues[index];
  queue.state = SimQueue::State::coming;
  const uint64_t token = open({.kind = Kind::create, .index = index});
  port.create_queue(queue.shape.name, engine::settings_of(queue.shape.attributes), {this, token});
}

void SimClient::drain_step(ShardPort& port, size_t index) {
  if (!drained_.empty()) {
    std::vector<Held> batch;
    batch.swap(drained_);
    ack(port, std::move(batch), true);
  }
  const SimQueue& queue = world_.queues[index];
  if (queue.state == SimQueue::State::gone) return create_queue(port, index);
  world_.reference->receive_asked(queue.number);
  const uint64_t token = open({.kind = Kind::receive,
                               .index = index,
                               .queue = queue.number,
                               .visibility_ms = 60'000,
                               .drain = true});
  port.receive({.queue = queue.id, .messages_max = 100, .visibility_ms = 60'000, .wait_ms = 0},
               {this, token});
}

void SimClient::broker_gone() {
  for (auto it = open_.begin(); it != open_.end();)
    it = close(it);  // the reference hears of the crash
  drained_.clear();
}

void SimClient::on_send(uint64_t token, const SendReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("an answer to a send that was not open");
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
    const auto content = read_message(d.message);
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
  SimAttempt* attempt = world_.queues[request.index].attempts.find(request.attempt);
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

void World::born(SimQueue& queue, QueueId id) {
  ReferenceRules rules = rules_of(queue.shape, shards);
  rules.id = raw(id);
  if (queue.shape.dead_letters) rules.dead_letters = queues[*queue.shape.dead_letters].number;
  queue.id = id;
  queue.number = reference->add_queue(rules);
  queue.state = SimQueue::State::there;
  queue.recent.clear();
  queue.visibility_ms = UncertainSetting(queue.shape.attributes.visibility_timeout_ms);
  queue.delay_ms = UncertainSetting(queue.shape.attributes.delay_ms);
  queue.being_set = false;
  queue.attempts.restarted();
}

}  // namespace millrace::sim

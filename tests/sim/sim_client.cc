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
  for (const size_t index : request.published_to)
    ++world_.queues[index].defaults_open;
  open_.emplace(next_token_, std::move(request));
  return next_token_++;
}

std::map<uint64_t, SimClient::Open>::iterator SimClient::close(
    std::map<uint64_t, Open>::iterator request) {
  if (request->second.defaults) --world_.queues[request->second.index].defaults_open;
  for (const size_t index : request->second.published_to)
    --world_.queues[index].defaults_open;
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
  if (publish_prng_.chance(1, 12)) return publish(port);
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
}

}  // namespace millrace::sim

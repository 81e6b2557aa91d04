#include "tests/sim/sim_client.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/hash.h"

namespace millrace::sim {
namespace {

constexpr uint32_t kHeldMax = 400;

// The body of a key: the key, then bytes that follow from it. 8 to ~300 bytes, now and then 4 KiB.
std::vector<std::byte> body_of(Key key) {
  base::Prng prng(key * 2654435761u + 17);
  const uint64_t extra = prng.chance(1, 40) ? prng.below(4096) : prng.below(300);
  std::vector<std::byte> body(sizeof(Key) + extra);
  std::memcpy(body.data(), &key, sizeof key);
  for (size_t i = sizeof key; i < body.size(); ++i)
    body[i] = static_cast<std::byte>(prng.next() & 0xFF);
  return body;
}

void append_message(std::vector<std::byte>& run, Bytes body, uint32_t delay_ms) {
  const MessageHeader header{static_cast<uint32_t>(body.size()), 0, delay_ms, 0};
  const size_t at = run.size();
  run.resize(at + message_stride(header));
  std::memcpy(run.data() + at, &header, sizeof header);
  std::memcpy(run.data() + at + sizeof header, body.data(), body.size());
}

Bytes body_in(Bytes message) {
  MessageHeader header;
  std::memcpy(&header, message.data(), sizeof header);
  return message.subspan(sizeof header + header.properties_bytes, header.body_bytes);
}

}  // namespace

uint64_t SimClient::open(Open request) {
  request.asked_at = world_.now;
  request.asked_event = ++world_.event;
  open_.emplace(next_token_, std::move(request));
  return next_token_++;
}

void SimClient::step(ShardPort& port) {
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
    port.peek({.queue = world_.queues[prng_.below(world_.queues.size())],
               .messages_max = 10,
               .states = static_cast<uint8_t>(prng_.between(1, 7))},
              {this, open({.kind = Kind::peek})});
    return;
  }
  if (dice < 99) {
    port.queue_stats({}, {this, open({.kind = Kind::stats})});
    return;
  }
  if (prng_.chance(1, 10)) purge(port);
}

void SimClient::send(ShardPort& port) {
  Open request{.kind = Kind::send,
               .queue = static_cast<uint32_t>(prng_.below(world_.queues.size()))};
  const uint64_t count = prng_.chance(1, 20) ? prng_.between(1, 60) : prng_.between(1, 5);
  std::vector<std::byte> run;
  for (uint64_t i = 0; i < count; ++i) {
    const Key key = world_.next_key++;
    const std::vector<std::byte> body = body_of(key);
    const uint32_t delay = prng_.chance(1, 8) ? static_cast<uint32_t>(prng_.between(1, 400)) : 0;
    append_message(run, body, delay);
    world_.reference->send_asked(key, request.queue, base::hash64(body, 0), delay, world_.now);
    request.entries.push_back({.key = key, .queue = request.queue});
  }
  const QueueId queue = world_.queues[request.queue];
  const uint64_t token = open(std::move(request));
  port.send({.queue = queue, .count = static_cast<uint32_t>(count), .messages = run},
            {this, token});
}

void SimClient::receive(ShardPort& port) {
  if (held_.size() > kHeldMax) return ack_some(port);
  Open request{.kind = Kind::receive,
               .queue = static_cast<uint32_t>(prng_.below(world_.queues.size()))};
  const bool own = prng_.chance(1, 4);
  request.visibility_ms =
      own ? world_.default_visibility_ms : static_cast<uint32_t>(prng_.between(0, 600));
  const ReceiveRequest asked{
      .queue = world_.queues[request.queue],
      .messages_max = static_cast<uint32_t>(prng_.between(1, prng_.chance(1, 10) ? 100 : 8)),
      .visibility_ms = own ? kDelayQueueDefault : request.visibility_ms,
      .wait_ms = prng_.chance(1, 3) ? static_cast<uint32_t>(prng_.between(1, 300)) : 0};
  const uint64_t token = open(std::move(request));
  port.receive(asked, {this, token});
}

void SimClient::subscribe(ShardPort& port) {
  Open request{.kind = Kind::subscribe,
               .queue = static_cast<uint32_t>(prng_.below(world_.queues.size())),
               .visibility_ms = static_cast<uint32_t>(prng_.between(50, 600))};
  const ReceiveRequest asked{.queue = world_.queues[request.queue],
                             .messages_max = static_cast<uint32_t>(prng_.between(1, 8)),
                             .visibility_ms = request.visibility_ms};
  const uint64_t token = open(std::move(request));
  const Status made = port.subscribe(asked, prng_.between(1, 40), {this, token});
  if (made) return;
  open_.erase(token);
  if (made.error() != Errc::shard_fenced)
    return world_.violation("a subscription to a queue that exists was refused");
  world_.fenced = true;
}

void SimClient::end_subscription(ShardPort& port) {
  for (auto it = open_.begin(); it != open_.end(); ++it) {
    if (it->second.kind != Kind::subscribe) continue;
    if (prng_.chance(1, 2)) {
      if (!port.add_credit({this, it->first}, prng_.between(1, 40)))
        world_.violation("credit for a live subscription was refused");
    } else {
      if (!port.unsubscribe({this, it->first}))
        world_.violation("unsubscribe of a live subscription was refused");
      world_.reference->receive_lost();
      open_.erase(it);
    }
    return;
  }
}

void SimClient::cancel_one(ShardPort& port) {
  for (auto it = open_.begin(); it != open_.end(); ++it) {
    if (it->second.kind != Kind::receive) continue;
    port.cancel({this, it->first});
    count("receive", "canceled");
    world_.reference->receive_lost();
    open_.erase(it);
    return;
  }
}

void SimClient::ack(ShardPort& port, std::vector<Held> held, bool drain) {
  std::vector<Receipt> receipts;
  for (const Held& h : held) {
    world_.reference->ack_asked(h.key);
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
    // Now and then a receipt is used again later: acknowledging twice must be harmless.
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
    const Held& h = held_[prng_.below(held_.size())];
    const auto same = [&](const Held& other) { return other.key == h.key; };
    if (std::any_of(request.entries.begin(), request.entries.end(), same)) continue;
    world_.reference->extend_asked(h.key, request.visibility_ms, world_.now);
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
  const Receipt receipts[] = {h.receipt};
  const uint64_t token = open({.kind = Kind::ack, .entries = {h}});
  port.ack({receipts}, {this, token});
}

void SimClient::purge(ShardPort& port) {
  const auto queue = static_cast<uint32_t>(prng_.below(world_.queues.size()));
  world_.reference->purge_asked(queue);
  const uint64_t token = open({.kind = Kind::purge, .queue = queue});
  port.purge_queue(world_.queues[queue], {this, token});
}

void SimClient::drain_step(ShardPort& port, uint32_t queue) {
  if (!drained_.empty()) {
    std::vector<Held> batch;
    batch.swap(drained_);
    ack(port, std::move(batch), true);
  }
  const uint64_t token =
      open({.kind = Kind::receive, .queue = queue, .visibility_ms = 60'000, .drain = true});
  port.receive(
      {.queue = world_.queues[queue], .messages_max = 100, .visibility_ms = 60'000, .wait_ms = 0},
      {this, token});
}

void SimClient::broker_gone() {
  for (const auto& [token, request] : open_)
    if (request.kind == Kind::receive || request.kind == Kind::subscribe)
      world_.reference->receive_lost();
  open_.clear();
  drained_.clear();
}

void SimClient::on_send(uint64_t token, const SendReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("an answer to a send that was not open");
  const bool ok = reply.error == Errc::ok;
  world_.fenced = world_.fenced || reply.error == Errc::shard_fenced;
  // io_error: a segment's file could not be made. Nothing was in it, so nothing is fenced.
  if (!ok && reply.error != Errc::disk_full && reply.error != Errc::io_error &&
      reply.error != Errc::shard_fenced)
    world_.violation(fmt::format("a good send was refused: {}", errc_name(reply.error)));
  count("send", errc_name(reply.error).data());
  for (const Held& h : it->second.entries) {
    // A fence leaves the outcome open: the record may be on the disk.
    if (reply.error == Errc::shard_fenced) continue;
    world_.reference->send_answered(h.key, ok);
  }
  open_.erase(it);
}

void SimClient::on_receive(uint64_t token, const ReceiveReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("an answer to a receive that was not open");
  const Open& request = it->second;
  const bool subscription = request.kind == Kind::subscribe;
  count(subscription ? "push" : "receive", reply.error != Errc::ok
                                               ? errc_name(reply.error).data()
                                               : (reply.deliveries.empty() ? "empty" : "ok"));
  for (const Delivery& d : reply.deliveries) {
    const Bytes body = body_in(d.message);
    Key key = 0;
    if (body.size() < sizeof key) return world_.violation("C2: a body too short for any key");
    std::memcpy(&key, body.data(), sizeof key);
    // A push's lease may have been given long before it got here (on another shard), so for it both
    // bounds are loose: not before the subscription was made.
    const TimeMs asked_at = request.asked_at;
    const uint64_t asked_event = subscription ? 0 : request.asked_event;
    world_.violation(world_.reference->delivered({.key = key,
                                                  .queue = request.queue,
                                                  .body_hash = base::hash64(body, 0),
                                                  .receive_count = d.receive_count,
                                                  .visibility_ms = request.visibility_ms,
                                                  .asked_at = asked_at,
                                                  .asked_event = asked_event},
                                                 world_.now));
    if (d.receive_count != d.receipt.generation)
      world_.violation("a receipt's generation is not the receive count");
    ++received_;
    (request.drain ? drained_ : held_).push_back({key, request.queue, d.receipt});
  }
  if (!subscription || reply.error != Errc::ok) open_.erase(it);
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
    count(is_ack ? "ack" : "extend", errc_name(result).data());
    if (h.key == 0) {
      if (result == Errc::ok) world_.violation("a forged receipt was accepted");
      continue;
    }
    if (result == Errc::receipt_invalid) world_.violation("a true receipt was called invalid");
    world_.fenced = world_.fenced || result == Errc::shard_fenced;
    if (result == Errc::shard_fenced) continue;
    if (is_ack) {
      world_.violation(
          world_.reference->ack_answered(h.key, result == Errc::ok, result == Errc::receipt_expired,
                                         h.receipt.generation, world_.event, world_.now));
    } else {
      world_.reference->extend_answered(h.key, result == Errc::ok, h.receipt.generation,
                                        request.visibility_ms, request.asked_at);
    }
  }
}

void SimClient::on_peek(uint64_t token, const PeekReply& reply) {
  ++world_.event;
  if (open_.erase(token) == 0) return world_.violation("a peek that was not open");
  count("peek", errc_name(reply.error).data());
}

void SimClient::on_queues(uint64_t token, const QueueReply& reply) {
  ++world_.event;
  const auto it = open_.find(token);
  if (it == open_.end()) return world_.violation("queues of a request that was not open");
  if (it->second.kind == Kind::purge) {
    world_.reference->purge_answered(it->second.queue, reply.error == Errc::ok, world_.event);
    count("purge", errc_name(reply.error).data());
  } else {
    count("stats", errc_name(reply.error).data());
  }
  open_.erase(it);
}

void SimClient::on_stats(uint64_t token, const BrokerStatsReply& reply) {
  ++world_.event;
  if (open_.erase(token) == 0) world_.violation("stats of a request that was not open");
  count("broker stats", errc_name(reply.error).data());
}

}  // namespace millrace::sim

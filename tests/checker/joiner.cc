#include "tests/checker/joiner.h"

#include <fmt/format.h>

namespace millrace::checker {
namespace {

enum Needs : unsigned { kQueue = 1, kKey = 2, kHash = 4, kReceipt = 8, kVisibility = 16 };

// What the invocation of an operation must carry.
constexpr std::array<unsigned, kOps> kNeeded = {
    kQueue | kKey | kHash,                   // send
    kQueue,                                  // recv
    kQueue | kKey | kReceipt,                // del
    kQueue | kKey | kReceipt | kVisibility,  // vis
    kQueue,                                  // purge
    kQueue,                                  // mkq
    kQueue,                                  // rmq
    0,
    0,
    0,
    0,
    0,
    0,       // kill power boot eio full clock
    kQueue,  // drain
    kQueue,  // move
};

uint32_t or_absent(const std::optional<int64_t>& ms) {
  return ms ? static_cast<uint32_t>(*ms) : kAbsentMs;
}

}  // namespace

Joiner::Client& Joiner::client(std::string_view name) {
  if (last_client_ != nullptr && last_name_ == name) return *last_client_;
  auto known = clients_.find(name);
  if (known == clients_.end()) known = clients_.emplace(name, Client{}).first;
  last_client_ = &known->second;
  last_name_ = name;
  return *last_client_;
}

std::string Joiner::take(const Event& event, uint32_t line) {
  Client& its_client = client(event.client);
  return event.phase == Phase::inv ? begin(its_client, event, line) : end(its_client, event, line);
}

std::string Joiner::begin(Client& its_client, const Event& event, uint32_t line) {
  if (its_client.any && event.number <= its_client.last_number) {
    return fmt::format("i {} of client {} does not rise", event.number, event.client);
  }
  const unsigned needed = kNeeded[static_cast<size_t>(event.op)];
  for (const auto& [need, there, field] :
       {std::tuple{kQueue, !event.queue.empty(), "q"}, std::tuple{kKey, !event.key.empty(), "k"},
        std::tuple{kHash, !event.hash.empty(), "h"},
        std::tuple{kReceipt, !event.receipt.empty(), "r"},
        std::tuple{kVisibility, event.visibility_ms.has_value(), "v"}}) {
    if ((needed & need) != 0 && !there) {
      return fmt::format("{} without field \"{}\"", name(event.op), field);
    }
  }
  its_client.any = true;
  its_client.last_number = event.number;
  Pending& pending = its_client.in_flight[event.number];
  pending.t = event.t;
  pending.line = line;
  pending.op = event.op;
  pending.hash = short_fingerprint(event.hash);
  pending.receipt = short_fingerprint(event.receipt);
  pending.visibility_ms = or_absent(event.visibility_ms);
  pending.delay_ms = or_absent(event.delay_ms);
  pending.durability = event.durability;
  pending.log_bytes = event.n.value_or(0);
  if (!event.group.empty()) pending.group = short_fingerprint(event.group);
  if (!event.dedup.empty()) pending.dedup = short_fingerprint(event.dedup);
  if (event.op == Op::mkq && event.dead_letters.empty() != !event.receives_max)
    return "fields \"dq\" and \"mr\" go together";
  if (event.op == Op::mkq && event.receives_max) {
    if (*event.receives_max == 0 || *event.receives_max > 1000) return "bad value of field \"mr\"";
    const QueueId target = history_.queue_id(event.dead_letters);
    QueueFacts& facts = history_.facts(history_.queue_id(event.queue));
    facts.dead_letters = target;
    facts.receives_max = static_cast<uint32_t>(*event.receives_max);
  }
  if (event.op == Op::move && !event.dead_letters.empty())
    pending.target = history_.queue_id(event.dead_letters);
  if ((needed & kKey) != 0) pending.key = history_.key_id(event.key);
  if ((needed & kQueue) != 0) pending.queue = history_.queue_id(event.queue);
  ++history_.counts()[static_cast<size_t>(event.op)].begun;
  return {};
}

std::string Joiner::end(Client& its_client, const Event& event, uint32_t line) {
  const auto found = its_client.in_flight.find(event.number);
  const bool again = found == its_client.in_flight.end();
  if (again && !(its_client.answering && its_client.answered_number == event.number)) {
    return fmt::format("end of operation {} of client {}, which is not in flight", event.number,
                       event.client);
  }
  const Pending begun = again ? its_client.answered : found->second;
  if (begun.op != event.op) {
    return fmt::format("operation {} of client {} began as {}", event.number, event.client,
                       name(begun.op));
  }
  if (event.t < begun.t) return "the end is earlier than its invocation";
  if (!again) {
    its_client.in_flight.erase(found);
    OpCounts& counts = history_.counts()[static_cast<size_t>(event.op)];
    ++(event.phase == Phase::ok     ? counts.ok
       : event.phase == Phase::fail ? counts.fail
                                    : counts.info);
  }
  if (event.op == Op::recv) {
    its_client.answering = event.phase == Phase::ok;
    its_client.answered_number = event.number;
    its_client.answered = begun;
    if (again && event.phase == Phase::fail) return "a receive that brought messages cannot fail";
    return end_receive(begun, event, line);
  }
  return close(begun, &event, line);
}

std::string Joiner::end_receive(const Pending& begun, const Event& event, uint32_t line) {
  if (!event.queue.empty() && history_.queue_id(event.queue) != begun.queue) {
    return "the answer names another queue than its receive";
  }
  if (event.phase == Phase::info) history_.add_hidden_receive(begun.queue, begun.t);
  if (event.phase != Phase::ok) return {};
  if (event.key.empty()) {
    history_.facts(begun.queue).empties.push_back({begun.t, event.t, {file_, begun.line, line}});
    return {};
  }
  if (event.hash.empty()) return "a received message without field \"h\"";
  if (event.n && (*event.n == 0 || *event.n > UINT32_MAX)) return "a receive count out of range";
  Receive receive;
  receive.inv = begun.t;
  receive.done = event.t;
  receive.hash = short_fingerprint(event.hash);
  receive.receipt = short_fingerprint(event.receipt);
  receive.message_id = fingerprint(event.message_id);
  receive.key = history_.key_id(event.key);
  receive.n = static_cast<uint32_t>(event.n.value_or(0));
  receive.sequence = event.sequence.value_or(0);
  receive.visibility_ms =
      event.visibility_ms ? or_absent(event.visibility_ms) : begun.visibility_ms;
  receive.lines = {file_, begun.line, line};
  receive.queue = begun.queue;
  history_.add(receive);
  return {};
}

// Everything but receives. `event` is null when the file ended first.
std::string Joiner::close(const Pending& begun, const Event* event, uint32_t line) {
  const Outcome outcome = event == nullptr || event->phase == Phase::info ? Outcome::unknown
                          : event->phase == Phase::ok                     ? Outcome::ok
                                                                          : Outcome::fail;
  const Nanoseconds done = outcome == Outcome::unknown ? kForever : event->t;
  const Lines lines{file_, begun.line, line};
  const bool names_level = event != nullptr && event->durability.level != Durability::Level::absent;
  const Durability durability = names_level ? event->durability : begun.durability;
  switch (begun.op) {
    case Op::send: {
      Send send;
      send.inv = begun.t;
      send.done = done;
      send.hash = begun.hash;
      send.key = begun.key;
      send.queue = begun.queue;
      send.delay_ms = begun.delay_ms;
      send.group = begun.group;
      send.dedup = begun.dedup;
      send.durability = durability;
      send.lines = lines;
      send.outcome = outcome;
      if (event != nullptr) {
        if (!event->key.empty() && !history_.key_is(begun.key, event->key)) {
          return "the answer names another key than its send";
        }
        send.message_id = fingerprint(event->message_id);
        send.sequence = event->sequence.value_or(0);
        if (event->place) {
          send.shard = event->place->shard;
          send.position = event->place->position;
        }
        send.waited = event->t - begun.t;
      }
      if (!history_.add(send)) return "this key was sent before; a retry takes a new key";
      return {};
    }
    case Op::del:
    case Op::vis: {
      LeaseCall call;
      call.inv = begun.t;
      call.done = done;
      call.receipt = begun.receipt;
      call.key = begun.key;
      call.visibility_ms = begun.visibility_ms;
      call.durability = durability;
      call.lines = lines;
      call.outcome = outcome;
      call.is_delete = begun.op == Op::del;
      history_.add(call);
      return {};
    }
    case Op::purge:
    case Op::rmq:
      history_.facts(begun.queue).removals.push_back({begun.t, done, durability, lines, outcome});
      return {};
    case Op::mkq:
      if (outcome != Outcome::fail) {
        history_.facts(begun.queue)
            .attributes.push_back({begun.t, begun.visibility_ms, begun.delay_ms});
      }
      return {};
    case Op::move:
      if (outcome != Outcome::fail)
        history_.facts(begun.queue).add_move_task(begun.t, begun.target);
      return {};
    case Op::drain:
      if (outcome == Outcome::ok) {
        history_.facts(begun.queue)
            .drains.push_back({begun.t, done, lines, event->n.has_value(), event->n.value_or(0)});
      }
      return {};
    case Op::boot:
      if (outcome == Outcome::ok) {
        history_.faults().add_boot({begun.t, done, event->n.value_or(begun.log_bytes), lines});
      }
      return {};
    default:
      if (outcome != Outcome::fail) history_.faults().add(begun.op, begun.t, done);
      return {};
  }
}

std::string Joiner::finish() {
  for (const auto& [client_name, its_client] : clients_) {
    for (const auto& [number, begun] : its_client.in_flight) {
      if (begun.op == Op::recv) {
        history_.add_hidden_receive(begun.queue, begun.t);
        continue;
      }
      std::string problem = close(begun, nullptr, 0);
      if (!problem.empty()) return fmt::format("{} (begun in line {})", problem, begun.line);
    }
  }
  return {};
}

}  // namespace millrace::checker

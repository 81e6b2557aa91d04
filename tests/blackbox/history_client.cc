#include "tests/blackbox/history_client.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace millrace::blackbox {
namespace {

constexpr size_t kHeldMax = 300;
constexpr size_t kHandedOverMax = 100;
constexpr size_t kIdsKept = 20;
constexpr uint32_t kGroups = 6;
// So many are kept waiting: enough for the log to grow and be cleaned, and no more to drain.
constexpr int64_t kUnfinishedWanted = 4000;

std::string receipt_text(const Receipt& receipt) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&receipt);
  std::string text;
  for (size_t i = 0; i < sizeof receipt; ++i)
    text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string_view phase(End end) {
  return end == End::ok ? "ok" : end == End::fail ? "fail" : "info";
}

}  // namespace

HistoryClient::HistoryClient(std::string name, const std::string& folder, uint64_t seed,
                             World* world)
    : name_(std::move(name)), prng_(seed), world_(world) {
  if (!history_.open(folder + "/" + name_ + ".jsonl", name_)) complaint_ = "cannot write a history";
}

bool HistoryClient::turn() {
  if (fd() < 0) return false;
  bool alive = exchange();
  if (alive) {
    if (draining_) {
      if (under_way() == 0) go_on_draining();
    } else {
      while (under_way() < manner().under_way_max) {
        const size_t before = under_way();
        request();
        if (under_way() == before) break;
      }
    }
    alive = exchange();
  }
  if (!alive) history_.flush();
  return alive && complaint_.empty();
}

void HistoryClient::request() {
  if (!let_go_.empty()) {
    const Held held = std::move(let_go_.back());
    let_go_.pop_back();
    return change_visibility(held, 0);
  }
  const uint64_t dice = prng_.below(1000);
  if (dice < 380 && (world_->unfinished < kUnfinishedWanted || prng_.chance(1, 8))) return send();
  if (dice < 390 && manner().administers) return ask_change();
  if (dice < 410 && manner().administers && world_->unfinished < kUnfinishedWanted)
    return publish();
  if (dice < 700 || (held_.empty() && world_->handed_over.empty())) {
    if (held_.size() >= kHeldMax) return;
    const uint32_t wait =
        manner().whole_seconds
            ? (prng_.chance(1, 40) ? 1000u : 0u)
            : (prng_.chance(1, 4) ? static_cast<uint32_t>(prng_.between(1, 100)) : 0u);
    return receive(prng_.below(world_->queues.size()),
                   manner().whole_seconds
                       ? kQueuesOwn
                       : static_cast<uint32_t>(prng_.between(200, kVisibilityMsLongest)),
                   wait, static_cast<uint32_t>(prng_.between(1, manner().receive_max)));
  }
  if (dice < 930)
    return remove(prng_.between(1, manner().batch_max > 15 ? 15 : manner().batch_max));
  if (held_.empty()) return;
  const uint32_t ms = prng_.chance(1, 3) ? 0
                      : manner().whole_seconds
                          ? kVisibilityMsLongest
                          : static_cast<uint32_t>(prng_.between(1, kVisibilityMsLongest));
  change_visibility(held_[prng_.below(held_.size())], ms);
}

void HistoryClient::send() {
  size_t queue = prng_.below(world_->queues.size());
  while (!world_->queues[queue].sent_to)
    queue = prng_.below(world_->queues.size());
  const Queue& to = world_->queues[queue];
  std::vector<Outgoing> messages;
  const uint64_t count = std::min<uint64_t>(
      manner().batch_max, prng_.chance(1, 10) ? prng_.between(1, 60) : prng_.between(1, 8));
  for (uint64_t i = 0; i < count; ++i) {
    Outgoing message;
    message.key = fmt::format("{}-{}", name_, next_key_++);
    message.body = random_body(message.key);
    checker::HistoryFields fields;
    if (to.fifo) {
      const auto& ids = world_->ids[queue];
      message.group = fmt::format("g{}", prng_.below(kGroups));
      message.id = "d-" + message.key;
      if (!ids.empty() && prng_.chance(1, 6)) {
        std::tie(message.group, message.id) = ids[prng_.below(ids.size())];
        message.first_of_id = false;
      }
    } else if (!manner().whole_seconds && to.delay_ms == 0 && prng_.chance(1, 12)) {
      message.delay_ms = static_cast<uint32_t>(prng_.between(1, kDelayMsLongest));
      fields.dl = message.delay_ms;
    }
    const std::string hash = checker::body_hash(message.body);
    const std::string id = to.spread ? message.group + "/" + message.id : message.id;
    fields.q = to.name;
    fields.k = message.key;
    fields.h = hash;
    fields.g = message.group;
    fields.d = id;
    message.number = history_.begin_later("send", fields);
    messages.push_back(std::move(message));
  }
  history_.flush();
  sends_ += messages.size();
  ask_send(queue, std::move(messages));
}

std::string HistoryClient::random_body(std::string_view key) {
  std::string body = fmt::format("{} ", key);
  const uint64_t bytes = prng_.chance(1, 100) ? prng_.below(40'000) : prng_.below(300);
  for (uint64_t b = 0; b < bytes; ++b)
    body += static_cast<char>('a' + prng_.below(26));
  return body;
}

// To the checker each copy is a send of its own.
void HistoryClient::publish() {
  std::vector<Copies> messages;
  for (uint64_t left = prng_.between(1, 8); left > 0; --left) {
    const std::string key = fmt::format("{}{}-{}", kPublishedKey, name_, next_key_++);
    const std::string body = random_body(key);
    const std::string hash = checker::body_hash(body);
    Copies copies;
    for (size_t queue = 0; queue < world_->queues.size(); ++queue) {
      if (!world_->queues[queue].subscribed) continue;
      Outgoing copy;
      copy.key = world_->key_of(body, queue);
      copy.body = body;
      checker::HistoryFields fields;
      fields.q = world_->queues[queue].name;
      fields.k = copy.key;
      fields.h = hash;
      copy.number = history_.begin_later("send", fields);
      copies.emplace_back(queue, std::move(copy));
    }
    messages.push_back(std::move(copies));
  }
  history_.flush();
  sends_ += messages.size();
  ask_publish(std::move(messages));
}

void HistoryClient::sent(const Outgoing& message, size_t queue, End end, std::string_view id,
                         uint64_t place, std::string_view log_place, std::string_view error) {
  checker::HistoryFields fields;
  if (end != End::fail && message.first_of_id && world_->queues[queue].fifo) {
    auto& ids = world_->ids[queue];
    ids.emplace_back(message.group, message.id);
    if (ids.size() > kIdsKept) ids.pop_front();
  }
  if (end == End::ok) {
    ++world_->unfinished;
    fields.m = id;
    if (place != 0) fields.s = place;
    fields.lsn = log_place;
    fields.dur = world_->durability;
    // Another connection may have received and deleted it before this answer was read.
    if (world_->steady(queue) && message.first_of_id &&
        !world_->obligations.deleting.contains(message.key))
      world_->obligations.present.insert(message.key);
  } else {
    fields.err = error;
  }
  history_.end(message.number, phase(end), "send", fields);
}

void HistoryClient::receive(size_t queue, uint32_t visibility_ms, uint32_t wait_ms,
                            uint32_t messages_max) {
  checker::HistoryFields fields;
  fields.q = world_->queues[queue].name;
  if (visibility_ms != kQueuesOwn) fields.v = visibility_ms;
  const uint64_t number = history_.begin("recv", fields);
  ++receives_;
  ask_receive(queue, number, visibility_ms, wait_ms, messages_max);
}

void HistoryClient::received(size_t queue, uint64_t number, const std::vector<Incoming>& messages) {
  for (const Incoming& message : messages) {
    Held held{world_->key_of(message.body, queue), queue, message.receipt};
    checker::HistoryFields fields;
    const std::string hash = checker::body_hash(message.body);
    const std::string receipt = receipt_text(message.receipt);
    fields.k = held.key;
    fields.h = hash;
    fields.m = message.message;
    fields.r = receipt;
    fields.n = message.count;
    if (message.place != 0) fields.s = message.place;
    history_.end(number, "ok", "recv", fields);
    if (!draining_ && world_->queues[queue].receives_max > 0 && prng_.chance(2, 3)) {
      // Given back, or forgotten: in time it is a dead letter.
      if (prng_.chance(2, 3)) let_go_.push_back(std::move(held));
    } else if (!draining_ && prng_.chance(1, 10) && world_->handed_over.size() < kHandedOverMax) {
      world_->handed_over.push_back(std::move(held));
    } else {
      held_.push_back(std::move(held));
    }
  }
  if (messages.empty()) history_.end(number, "ok", "recv", {});
  brought_ = brought_ || !messages.empty();
}

Held HistoryClient::take_held(size_t at) {
  Held held = std::move(held_[at]);
  held_[at] = std::move(held_.back());
  held_.pop_back();
  return held;
}

void HistoryClient::remove(size_t count) {
  std::vector<Held> some;
  // A batch is of one queue over HTTP.
  while (some.size() < count) {
    size_t at = held_.size();
    if (some.empty() && !held_.empty()) {
      at = prng_.below(held_.size());
    } else if (!some.empty()) {
      for (at = 0; at < held_.size() && held_[at].queue != some.front().queue; ++at) {
      }
    }
    if (at < held_.size()) {
      some.push_back(take_held(at));
    } else if (some.empty() && !draining_ && !world_->handed_over.empty()) {
      some.push_back(std::move(world_->handed_over.front()));
      world_->handed_over.pop_front();
    } else {
      break;
    }
  }
  if (some.empty()) return;
  std::vector<uint64_t> numbers;
  for (const Held& held : some) {
    checker::HistoryFields fields;
    const std::string receipt = receipt_text(held.receipt);
    fields.q = world_->queues[held.queue].name;
    fields.k = held.key;
    fields.r = receipt;
    numbers.push_back(history_.begin_later("del", fields));
    world_->obligations.deleting.insert(held.key);
    world_->obligations.present.erase(held.key);
  }
  history_.flush();
  deletes_ += some.size();
  ask_remove(std::move(some), std::move(numbers));
}

void HistoryClient::removed(const Held& held, uint64_t number, End end, bool surely,
                            std::string_view error) {
  ended(number, "del", end, error, world_->durability);
  if (end == End::ok) --world_->unfinished;
  // A receipt of the past is answered so too, when the message is a dead letter by then.
  if (end == End::ok && surely && world_->queues[held.queue].receives_max == 0 &&
      world_->steady(held.queue))
    world_->obligations.absent.insert(held.key);
}

void HistoryClient::change_visibility(const Held& held, uint32_t visibility_ms) {
  checker::HistoryFields fields;
  const std::string receipt = receipt_text(held.receipt);
  fields.q = world_->queues[held.queue].name;
  fields.k = held.key;
  fields.r = receipt;
  fields.v = visibility_ms;
  const uint64_t number = history_.begin("vis", fields);
  ask_visibility(held, number, visibility_ms);
}

void HistoryClient::ended(uint64_t number, std::string_view op, End end, std::string_view error,
                          std::string_view durability) {
  checker::HistoryFields fields;
  if (end == End::ok)
    fields.dur = durability;
  else
    fields.err = error;
  history_.end(number, phase(end), op, fields);
}

void HistoryClient::drain(size_t queue) {
  draining_ = true;
  asked_ = brought_ = false;
  drained_queue_ = queue;
  empties_ = kNotYet;
  held_.clear();
  let_go_.clear();
}

void HistoryClient::go_on_draining() {
  if (!held_.empty()) return remove(std::min<size_t>(held_.size(), manner().batch_max));
  if (asked_) empties_ = brought_ || empties_ == kNotYet ? 0 : empties_ + 1;
  if (drained()) {
    history_.flush();
    return;
  }
  // The first is short and does not count.
  const bool first = !asked_;
  asked_ = true;
  brought_ = false;
  receive(drained_queue_, kVisibilityMsLongest,
          first ? 0 : kVisibilityMsLongest + kDelayMsLongest + 100, 1000);
}

}  // namespace millrace::blackbox

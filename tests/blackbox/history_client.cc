#include "tests/blackbox/history_client.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace millrace::blackbox {
namespace {

constexpr uint32_t kUnderWayMax = 6;
constexpr size_t kHeldMax = 300;

std::string receipt_text(const Receipt& receipt) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&receipt);
  std::string text;
  for (size_t i = 0; i < sizeof receipt; ++i)
    text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string message_id(QueueId queue, uint64_t shard_slot) {
  return fmt::format("{}-{:x}", raw(queue), shard_slot);
}

std::string key_in(std::string_view body) {
  return std::string(body.substr(0, body.find(' ')));
}

}  // namespace

HistoryClient::HistoryClient(std::string name, const std::string& folder, uint64_t seed,
                             std::string durability, Obligations* obligations)
    : name_(std::move(name)),
      prng_(seed),
      durability_(std::move(durability)),
      obligations_(obligations) {
  if (!history_.open(folder + "/" + name_ + ".jsonl", name_)) complaint_ = "cannot write a history";
}

bool HistoryClient::connect(const std::string& address, const std::vector<Queue>& queues) {
  queues_ = queues;
  auto connected = client::Client::connect(address, {}, &complaint_);
  if (!connected) return false;
  client_ = std::move(*connected);
  return true;
}

void HistoryClient::disconnect() {
  if (!client_) return;
  client_->close();
  client_.reset();
  history_.flush();
}

bool HistoryClient::turn(int timeout_ms) {
  if (!client_) return false;
  while (client_->open() && client_->in_flight() < kUnderWayMax) {
    const uint32_t before = client_->in_flight();
    request();
    if (client_->in_flight() == before) break;
  }
  if (!client_->poll(timeout_ms)) {
    disconnect();
    return false;
  }
  return complaint_.empty();
}

void HistoryClient::request() {
  const uint64_t dice = prng_.below(100);
  if (dice < 40) return send();
  if (dice < 70 || held_.empty()) {
    if (held_.size() < kHeldMax)
      return receive(prng_.below(queues_.size()),
                     static_cast<uint32_t>(prng_.between(200, kVisibilityMsLongest)),
                     prng_.chance(1, 4) ? static_cast<uint32_t>(prng_.between(1, 100)) : 0,
                     static_cast<uint32_t>(prng_.between(1, 20)));
  }
  if (dice < 92) {
    std::vector<Held> some;
    for (uint64_t n = prng_.between(1, 15); n > 0 && !held_.empty(); --n) {
      const size_t i = prng_.below(held_.size());
      some.push_back(std::move(held_[i]));
      held_[i] = std::move(held_.back());
      held_.pop_back();
    }
    if (!some.empty()) remove(std::move(some));
    return;
  }
  if (!held_.empty()) change_visibility();
}

void HistoryClient::send() {
  const size_t queue = prng_.below(queues_.size());
  client::MessageBatch batch;
  std::vector<std::pair<uint64_t, std::string>> made;  // operation and key
  const uint64_t count = prng_.chance(1, 10) ? prng_.between(1, 100) : prng_.between(1, 8);
  for (uint64_t i = 0; i < count; ++i) {
    const std::string key = fmt::format("{}-{}", name_, next_key_++);
    std::string body = key + " ";
    const uint64_t bytes = prng_.chance(1, 100) ? prng_.below(40'000) : prng_.below(300);
    for (uint64_t b = 0; b < bytes; ++b)
      body += static_cast<char>('a' + prng_.below(26));
    const uint32_t delay =
        prng_.chance(1, 12) ? static_cast<uint32_t>(prng_.between(1, kDelayMsLongest)) : 0;
    if (!batch.add(body, delay)) break;
    checker::HistoryFields fields;
    const std::string hash = checker::body_hash(body);
    fields.q = queues_[queue].name;
    fields.k = key;
    fields.h = hash;
    fields.dl = delay;
    made.emplace_back(history_.begin_later("send", fields), key);
  }
  history_.flush();
  sends_ += made.size();
  const QueueId id = queues_[queue].id;
  const auto asked = client_->send(id, batch, [this, made, id](const client::Answer& answer) {
    for (size_t i = 0; i < made.size(); ++i) {
      checker::HistoryFields fields;
      std::string message, place, error;
      if (answer) {
        const wire::SendAnswer sent = answer.sent();
        message = message_id(id, answer.sent_shard_slot(static_cast<uint32_t>(i)));
        place = fmt::format("{}:{}", sent.shard_slot >> 48, sent.position);
        fields.m = message;
        fields.lsn = place;
        fields.dur = durability_;
        history_.end(made[i].first, "ok", "send", fields);
        // Another connection may have received and deleted it before this answer was read.
        if (!obligations_->deleting.contains(made[i].second))
          obligations_->present.insert(made[i].second);
      } else {
        error = std::string(errc_name(answer.error()));
        fields.err = error;
        const bool unknown = answer.error() == Errc::connection_closed ||
                             answer.error() == Errc::shard_fenced ||
                             answer.error() == Errc::shutting_down;
        history_.end(made[i].first, unknown ? "info" : "fail", "send", fields);
      }
    }
  });
  if (!asked) complaint_ = fmt::format("a send was refused: {}", errc_name(asked.error()));
}

void HistoryClient::receive(size_t queue, uint32_t visibility_ms, uint32_t wait_ms,
                            uint32_t messages_max) {
  checker::HistoryFields fields;
  fields.q = queues_[queue].name;
  fields.v = visibility_ms;
  const uint64_t number = history_.begin("recv", fields);
  ++receives_;
  const auto asked = client_->receive(
      {.queue = queues_[queue].id,
       .messages_max = messages_max,
       .visibility_ms = visibility_ms,
       .wait_ms = wait_ms},
      [this, queue, number](const client::Answer& answer) { take(queue, number, answer); });
  if (!asked) complaint_ = fmt::format("a receive was refused: {}", errc_name(asked.error()));
}

void HistoryClient::take(size_t queue, uint64_t number, const client::Answer& answer) {
  if (!answer) {
    checker::HistoryFields fields;
    fields.err = errc_name(answer.error());
    history_.end(number, answer.error() == Errc::connection_closed ? "info" : "fail", "recv",
                 fields);
    return;
  }
  bool any = false;
  for (const client::ReceivedMessage message : answer.messages()) {
    any = true;
    const std::string_view body = as_text(message.body);
    Held held{key_in(body), queue, message.receipt};
    checker::HistoryFields fields;
    const std::string hash = checker::body_hash(body);
    const std::string receipt = receipt_text(message.receipt);
    const std::string id =
        message_id(QueueId{message.receipt.queue_id}, message.receipt.shard_slot);
    fields.k = held.key;
    fields.h = hash;
    fields.m = id;
    fields.r = receipt;
    fields.n = message.receive_count;
    history_.end(number, "ok", "recv", fields);
    held_.push_back(std::move(held));
  }
  if (!any) history_.end(number, "ok", "recv", {});
  drained_something_ = drained_something_ || any;
}

void HistoryClient::remove(std::vector<Held> held) {
  std::vector<Receipt> receipts;
  std::vector<uint64_t> numbers;
  for (const Held& h : held) {
    checker::HistoryFields fields;
    const std::string receipt = receipt_text(h.receipt);
    fields.q = queues_[h.queue].name;
    fields.k = h.key;
    fields.r = receipt;
    numbers.push_back(history_.begin_later("del", fields));
    receipts.push_back(h.receipt);
    obligations_->deleting.insert(h.key);
    obligations_->present.erase(h.key);
  }
  history_.flush();
  deletes_ += held.size();
  const auto asked =
      client_->ack(receipts, [this, numbers, held = std::move(held)](const client::Answer& answer) {
        std::vector<Errc> results(held.size(), answer.error());
        if (answer)
          for (size_t i = 0; i < results.size(); ++i)
            results[i] = answer.result(static_cast<uint32_t>(i));
        for (size_t i = 0; i < held.size(); ++i) {
          checker::HistoryFields fields;
          if (results[i] == Errc::ok) {
            fields.dur = durability_;
            history_.end(numbers[i], "ok", "del", fields);
            obligations_->absent.insert(held[i].key);
            continue;
          }
          const bool unknown = results[i] == Errc::connection_closed ||
                               results[i] == Errc::shard_fenced ||
                               results[i] == Errc::shutting_down;
          fields.err = errc_name(results[i]);
          history_.end(numbers[i], unknown ? "info" : "fail", "del", fields);
        }
      });
  if (!asked) complaint_ = fmt::format("a delete was refused: {}", errc_name(asked.error()));
}

void HistoryClient::change_visibility() {
  const Held& held = held_[prng_.below(held_.size())];
  const uint32_t ms =
      prng_.chance(1, 3) ? 0 : static_cast<uint32_t>(prng_.between(1, kVisibilityMsLongest));
  checker::HistoryFields fields;
  const std::string receipt = receipt_text(held.receipt);
  fields.q = queues_[held.queue].name;
  fields.k = held.key;
  fields.r = receipt;
  fields.v = ms;
  const uint64_t number = history_.begin("vis", fields);
  const ExtendEntry entry{held.receipt, ms, 0};
  const auto asked = client_->extend({&entry, 1}, [this, number](const client::Answer& answer) {
    const Errc result = answer ? answer.result(0) : answer.error();
    checker::HistoryFields end;
    end.err = result == Errc::ok ? std::string_view{} : errc_name(result);
    history_.end(number,
                 result == Errc::ok                  ? "ok"
                 : result == Errc::connection_closed ? "info"
                                                     : "fail",
                 "vis", end);
  });
  if (!asked) complaint_ = fmt::format("an extend was refused: {}", errc_name(asked.error()));
}

bool HistoryClient::drain(const Queue& queue, uint64_t deliveries_max) {
  queues_ = {queue};
  held_.clear();
  uint32_t empty = 0;
  for (uint64_t round = 0; round < deliveries_max && empty < 3; ++round) {
    drained_something_ = false;
    // While messages come, short polls; an empty one is followed by polls longer than any lease or
    // delay.
    receive(0, kVisibilityMsLongest, round == 0 ? 0 : kVisibilityMsLongest + kDelayMsLongest + 100,
            1000);
    while (client_->in_flight() > 0)
      if (!client_->poll(10'000)) return false;
    while (!held_.empty()) {
      const size_t n = std::min<size_t>(held_.size(), 500);
      remove({held_.end() - static_cast<ptrdiff_t>(n), held_.end()});
      held_.resize(held_.size() - n);
      while (client_->in_flight() > 0)
        if (!client_->poll(10'000)) return false;
    }
    empty = drained_something_ ? 0 : empty + 1;
  }
  history_.flush();
  return empty >= 3 && complaint_.empty();
}

}  // namespace millrace::blackbox

#include "tests/checker/perfect_queue.h"

#include <algorithm>

namespace millrace::checker {

void PerfectQueue::append(uint32_t shard, Record record) {
  shards_[shard].log.push_back(std::move(record));
  apply(shard, shards_[shard].log.size() - 1);
}

void PerfectQueue::apply(uint32_t shard, size_t at) {
  const Record& record = shards_[shard].log[at];
  switch (record.kind) {
    case Kind::send:
      messages_[record.key] = {record.queue, 0, shard, 0, record.until};
      break;
    case Kind::lease:
      messages_[record.key].receipt = record.receipt;
      ++messages_[record.key].n;
      messages_[record.key].visible_at = record.until;
      break;
    case Kind::change:
      messages_[record.key].visible_at = record.until;
      break;
    case Kind::remove:
      messages_.erase(record.key);
      break;
    case Kind::purge:
      std::erase_if(messages_, [&](const auto& entry) {
        return entry.second.queue == record.queue && entry.second.shard == shard;
      });
      break;
  }
}

LogPlace PerfectQueue::send(Nanoseconds now, uint32_t shard, const std::string& queue,
                            const std::string& key, Nanoseconds delay) {
  shard_by_key_[key] = shard;
  append(shard, {Kind::send, now, queue, key, 0, now + delay});
  return {shard, shards_[shard].log.size()};
}

std::vector<PerfectQueue::Delivery> PerfectQueue::receive(Nanoseconds now, const std::string& queue,
                                                          size_t max, Nanoseconds visibility) {
  std::vector<Delivery> out;
  for (auto& [key, message] : messages_) {
    if (out.size() == max) break;
    if (message.queue != queue || message.visible_at > now) continue;
    const uint64_t receipt = ++receipts_;
    append(message.shard, {Kind::lease, now, {}, key, receipt, now + visibility});
    out.push_back({key, receipt, message.n});
  }
  return out;
}

bool PerfectQueue::remove(Nanoseconds now, const std::string& key, uint64_t receipt) {
  const auto message = messages_.find(key);
  if (message == messages_.end()) return true;
  if (message->second.receipt != receipt) return receipt < message->second.receipt;
  append(message->second.shard, {Kind::remove, now, {}, key, 0, 0});
  return true;
}

bool PerfectQueue::change(Nanoseconds now, const std::string& key, uint64_t receipt,
                          Nanoseconds visibility) {
  const auto message = messages_.find(key);
  if (message == messages_.end() || message->second.receipt != receipt ||
      message->second.visible_at <= now) {
    return false;
  }
  append(message->second.shard, {Kind::change, now, {}, key, 0, now + visibility});
  return true;
}

void PerfectQueue::purge(Nanoseconds now, const std::string& queue) {
  for (uint32_t shard = 0; shard < kShards; ++shard) {
    append(shard, {Kind::purge, now, queue, {}, 0, 0});
  }
}

void PerfectQueue::promise(const std::string& key) {
  Shard& shard = shards_[shard_by_key_.at(key)];
  for (size_t at = shard.log.size(); at > shard.promised; --at) {
    const Record& record = shard.log[at - 1];
    if (record.key != key || (record.kind != Kind::send && record.kind != Kind::remove)) continue;
    shard.promised = at;
    return;
  }
}

void PerfectQueue::promise_all() {
  for (Shard& shard : shards_)
    shard.promised = shard.log.size();
}

void PerfectQueue::promise_older_than(Nanoseconds t) {
  for (Shard& shard : shards_) {
    while (shard.promised < shard.log.size() && shard.log[shard.promised].now < t) {
      ++shard.promised;
    }
  }
}

void PerfectQueue::lose_power(const std::function<size_t(size_t)>& choose) {
  messages_.clear();
  for (uint32_t shard = 0; shard < kShards; ++shard) {
    std::vector<Record>& log = shards_[shard].log;
    const size_t promised = shards_[shard].promised;
    log.resize(promised + choose(log.size() - promised));
    // What survived was synced before it was served again.
    shards_[shard].promised = log.size();
    for (size_t at = 0; at < log.size(); ++at)
      apply(shard, at);
  }
}

size_t PerfectQueue::count(const std::string& queue) const {
  return static_cast<size_t>(
      std::count_if(messages_.begin(), messages_.end(),
                    [&](const auto& entry) { return entry.second.queue == queue; }));
}

}  // namespace millrace::checker

#include "tests/checker/history.h"

#include <algorithm>

namespace millrace::checker {

QueueId History::queue_id(std::string_view queue) {
  const auto known = queue_ids_.find(queue);
  if (known != queue_ids_.end()) return known->second;
  const auto id = static_cast<QueueId>(queues_.size());
  queue_ids_.emplace(queue, id);
  queues_.emplace_back();
  return id;
}

bool History::leads_to(QueueId from, QueueId to) const {
  for (size_t steps = 0; steps < queues_.size() && queues_[from].receives_max != 0; ++steps) {
    from = queues_[from].dead_letters;
    if (from == to) return true;
  }
  return false;
}

std::vector<QueueId> History::reach(QueueId queue) const {
  std::vector<QueueId> found{queue};
  const auto add = [&found](QueueId next) {
    if (std::find(found.begin(), found.end(), next) == found.end()) found.push_back(next);
  };
  for (size_t at = 0; at < found.size(); ++at) {
    const QueueFacts& facts = queues_[found[at]];
    if (facts.receives_max != 0) add(facts.dead_letters);
    for (const QueueId target : facts.moved_to)
      add(target);
  }
  return found;
}

bool History::may_be_moved(QueueId queue, Nanoseconds t) const {
  for (size_t steps = 0; steps <= queues_.size(); ++steps) {
    if (queues_[queue].moved_from < t) return true;
    if (queues_[queue].receives_max == 0) return false;
    queue = queues_[queue].dead_letters;
  }
  return false;
}

bool History::add(const Send& send) {
  if (send_by_key_.size() <= send.key) send_by_key_.resize(size_t{send.key} + 1);
  if (send_by_key_[send.key] != 0) return false;
  sends_.push_back(send);
  send_by_key_[send.key] = static_cast<uint32_t>(sends_.size());
  return true;
}

void History::add_hidden_receive(QueueId queue, Nanoseconds inv) {
  hidden_.push_back({queue, inv});
}

const Send* History::send_of(KeyId key) const {
  if (key >= send_by_key_.size() || send_by_key_[key] == 0) return nullptr;
  return &sends_[send_by_key_[key] - 1];
}

// Counting sort by key: two passes, no comparison.
template <typename Record>
History::Groups History::group(const std::deque<Record>& records, uint32_t keys) {
  Groups groups;
  groups.starts.assign(size_t{keys} + 2, 0);
  for (const Record& record : records)
    ++groups.starts[size_t{record.key} + 2];
  for (size_t key = 2; key < groups.starts.size(); ++key) {
    groups.starts[key] += groups.starts[key - 1];
  }
  groups.indices.resize(records.size());
  uint32_t index = 0;
  for (const Record& record : records) {
    groups.indices[groups.starts[size_t{record.key} + 1]++] = index++;
  }
  groups.starts.pop_back();
  return groups;
}

bool History::leased_before(uint32_t a, uint32_t b) const {
  const Receive& first = receives_[a];
  const Receive& second = receives_[b];
  const bool overlap = first.inv < second.done && second.inv < first.done;
  if (overlap && first.n != 0 && second.n != 0 && first.n != second.n) return first.n < second.n;
  if (first.done != second.done) return first.done < second.done;
  return first.n < second.n;
}

// Sorted by end, only overlapping neighbours can still be the wrong way round: insertion puts them
// right in about one step each.
void History::order_receives(std::span<uint32_t> indices) const {
  std::sort(indices.begin(), indices.end(), [this](uint32_t a, uint32_t b) {
    return receives_[a].done != receives_[b].done ? receives_[a].done < receives_[b].done : a < b;
  });
  for (size_t at = 1; at < indices.size(); ++at) {
    for (size_t to = at; to > 0 && leased_before(indices[to], indices[to - 1]); --to) {
      std::swap(indices[to], indices[to - 1]);
    }
  }
}

void History::seal() {
  faults_.seal();
  for (const HiddenReceive& hidden : hidden_) {
    facts(hidden.queue).hidden_receives.add(hidden.inv, faults_.death_after(hidden.inv));
  }
  for (QueueFacts& queue : queues_) {
    for (Removal& removal : queue.removals) {
      if (removal.outcome == Outcome::unknown) removal.done = faults_.death_after(removal.inv);
    }
    queue.seal();
  }
  receive_groups_ = group(receives_, messages());
  call_groups_ = group(calls_, messages());
  for (KeyId key = 0; key < messages(); ++key) {
    order_receives(receive_groups_.of(key));
    const std::span<uint32_t> calls = call_groups_.of(key);
    std::sort(calls.begin(), calls.end(), [this](uint32_t a, uint32_t b) {
      if (calls_[a].receipt != calls_[b].receipt) return calls_[a].receipt < calls_[b].receipt;
      return calls_[a].inv != calls_[b].inv ? calls_[a].inv < calls_[b].inv : a < b;
    });
  }
}

std::span<const uint32_t> History::calls_of(KeyId key, uint64_t receipt) const {
  const std::span<const uint32_t> calls = call_groups_.of(key);
  const auto first = std::lower_bound(
      calls.begin(), calls.end(), receipt,
      [this](uint32_t at, uint64_t wanted) { return calls_[at].receipt < wanted; });
  const auto end = std::upper_bound(
      first, calls.end(), receipt,
      [this](uint64_t wanted, uint32_t at) { return wanted < calls_[at].receipt; });
  return {first, end};
}

}  // namespace millrace::checker

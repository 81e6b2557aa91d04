// ReceiveAttempts, and the part of ShardState that goes by them.
#include "engine/receive_attempts.h"

#include <array>
#include <cstring>

#include "engine/limits.h"
#include "engine/shard_state.h"
#include "millrace/properties.h"

namespace millrace::engine {

ReceiveAttempts::Attempt* ReceiveAttempts::find(const AttemptKey& key, TimeMs now) {
  const auto found = attempts_.find(key);
  if (found == attempts_.end() || found->second.forgotten_at <= now) return nullptr;
  return &found->second;
}

void ReceiveAttempts::put(const AttemptKey& key, TimeMs until, std::vector<Given> given,
                          TimeMs now) {
  while (!oldest_.empty() &&
         (oldest_.front().first <= now || attempts_.size() >= kReceiveAttemptsMax)) {
    const auto [forgotten_at, old] = oldest_.front();
    oldest_.pop_front();
    // The same id may have been used again since.
    const auto found = attempts_.find(old);
    if (found != attempts_.end() && found->second.forgotten_at == forgotten_at)
      attempts_.erase(found);
  }
  const TimeMs forgotten_at = now + kKeptMs;
  attempts_[key] = {until, std::move(given), forgotten_at};
  oldest_.emplace_back(forgotten_at, key);
}

AttemptKey ShardState::attempt_key(QueueId queue, std::string_view id) const {
  if (id.empty()) return {};
  std::array<char, sizeof(queue) + kGroupIdBytesMax> bytes;
  id = id.substr(0, kGroupIdBytesMax);
  std::memcpy(bytes.data(), &queue, sizeof queue);
  std::memcpy(bytes.data() + sizeof queue, id.data(), id.size());
  return names_.of(as_bytes({bytes.data(), sizeof queue + id.size()}));
}

void ShardState::remember_attempt(const AttemptKey& key, std::span<const Delivery> deliveries,
                                  uint32_t visibility_ms, TimeMs now) {
  // What is shown again at once is held by nobody.
  if (visibility_ms == 0) return;
  std::vector<ReceiveAttempts::Given> given;
  given.reserve(deliveries.size());
  for (const Delivery& delivery : deliveries)
    given.push_back({slot_of(delivery.receipt.shard_slot), delivery.receive_count});
  attempts_.put(key, now + visibility_ms, std::move(given), now);
}

Result<std::optional<Position>> ShardState::repeat(Partition& partition, const AttemptKey& key,
                                                   uint32_t visibility_ms, TimeMs now,
                                                   std::vector<Delivery>* deliveries,
                                                   uint32_t holder) {
  ReceiveAttempts::Attempt* attempt = attempts_.find(key, now);
  if (attempt == nullptr) return std::optional<Position>{};
  // A lease may be over, or its message, before this shard's tick comes to say so.
  const bool lease_over = attempt->until <= now;
  const TimeMs horizon = horizon_of(partition, now);
  const bool some_are_over = partition.oldest_sent_at() <= horizon;
  marks_.clear();
  runs_.clear();
  for (const auto& [slot, generation] : attempt->given) {
    if (lease_over || !partition.is_leased(slot, generation, attempt->until, timers_) ||
        (some_are_over && is_over(partition, slot, horizon))) {
      attempts_.forget(key);
      return std::optional<Position>{};
    }
    marks_.push_back({raw(slot), generation, visibility_ms});
    push_run(&runs_, 0, slot, 1);
  }
  const auto end = append_extend(partition, now, holder);
  if (!end) return fail(end.error());
  attempt->until = now + visibility_ms;
  if (visibility_ms == 0) attempts_.forget(key);
  if (const Status status = deliver(partition, deliveries); !status) return fail(status.error());
  return std::optional<Position>{*end};
}

}  // namespace millrace::engine

#include "engine/catalog.h"

namespace millrace::engine {

const QueueInfo* Catalog::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second.get();
}

const QueueInfo* Catalog::find(QueueId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

void Catalog::list(std::string_view prefix, std::string_view after, uint32_t max,
                   std::vector<QueueInfo>* queues) const {
  auto entry = prefix > after ? by_name_.lower_bound(prefix) : by_name_.upper_bound(after);
  for (; entry != by_name_.end() && queues->size() < max; ++entry) {
    if (!entry->first.starts_with(prefix)) break;
    queues->push_back(*entry->second);
  }
}

void Catalog::put(const QueueInfo& queue) {
  if (const auto known = by_id_.find(queue.id); known != by_id_.end()) {
    *known->second = queue;
    return;
  }
  auto& entry = by_name_[queue.name];
  if (entry != nullptr) by_id_.erase(entry->id);
  entry = std::make_unique<QueueInfo>(queue);
  by_id_[queue.id] = entry.get();
}

void Catalog::remove(QueueId id) {
  const auto known = by_id_.find(id);
  if (known == by_id_.end()) return;
  const std::string name = known->second->name;
  by_id_.erase(known);
  by_name_.erase(name);
}

std::vector<std::byte> encode_queue(const QueueInfo& queue) {
  const QueueAttributes& a = queue.attributes;
  const auto flag = [](bool set, uint8_t bit) { return set ? bit : uint8_t{0}; };
  const bool by_group = a.deduplication_scope == DeduplicationScope::group;
  const bool limit_by_group = a.throughput_limit == ThroughputLimit::group;
  const QueueDefinition head{
      raw(queue.id),
      static_cast<uint32_t>(queue.name.size()),
      queue.created_at_ms,
      a.visibility_timeout_ms,
      a.delay_ms,
      a.message_bytes_max,
      a.receive_wait_ms,
      static_cast<uint8_t>(a.durability),
      static_cast<uint8_t>(
          flag(a.fifo, kQueueFifo) | flag(a.content_deduplication, kQueueContentDedup) |
          flag(by_group, kQueueDedupByGroup) | flag(limit_by_group, kQueueLimitByGroup)),
      a.partitions,
      raw(queue.first_shard),
      0};
  std::vector<std::byte> body(sizeof head + queue.name.size());
  std::memcpy(body.data(), &head, sizeof head);
  std::memcpy(body.data() + sizeof head, queue.name.data(), queue.name.size());
  return body;
}

std::optional<QueueInfo> decode_queue(Bytes body) {
  const auto head = read_head<QueueDefinition>(body);
  if (!head || body.size() - sizeof *head < head->name_bytes ||
      head->durability > static_cast<uint8_t>(Durability::commit))
    return std::nullopt;
  QueueInfo queue;
  queue.id = QueueId{head->queue_id};
  queue.name = as_text(body.subspan(sizeof *head, head->name_bytes));
  queue.created_at_ms = head->created_at_ms;
  queue.first_shard = ShardId{head->first_shard};
  QueueAttributes& a = queue.attributes;
  a.visibility_timeout_ms = head->visibility_timeout_ms;
  a.delay_ms = head->delay_ms;
  a.message_bytes_max = head->message_bytes_max;
  a.receive_wait_ms = head->receive_wait_ms;
  a.durability = static_cast<Durability>(head->durability);
  a.fifo = (head->flags & kQueueFifo) != 0;
  a.content_deduplication = (head->flags & kQueueContentDedup) != 0;
  if ((head->flags & kQueueDedupByGroup) != 0) a.deduplication_scope = DeduplicationScope::group;
  if ((head->flags & kQueueLimitByGroup) != 0) a.throughput_limit = ThroughputLimit::group;
  a.partitions = head->partitions;
  return queue;
}

}  // namespace millrace::engine

#include "engine/catalog.h"

#include <charconv>

#include <fmt/format.h>

#include "base/printable.h"
#include "engine/definition_texts.h"
#include "engine/queue_attributes.h"
#include "engine/record_check.h"

namespace millrace::engine {

const QueueInfo* Catalog::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second.get();
}

const QueueInfo* Catalog::find(QueueId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

const QueueInfo* Catalog::find_outbox(QueueId id) const {
  const auto found = outboxes_.find(id);
  return found == outboxes_.end() ? nullptr : &found->second;
}

void Catalog::list(std::string_view prefix, std::string_view after, uint32_t max,
                   std::vector<QueueInfo>* queues) const {
  auto entry = prefix > after ? by_name_.lower_bound(prefix) : by_name_.upper_bound(after);
  for (; entry != by_name_.end() && queues->size() < max; ++entry) {
    if (!entry->first.starts_with(prefix)) break;
    queues->push_back(*entry->second);
  }
}

const QueueInfo* Catalog::tied_to(uint16_t shards) const {
  for (const auto& [name, queue] : by_name_)
    if (queue->attributes.fifo && raw(queue->first_shard) + queue->attributes.partitions > shards)
      return queue.get();
  return nullptr;
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

void Catalog::put_outbox(const QueueInfo& outbox) {
  outboxes_[outbox.id] = outbox;
}

void Catalog::remove(QueueId id) {
  outboxes_.erase(id);
  const auto known = by_id_.find(id);
  if (known == by_id_.end()) return;
  const std::string name = known->second->name;
  by_id_.erase(known);
  by_name_.erase(name);
}

namespace {

DefinitionTextWriter texts_of(const QueueInfo& queue) {
  DefinitionTextWriter texts;
  const QueueAttributes fresh;
  for (const AttributeRow& row : attribute_table()) {
    if (row.in_definition) continue;
    const auto value = row.write(queue.attributes);
    if (value && value != row.write(fresh))
      texts.add(DefinitionTextKind::attribute, row.name, *value);
  }
  for (const NamedText& tag : queue.attributes.tags)
    texts.add(DefinitionTextKind::tag, tag.name, tag.value);
  if (queue.modified_at_ms != queue.created_at_ms)
    texts.add(DefinitionTextKind::modified, {}, std::to_string(queue.modified_at_ms));
  return texts;
}

// "" or what this version can't make of it.
std::string take_text(DefinitionTextKind kind, std::string_view name, std::string_view value,
                      QueueInfo* queue) {
  switch (kind) {
    case DefinitionTextKind::attribute: {
      const AttributeRow* row = find_attribute(name);
      if (row == nullptr) return unknown_attribute_text(name);
      const std::string wrong = row->read(value, &queue->attributes);
      if (wrong.empty()) return {};
      return fmt::format("has '{}' for its {}; to this version {}", base::printable(value), name,
                         wrong);
    }
    case DefinitionTextKind::tag:
      queue->attributes.tags.push_back({std::string(name), std::string(value)});
      return {};
    case DefinitionTextKind::modified:
      std::from_chars(value.data(), value.data() + value.size(), queue->modified_at_ms);
      return {};
  }
  return unknown_text_kind(kind);
}

}  // namespace

std::vector<std::byte> encode_queue(const QueueInfo& queue) {
  const QueueAttributes& a = queue.attributes;
  const DefinitionTextWriter texts = texts_of(queue);
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
      texts.count};
  std::vector<std::byte> body;
  body.reserve(sizeof head + queue.name.size() + texts.bytes.size());
  append_bytes(&body, bytes_of(head));
  append_bytes(&body, as_bytes(queue.name));
  append_bytes(&body, texts.bytes);
  return body;
}

std::optional<QueueInfo> decode_queue(Bytes body, std::string* why) {
  const auto head = read_head<QueueDefinition>(body);
  if (!head || body.size() - sizeof *head < head->name_bytes ||
      head->durability > static_cast<uint8_t>(Durability::commit)) {
    if (why->empty()) *why = "the catalog has a definition of a queue that can't be read";
    return std::nullopt;
  }
  if (const std::string_view wrong = wrong_with(*head); !wrong.empty()) {
    if (why->empty())
      *why = fmt::format("the catalog has a definition of a queue that can't be: {}", wrong);
    return std::nullopt;
  }
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
  queue.modified_at_ms = queue.created_at_ms;
  const Bytes texts = body.subspan(sizeof *head + head->name_bytes);
  const auto take = [&](DefinitionTextKind kind, std::string_view name, std::string_view value) {
    return take_text(kind, name, value, &queue);
  };
  const std::string wrong = take_definition_texts(texts, head->texts, take);
  if (!wrong.empty()) {
    if (why->empty()) *why = fmt::format("the queue '{}' {}", base::printable(queue.name), wrong);
    return std::nullopt;
  }
  return queue;
}

}  // namespace millrace::engine

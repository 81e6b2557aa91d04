#include "net/binary/settings.h"

#include <algorithm>
#include <iterator>

#include "engine/queue_attributes.h"
#include "net/binary/frame.h"

namespace millrace::net {
namespace {

// False if there is no whole item.
bool take_item(Bytes* rest, std::string_view* name, std::string_view* value) {
  if (rest->size() < sizeof(wire::TextItem)) return false;
  const auto head = take<wire::TextItem>(rest->data());
  *rest = rest->subspan(sizeof head);
  if (rest->size() < uint64_t{head.name_bytes} + head.value_bytes) return false;
  *name = as_text(rest->first(head.name_bytes));
  *value = as_text(rest->subspan(head.name_bytes, head.value_bytes));
  *rest = rest->subspan(name->size() + value->size());
  return true;
}

void add_item(std::string* to, std::string_view name, std::string_view value) {
  const wire::TextItem head{static_cast<uint32_t>(value.size()), static_cast<uint16_t>(name.size()),
                            0};
  to->append(reinterpret_cast<const char*>(&head), sizeof head).append(name).append(value);
}

}  // namespace

bool take_items(Bytes* rest, uint16_t count, std::vector<NamedText>* items) {
  for (uint16_t i = 0; i < count; ++i) {
    std::string_view name, value;
    if (!take_item(rest, &name, &value)) return false;
    items->push_back({std::string(name), std::string(value)});
  }
  return true;
}

uint16_t add_items(std::string* to, std::span<const NamedText> items) {
  for (const NamedText& item : items)
    add_item(to, item.name, item.value);
  return static_cast<uint16_t>(items.size());
}

bool take_settings(const wire::SettingsBody& head, Bytes texts, std::string_view* name,
                   QueueSettings* settings) {
  if (texts.size() < head.name_bytes) return false;
  *name = as_text(texts.first(head.name_bytes));
  Bytes rest = texts.subspan(head.name_bytes);
  if (!take_items(&rest, head.attributes, &settings->attributes) ||
      !take_items(&rest, head.tags, &settings->tags))
    return false;
  for (uint16_t i = 0; i < head.untagged; ++i) {
    std::string_view tag, value;
    if (!take_item(&rest, &tag, &value) || !value.empty()) return false;
    settings->untagged.emplace_back(tag);
  }
  return padded8(texts.size() - rest.size()) == texts.size();
}

wire::QueueItem queue_item(const QueueInfo& queue, bool with_details, std::string* texts) {
  const size_t before = texts->size();
  texts->append(queue.name);
  wire::QueueItem item{};
  if (with_details) {
    item.attributes = add_items(texts, engine::attribute_texts(queue.attributes));
    item.tags = add_items(texts, queue.attributes.tags);
  }
  item.queue_id = raw(queue.id);
  item.text_bytes = static_cast<uint32_t>(texts->size() - before);
  item.name_bytes = static_cast<uint16_t>(queue.name.size());
  item.first_shard = raw(queue.first_shard);
  item.created_at_ms = queue.created_at_ms;
  item.modified_at_ms = queue.modified_at_ms;
  const QueueCounters& c = queue.counters;
  item.ready = c.ready;
  item.leased = c.leased;
  item.delayed = c.delayed;
  item.bytes = c.bytes;
  item.sent = c.sent;
  item.received = c.received;
  item.acked = c.acked;
  item.expired = c.expired;
  item.empty_receives = c.empty_receives;
  item.oldest_sent_at_ms = c.oldest_sent_at_ms;
  item.redelivered = c.redelivered;
  item.dead_lettered = c.dead_lettered;
  item.aged_out = c.aged_out;
  item.times = with_details && c.times != nullptr ? 1 : 0;
  return item;
}

wire::QueueTimesItem times_item(const QueueTimes& times) {
  wire::QueueTimesItem item{};
  const auto fill = [](wire::TimesItem& to, const DurationHistogram& from) {
    to.sum_ms = from.sum_ms;
    std::copy(from.counts.begin(), from.counts.end(), to.counts);
  };
  static_assert(std::size(wire::TimesItem{}.counts) == DurationHistogram::kBuckets);
  fill(item.wait, times.wait);
  fill(item.lease, times.lease);
  return item;
}

}  // namespace millrace::net

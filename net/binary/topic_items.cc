#include "net/binary/topic_items.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/assert.h"
#include "engine/topic_attributes.h"
#include "net/binary/settings.h"

namespace millrace::net {
namespace {

wire::TopicItem topic_item(const TopicInfo& topic, const TopicDesk& desk, bool with_details,
                           std::string* texts) {
  const size_t before = texts->size();
  const std::string arn = desk.arn_of(topic.name);
  texts->append(topic.name).append(arn);
  wire::TopicItem item{};
  if (with_details) {
    item.attributes = add_items(texts, engine::topic_attribute_texts(topic.attributes));
    item.tags = add_items(texts, topic.attributes.tags);
  }
  const TopicCounts counts = desk.counts_of(topic.id);
  item.topic_id = raw(topic.id);
  item.text_bytes = static_cast<uint32_t>(texts->size() - before);
  item.name_bytes = static_cast<uint16_t>(topic.name.size());
  item.arn_bytes = static_cast<uint16_t>(arn.size());
  item.created_at_ms = topic.created_at_ms;
  item.confirmed = topic.confirmed;
  item.pending = topic.pending;
  item.published = counts.published;
  item.delivered = counts.delivered;
  item.filtered = counts.filtered;
  item.failed = counts.failed;
  return item;
}

wire::TopicSubscriptionItem subscription_item(const SubscriptionInfo& subscription,
                                              const TopicPort& topics, bool with_details,
                                              std::string* texts) {
  const size_t before = texts->size();
  const TopicInfo* topic = topics.find(subscription.topic);
  const std::string_view name = topic == nullptr ? std::string_view() : topic->name;
  texts->append(name).append(subscription.protocol);
  texts->append(subscription.endpoint).append(subscription.queue);
  wire::TopicSubscriptionItem item{};
  if (with_details)
    item.attributes =
        add_items(texts, engine::subscription_attribute_texts(subscription.attributes));
  std::copy(subscription.uuid.begin(), subscription.uuid.end(), item.uuid);
  item.subscription_id = raw(subscription.id);
  item.text_bytes = static_cast<uint32_t>(texts->size() - before);
  item.created_at_ms = subscription.created_at_ms;
  item.topic_bytes = static_cast<uint16_t>(name.size());
  item.protocol_bytes = static_cast<uint16_t>(subscription.protocol.size());
  item.endpoint_bytes = static_cast<uint16_t>(subscription.endpoint.size());
  item.queue_bytes = static_cast<uint16_t>(subscription.queue.size());
  item.pending = subscription.pending ? 1 : 0;
  return item;
}

// `make(one, &texts)` gives the item of one. Each is far smaller than what a frame has beyond
// kBatchBytesMax.
template <class Item, class Things, class Make>
void answer_items(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                  const Things& things, Make make) {
  std::vector<Item> items;
  items.reserve(things.size());
  std::string texts;
  size_t bytes = sizeof(wire::CountBody);
  for (const auto& one : things) {
    if (bytes > kBatchBytesMax) break;
    items.push_back(make(one, &texts));
    bytes += sizeof(Item) + padded8(items.back().text_bytes);
  }
  std::byte* body = begin_frame(out, static_cast<uint8_t>(opcode) | wire::kReplyBit, Errc::ok,
                                correlation, bytes);
  std::byte* to = put(body, wire::CountBody{static_cast<uint32_t>(items.size()), 0});
  std::string_view rest = texts;
  for (const Item& item : items) {
    to = put_padded(put(to, item), as_bytes(rest.substr(0, item.text_bytes)));
    rest.remove_prefix(item.text_bytes);
  }
  seal_frame(body, bytes);
}

}  // namespace

void answer_topics(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                   std::span<const TopicInfo> topics, const TopicDesk& desk, bool with_details) {
  answer_items<wire::TopicItem>(out, opcode, correlation, topics,
                                [&](const TopicInfo& topic, std::string* texts) {
                                  return topic_item(topic, desk, with_details, texts);
                                });
}

void answer_subscriptions(OutputBuffer& out, wire::Opcode opcode, uint64_t correlation,
                          std::span<const SubscriptionInfo> subscriptions, const TopicPort& topics,
                          bool with_details) {
  answer_items<wire::TopicSubscriptionItem>(
      out, opcode, correlation, subscriptions,
      [&](const SubscriptionInfo& subscription, std::string* texts) {
        return subscription_item(subscription, topics, with_details, texts);
      });
}

void answer_published(OutputBuffer& out, uint64_t correlation,
                      std::span<const PublishEntryResult> results) {
  constexpr size_t kLineBytesMax = 500;
  MR_ASSERT(results.size() <= wire::kPublishMessagesMax);
  std::string texts;
  std::vector<wire::PublishResult> items;
  uint32_t failed = 0;
  for (const PublishEntryResult& result : results) {
    wire::PublishResult item{};
    std::copy(result.id.begin(), result.id.end(), item.message_id);
    item.sequence = result.sequence;
    item.code = static_cast<uint16_t>(result.error);
    const std::string_view text = std::string_view(result.text).substr(0, kLineBytesMax);
    item.text_bytes = static_cast<uint16_t>(text.size());
    texts.append(text);
    items.push_back(item);
    failed += result.error != Errc::ok;
  }
  const size_t bytes = sizeof(wire::ResultsAnswer) + items.size() * sizeof(wire::PublishResult) +
                       padded8(texts.size());
  std::byte* body = begin_frame(out, static_cast<uint8_t>(wire::Opcode::publish) | wire::kReplyBit,
                                Errc::ok, correlation, bytes);
  std::byte* to = put(body, wire::ResultsAnswer{static_cast<uint32_t>(items.size()), failed});
  for (const wire::PublishResult& item : items)
    to = put(to, item);
  put_padded(to, as_bytes(texts));
  seal_frame(body, bytes);
}

}  // namespace millrace::net

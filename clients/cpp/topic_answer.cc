#include "clients/cpp/topic_answer.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "clients/cpp/frame.h"
#include "clients/cpp/setting_texts.h"

namespace millrace::client {
namespace {

// Calls take_one(item, texts, &made) for each item and what lies behind it; nothing if it is false
// once, or if the bytes do not fit.
template <class Item, class Made, class TakeOne>
std::optional<std::vector<Made>> take_items(Bytes body, TakeOne take_one) {
  if (body.size() < sizeof(wire::CountBody)) return std::nullopt;
  const uint32_t count = take<wire::CountBody>(body.data()).count;
  Bytes rest = body.subspan(sizeof(wire::CountBody));
  std::vector<Made> all;
  for (uint32_t i = 0; i < count; ++i) {
    if (rest.size() < sizeof(Item)) return std::nullopt;
    const auto item = take<Item>(rest.data());
    rest = rest.subspan(sizeof item);
    if (padded8(uint64_t{item.text_bytes}) > rest.size()) return std::nullopt;
    Made made;
    if (!take_one(item, rest.first(item.text_bytes), &made)) return std::nullopt;
    all.push_back(std::move(made));
    rest = rest.subspan(padded8(item.text_bytes));
  }
  if (!rest.empty()) return std::nullopt;
  return all;
}

// The next `bytes` of `rest`; false if there are not so many.
bool take_text(Bytes* rest, size_t bytes, std::string* text) {
  if (bytes > rest->size()) return false;
  *text = as_text(rest->first(bytes));
  *rest = rest->subspan(bytes);
  return true;
}

Uuid uuid_in(const uint8_t (&bytes)[16]) {
  Uuid uuid;
  std::copy(std::begin(bytes), std::end(bytes), uuid.begin());
  return uuid;
}

bool take_topic(const wire::TopicItem& item, Bytes texts, TopicDescription* topic) {
  topic->id = TopicId{item.topic_id};
  topic->created_at_ms = item.created_at_ms;
  topic->confirmed = item.confirmed;
  topic->pending = item.pending;
  topic->published = item.published;
  topic->delivered = item.delivered;
  topic->filtered = item.filtered;
  topic->failed = item.failed;
  return take_text(&texts, item.name_bytes, &topic->name) &&
         take_text(&texts, item.arn_bytes, &topic->arn) &&
         take_texts(&texts, item.attributes, &topic->attributes) &&
         take_texts(&texts, item.tags, &topic->tags) && texts.empty();
}

bool take_subscription(const wire::TopicSubscriptionItem& item, Bytes texts,
                       TopicSubscription* subscription) {
  subscription->uuid = uuid_in(item.uuid);
  subscription->id = SubscriptionId{item.subscription_id};
  subscription->created_at_ms = item.created_at_ms;
  subscription->pending = item.pending != 0;
  return take_text(&texts, item.topic_bytes, &subscription->topic) &&
         take_text(&texts, item.protocol_bytes, &subscription->protocol) &&
         take_text(&texts, item.endpoint_bytes, &subscription->endpoint) &&
         take_text(&texts, item.queue_bytes, &subscription->queue) &&
         take_texts(&texts, item.attributes, &subscription->attributes) && texts.empty();
}

}  // namespace

std::optional<std::vector<TopicDescription>> take_topics(Bytes body) {
  return take_items<wire::TopicItem, TopicDescription>(body, take_topic);
}

std::optional<std::vector<TopicSubscription>> take_subscriptions(Bytes body) {
  return take_items<wire::TopicSubscriptionItem, TopicSubscription>(body, take_subscription);
}

std::optional<std::vector<PublishedMessage>> take_published(Bytes body) {
  if (body.size() < sizeof(wire::ResultsAnswer)) return std::nullopt;
  const uint64_t count = take<wire::ResultsAnswer>(body.data()).count;
  const uint64_t items = count * sizeof(wire::PublishResult);
  if (items > body.size() - sizeof(wire::ResultsAnswer)) return std::nullopt;
  const std::byte* at = body.data() + sizeof(wire::ResultsAnswer);
  Bytes texts = body.subspan(sizeof(wire::ResultsAnswer) + items);
  std::vector<PublishedMessage> messages;
  size_t text_bytes = 0;
  for (uint64_t i = 0; i < count; ++i, at += sizeof(wire::PublishResult)) {
    const auto item = take<wire::PublishResult>(at);
    PublishedMessage message{
        static_cast<Errc>(item.code), {}, uuid_in(item.message_id), item.sequence};
    if (!take_text(&texts, item.text_bytes, &message.text)) return std::nullopt;
    text_bytes += item.text_bytes;
    messages.push_back(std::move(message));
  }
  if (texts.size() != padded8(text_bytes) - text_bytes) return std::nullopt;
  return messages;
}

}  // namespace millrace::client

#include "engine/topic_records.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/printable.h"
#include "engine/definition_texts.h"
#include "engine/record_check.h"
#include "engine/topic_attributes.h"

namespace millrace::engine {
namespace {

// All but what the fixed parts have.
template <class Attributes, class Row>
void add_attributes(std::span<const Row> table, const Attributes& attributes,
                    DefinitionTextWriter* texts) {
  const Attributes fresh;
  for (const Row& row : table) {
    if (row.in_definition) continue;
    const auto value = row.write(row, attributes);
    if (value && value != row.write(row, fresh))
      texts->add(DefinitionTextKind::attribute, row.name, *value);
  }
}

template <class Attributes, class Row>
std::string take_attribute(const Row* row, std::string_view name, std::string_view value,
                           Attributes* attributes) {
  if (row == nullptr) return unknown_attribute_text(name);
  const std::string wrong = row->read(*row, value, attributes);
  if (wrong.empty()) return {};
  return fmt::format("has '{}' for its {}; to this version {}", base::printable(value), name,
                     wrong);
}

void say(std::string* why, std::string text) {
  if (why->empty()) *why = std::move(text);
}

}  // namespace

std::vector<std::byte> encode_topic(const TopicInfo& topic) {
  DefinitionTextWriter texts;
  add_attributes(topic_attribute_table(), topic.attributes, &texts);
  for (const NamedText& tag : topic.attributes.tags)
    texts.add(DefinitionTextKind::tag, tag.name, tag.value);
  const TopicDefinition head{
      raw(topic.id),
      static_cast<uint32_t>(topic.name.size()),
      topic.created_at_ms,
      topic.attributes.message_bytes_max,
      static_cast<uint8_t>((topic.attributes.fifo ? kTopicFifo : 0) |
                           (topic.attributes.content_deduplication ? kTopicContentDedup : 0)),
      0,
      raw(topic.home),
      texts.count,
      0,
      0};
  std::vector<std::byte> body;
  append_bytes(&body, bytes_of(head));
  append_bytes(&body, as_bytes(topic.name));
  append_bytes(&body, texts.bytes);
  return body;
}

std::optional<TopicInfo> decode_topic(Bytes body, std::string* why) {
  const auto head = read_head<TopicDefinition>(body);
  if (!head || body.size() - sizeof *head < head->name_bytes) {
    say(why, "the catalog has a definition of a topic that can't be read");
    return std::nullopt;
  }
  if (const std::string_view wrong = wrong_with(*head); !wrong.empty()) {
    say(why, fmt::format("the catalog has a definition of a topic that can't be: {}", wrong));
    return std::nullopt;
  }
  TopicInfo topic;
  topic.id = TopicId{head->topic_id};
  topic.name = as_text(body.subspan(sizeof *head, head->name_bytes));
  topic.created_at_ms = head->created_at_ms;
  topic.home = ShardId{head->home};
  topic.attributes.fifo = (head->flags & kTopicFifo) != 0;
  topic.attributes.content_deduplication = (head->flags & kTopicContentDedup) != 0;
  topic.attributes.message_bytes_max = head->message_bytes_max;
  const auto take = [&](DefinitionTextKind kind, std::string_view name, std::string_view value) {
    switch (kind) {
      case DefinitionTextKind::attribute:
        return take_attribute(find_topic_attribute(name), name, value, &topic.attributes);
      case DefinitionTextKind::tag:
        topic.attributes.tags.push_back({std::string(name), std::string(value)});
        return std::string();
      case DefinitionTextKind::modified:
        break;
    }
    return unknown_text_kind(kind);
  };
  const std::string wrong =
      take_definition_texts(body.subspan(sizeof *head + head->name_bytes), head->texts, take);
  if (wrong.empty()) return topic;
  say(why, fmt::format("the topic '{}' {}", base::printable(topic.name), wrong));
  return std::nullopt;
}

std::vector<std::byte> encode_subscription(const SubscriptionInfo& subscription) {
  DefinitionTextWriter texts;
  add_attributes(subscription_attribute_table(), subscription.attributes, &texts);
  SubscriptionDefinition head{
      raw(subscription.id),
      raw(subscription.topic),
      {},
      subscription.created_at_ms,
      static_cast<uint16_t>(subscription.protocol.size()),
      static_cast<uint16_t>(subscription.endpoint.size()),
      static_cast<uint16_t>(subscription.queue.size()),
      static_cast<uint16_t>(subscription.token.size()),
      texts.count,
      static_cast<uint8_t>(
          (subscription.pending ? kSubscriptionPending : 0) |
          (subscription.authenticated_unsubscribe ? kSubscriptionAuthenticatedEnd : 0)),
      0,
      0};
  std::copy(subscription.uuid.begin(), subscription.uuid.end(), std::begin(head.uuid));
  std::vector<std::byte> body;
  append_bytes(&body, bytes_of(head));
  for (const std::string* text :
       {&subscription.protocol, &subscription.endpoint, &subscription.queue, &subscription.token})
    append_bytes(&body, as_bytes(*text));
  append_bytes(&body, texts.bytes);
  return body;
}

std::optional<SubscriptionInfo> decode_subscription(Bytes body, std::string* why) {
  const auto head = read_head<SubscriptionDefinition>(body);
  if (!head || body.size() - sizeof *head < uint64_t{head->protocol_bytes} + head->endpoint_bytes +
                                                head->queue_bytes + head->token_bytes) {
    say(why, "the catalog has a definition of a subscription that can't be read");
    return std::nullopt;
  }
  if (const std::string_view wrong = wrong_with(*head); !wrong.empty()) {
    say(why,
        fmt::format("the catalog has a definition of a subscription that can't be: {}", wrong));
    return std::nullopt;
  }
  SubscriptionInfo subscription;
  subscription.id = SubscriptionId{head->subscription_id};
  subscription.topic = TopicId{head->topic_id};
  std::copy(std::begin(head->uuid), std::end(head->uuid), subscription.uuid.begin());
  subscription.created_at_ms = head->created_at_ms;
  subscription.pending = (head->flags & kSubscriptionPending) != 0;
  subscription.authenticated_unsubscribe = (head->flags & kSubscriptionAuthenticatedEnd) != 0;
  Bytes rest = body.subspan(sizeof *head);
  const std::pair<std::string*, uint16_t> parts[] = {{&subscription.protocol, head->protocol_bytes},
                                                     {&subscription.endpoint, head->endpoint_bytes},
                                                     {&subscription.queue, head->queue_bytes},
                                                     {&subscription.token, head->token_bytes}};
  for (const auto& [text, bytes] : parts) {
    *text = as_text(rest.first(bytes));
    rest = rest.subspan(bytes);
  }
  const auto take = [&](DefinitionTextKind kind, std::string_view name, std::string_view value) {
    if (kind != DefinitionTextKind::attribute) return unknown_text_kind(kind);
    return take_attribute(find_subscription_attribute(name), name, value, &subscription.attributes);
  };
  const std::string wrong = take_definition_texts(rest, head->texts, take);
  if (wrong.empty()) return subscription;
  say(why,
      fmt::format("the subscription of '{}' {}", base::printable(subscription.endpoint), wrong));
  return std::nullopt;
}

}  // namespace millrace::engine

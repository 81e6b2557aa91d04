// The requests of Client about topics, subscriptions and publishes.
#include <algorithm>
#include <string>
#include <utility>

#include "clients/cpp/client.h"
#include "clients/cpp/setting_texts.h"

namespace millrace::client {
namespace {

using wire::Opcode;

// A longer name is refused by the server, not here.
constexpr size_t kTopicTextBytesMax = 2'048;

wire::TopicSubscriptionRef ref_of(const Uuid& subscription) {
  wire::TopicSubscriptionRef ref{};
  std::copy(subscription.begin(), subscription.end(), ref.uuid);
  return ref;
}

}  // namespace

Result<RequestId> Client::named(Opcode opcode, std::string_view name, Callback callback) {
  if (name.size() > kTopicTextBytesMax) return fail(Errc::topic_not_found);
  Result<Draft> draft = begin(opcode, padded8(name.size()), std::move(callback));
  if (!draft) return fail(draft.error());
  put_padded(draft->body, as_bytes(name));
  return finish(*draft);
}

Result<RequestId> Client::create_topic(std::string_view name, const TopicSettings& settings,
                                       Callback done) {
  return change_topic(Opcode::topic_create, name, settings, std::move(done));
}

Result<RequestId> Client::set_topic(std::string_view name, const TopicSettings& settings,
                                    Callback done) {
  return change_topic(Opcode::topic_set, name, settings, std::move(done));
}

Result<RequestId> Client::change_topic(Opcode opcode, std::string_view name,
                                       const TopicSettings& settings, Callback done) {
  if (name.size() > kTopicTextBytesMax) return fail(Errc::invalid_argument);
  const std::string texts = texts_of(name, settings);
  if (!fit_a_frame(settings, texts.size(), wire::kTopicSettingsBytesMax))
    return fail(Errc::invalid_argument);
  Result<Draft> draft =
      begin(opcode, sizeof(wire::SettingsBody) + padded8(texts.size()), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body, settings_body(name.size(), settings)), as_bytes(texts));
  return finish(*draft);
}

Result<RequestId> Client::delete_topic(std::string_view name, Callback done) {
  return named(Opcode::topic_delete, name, std::move(done));
}

Result<RequestId> Client::show_topic(std::string_view name, Callback done) {
  return named(Opcode::topic_show, name, std::move(done));
}

Result<RequestId> Client::list_topics(std::string_view prefix, std::string_view after, uint32_t max,
                                      Callback done) {
  if (prefix.size() > kTopicTextBytesMax || after.size() > kTopicTextBytesMax)
    return fail(Errc::invalid_argument);
  const std::string texts = std::string(prefix) + std::string(after);
  Result<Draft> draft =
      begin(Opcode::topic_list, sizeof(wire::ListBody) + padded8(texts.size()), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body, wire::ListBody{max, static_cast<uint16_t>(prefix.size()),
                                             static_cast<uint16_t>(after.size())}),
             as_bytes(texts));
  return finish(*draft);
}

Result<RequestId> Client::subscribe_topic(std::string_view topic, std::string_view protocol,
                                          std::string_view endpoint,
                                          std::span<const NamedText> attributes, Callback done) {
  if (std::max({topic.size(), protocol.size(), endpoint.size()}) > kTopicTextBytesMax)
    return fail(Errc::invalid_argument);
  std::string texts = std::string(topic).append(protocol).append(endpoint);
  add_texts(&texts, attributes);
  const QueueSettings counted{.attributes = {attributes.begin(), attributes.end()}};
  if (!fit_a_frame(counted, texts.size(), wire::kTopicSettingsBytesMax))
    return fail(Errc::invalid_argument);
  Result<Draft> draft =
      begin(Opcode::topic_subscribe, sizeof(wire::TopicSubscribeBody) + padded8(texts.size()),
            std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body, wire::TopicSubscribeBody{static_cast<uint16_t>(topic.size()),
                                                       static_cast<uint16_t>(protocol.size()),
                                                       static_cast<uint16_t>(endpoint.size()),
                                                       static_cast<uint16_t>(attributes.size())}),
             as_bytes(texts));
  return finish(*draft);
}

Result<RequestId> Client::set_subscription(const Uuid& subscription,
                                           std::span<const NamedText> attributes, Callback done) {
  const QueueSettings settings{.attributes = {attributes.begin(), attributes.end()}};
  const std::string texts = texts_of({}, settings);
  if (!fit_a_frame(settings, texts.size(), wire::kTopicSettingsBytesMax))
    return fail(Errc::invalid_argument);
  Result<Draft> draft =
      begin(Opcode::subscription_set,
            sizeof(wire::TopicSubscriptionRef) + sizeof(wire::SettingsBody) + padded8(texts.size()),
            std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(put(draft->body, ref_of(subscription)), settings_body(0, settings)),
             as_bytes(texts));
  return finish(*draft);
}

Result<RequestId> Client::unsubscribe_topic(const Uuid& subscription, Callback done) {
  Result<Draft> draft =
      begin(Opcode::topic_unsubscribe, sizeof(wire::TopicSubscriptionRef), std::move(done));
  if (!draft) return fail(draft.error());
  put(draft->body, ref_of(subscription));
  return finish(*draft);
}

Result<RequestId> Client::list_subscriptions(std::string_view topic, SubscriptionId after,
                                             uint32_t max, bool with_attributes, Callback done) {
  if (topic.size() > kTopicTextBytesMax) return fail(Errc::topic_not_found);
  Result<Draft> draft =
      begin(Opcode::subscription_list,
            sizeof(wire::TopicSubscriptionListBody) + padded8(topic.size()), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(
      put(draft->body,
          wire::TopicSubscriptionListBody{max, raw(after), static_cast<uint16_t>(topic.size()),
                                          static_cast<uint16_t>(with_attributes ? 1 : 0), 0}),
      as_bytes(topic));
  return finish(*draft);
}

Result<RequestId> Client::publish(std::string_view topic, const PublishBatch& batch,
                                  Callback done) {
  if (batch.empty()) return fail(Errc::batch_empty);
  if (topic.size() > kTopicTextBytesMax) return fail(Errc::topic_not_found);
  const size_t name_bytes = padded8(topic.size());
  Result<Draft> draft =
      begin(Opcode::publish, sizeof(wire::PublishBody) + name_bytes + batch.items().size(),
            std::move(done));
  if (!draft) return fail(draft.error());
  std::byte* at =
      put(draft->body, wire::PublishBody{batch.count(), static_cast<uint16_t>(topic.size()), 0});
  put_padded(put_padded(at, as_bytes(topic)), batch.items());
  return finish(*draft);
}

}  // namespace millrace::client

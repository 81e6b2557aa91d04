// TOPIC_SUBSCRIBE, SUBSCRIPTION_SET, TOPIC_UNSUBSCRIBE, SUBSCRIPTION_LIST.
#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/printable.h"
#include "engine/topic_attributes.h"
#include "net/binary/answers.h"
#include "net/binary/handlers.h"
#include "net/binary/settings.h"
#include "net/binary/topic_items.h"

namespace millrace::net {
namespace {

using wire::Opcode;

constexpr uint32_t kSubscriptionListMax = 1000;
constexpr Handlers::SettingRights kSubscriptionSettings{
    rights::kSetSubscription, rights::kSetSubscription, rights::kSetSubscription};

// Empty, or what is wrong with the names of attributes.
std::string subscription_names_fault(const TopicSettings& settings) {
  for (const NamedText& one : settings.attributes)
    if (engine::find_subscription_attribute(one.name) == nullptr)
      return fmt::format("'{}' is no attribute of a subscription", base::printable(one.name));
  return {};
}

Uuid uuid_of(const wire::TopicSubscriptionRef& ref) {
  Uuid uuid;
  std::copy(std::begin(ref.uuid), std::end(ref.uuid), uuid.begin());
  return uuid;
}

// The name of the topic that it is of; empty: it is gone.
std::string_view topic_of(const TopicPort& topics, const SubscriptionInfo* subscription) {
  const TopicInfo* topic = subscription == nullptr ? nullptr : topics.find(subscription->topic);
  return topic == nullptr ? std::string_view() : std::string_view(topic->name);
}

constexpr std::string_view kNoSubscription = "there is no such subscription";

}  // namespace

void Handlers::topic_subscribe(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const auto head = take<wire::TopicSubscribeBody>(frame.body.data());
  const Bytes texts = frame.body.subspan(sizeof head);
  const uint64_t correlation = frame.header.correlation;
  const size_t named = size_t{head.topic_bytes} + head.protocol_bytes + head.endpoint_bytes;
  if (named > texts.size()) return texts_do_not_fit(session, texts);
  SubscribeRequest asked;
  Bytes rest = texts.subspan(named);
  if (!take_items(&rest, head.attributes, &asked.settings.attributes) ||
      padded8(texts.size() - rest.size()) != texts.size())
    return texts_do_not_fit(session, texts);
  const std::string_view name = as_text(texts.first(head.topic_bytes));
  const std::string_view protocol = as_text(texts.subspan(head.topic_bytes, head.protocol_bytes));
  const std::string_view endpoint =
      as_text(texts.subspan(size_t{head.topic_bytes} + head.protocol_bytes, head.endpoint_bytes));
  if (!session.allows_named(correlation, rights::kSubscribe, name)) return;
  const TopicInfo* topic = find_topic(session, frame, name);
  if (topic == nullptr) return;
  asked.topic = topic->id;
  std::string kept;
  std::string fault = session.setting_.topics->read_endpoint(protocol, endpoint, &asked, &kept);
  if (fault.empty()) fault = subscription_names_fault(asked.settings);
  if (!fault.empty()) return session.refuse(correlation, Errc::invalid_argument, fault);
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.note_topic(reply.token, AuditEvent::subscribed, rights::kSubscribe.action, name);
  session.port().topics().subscribe(asked, reply);
}

void Handlers::subscription_set(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const auto ref = take<wire::TopicSubscriptionRef>(frame.body.data());
  const auto head = take<wire::SettingsBody>(frame.body.data() + sizeof ref);
  const Bytes texts = frame.body.subspan(sizeof ref + sizeof head);
  const uint64_t correlation = frame.header.correlation;
  std::string_view name;
  TopicSettings settings;
  if (!take_settings(head, texts, &name, &settings) || !name.empty() || !settings.tags.empty() ||
      !settings.untagged.empty())
    return texts_do_not_fit(session, texts);
  TopicPort& topics = session.port().topics();
  const SubscriptionInfo* subscription = topics.find(uuid_of(ref));
  const std::string_view topic = topic_of(topics, subscription);
  if (!allows_settings(session, frame, settings, kSubscriptionSettings, topic)) return;
  if (topic.empty())
    return session.refuse(correlation, Errc::subscription_not_found, kNoSubscription);
  if (const std::string fault = subscription_names_fault(settings); !fault.empty())
    return session.refuse(correlation, Errc::invalid_argument, fault);
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.note_topic(reply.token, AuditEvent::subscription_changed, rights::kSetSubscription.action,
                     topic);
  topics.set(subscription->id, settings, reply);
}

void Handlers::topic_unsubscribe(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const auto ref = take<wire::TopicSubscriptionRef>(frame.body.data());
  const uint64_t correlation = frame.header.correlation;
  TopicPort& topics = session.port().topics();
  const SubscriptionInfo* subscription = topics.find(uuid_of(ref));
  const std::string_view topic = topic_of(topics, subscription);
  if (!session.allows_named(correlation, rights::kUnsubscribe, topic)) return;
  if (topic.empty())
    return session.refuse(correlation, Errc::subscription_not_found, kNoSubscription);
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.note_topic(reply.token, AuditEvent::unsubscribed, rights::kUnsubscribe.action, topic);
  topics.unsubscribe(subscription->id, reply);
}

void Handlers::subscription_list(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const auto body = take<wire::TopicSubscriptionListBody>(frame.body.data());
  const Bytes rest = frame.body.subspan(sizeof body);
  const uint64_t correlation = frame.header.correlation;
  if (padded8(body.topic_bytes) != rest.size())
    return session.fail_connection(
        Errc::malformed, fmt::format("a topic's name of {} bytes does not fit the {} it has",
                                     body.topic_bytes, rest.size()));
  if (body.max == 0 || body.max > kSubscriptionListMax || body.details > 1)
    return session.refuse(correlation, Errc::invalid_argument,
                          fmt::format("max is {} and details {}; allowed are 1 to {}, and 0 and 1",
                                      body.max, body.details, kSubscriptionListMax));
  const std::string_view name = as_text(rest.first(body.topic_bytes));
  if (!session.allows_named(correlation,
                            name.empty() ? rights::kListSubscriptions : rights::kListOfTopic, name))
    return;
  if (body.details == 1 && !session.allows_named(correlation, rights::kGetSubscription, name))
    return;
  TopicId topic{};
  if (!name.empty()) {
    const TopicInfo* found = find_topic(session, frame, name);
    if (found == nullptr) return;
    topic = found->id;
  }
  if (session.overfull())
    return session.refuse(correlation, Errc::throttled, errc_text(Errc::throttled));
  std::vector<SubscriptionInfo> subscriptions;
  session.port().topics().list(topic, SubscriptionId{body.after}, body.max, &subscriptions);
  answer_subscriptions(session.output_, Opcode::subscription_list, correlation, subscriptions,
                       session.port().topics(), body.details == 1);
  session.mark_dirty();
}

}  // namespace millrace::net

// TOPIC_CREATE, TOPIC_SET, TOPIC_DELETE, TOPIC_SHOW, TOPIC_LIST; what the shard answers about
// topics.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/printable.h"
#include "engine/topic_attributes.h"
#include "net/binary/answers.h"
#include "net/binary/handlers.h"
#include "net/binary/settings.h"
#include "net/binary/topic_items.h"

namespace millrace::net {
namespace {

using wire::Opcode;

constexpr uint32_t kTopicListMax = 1000;
constexpr Handlers::SettingRights kTopicSettings{rights::kSetTopicAttributes, rights::kTagTopic,
                                                 rights::kUntagTopic};

// Empty, or what is wrong with the names of attributes.
std::string names_fault(const TopicSettings& settings, bool creates) {
  for (const NamedText& one : settings.attributes) {
    const engine::TopicAttributeRow* row = engine::find_topic_attribute(one.name);
    if (row == nullptr)
      return fmt::format("'{}' is no attribute of a topic", base::printable(one.name));
    if (row->at_creation && !creates)
      return fmt::format("'{}' can only be set when a topic is made", one.name);
  }
  return {};
}

// The engine speaks of topics in SNS's words, for SNS's clients.
std::string in_plain_words(std::string_view detail) {
  if (detail == "Topic Name")
    return fmt::format(
        "a topic's name is 1 to {} of A-Z a-z 0-9 _ -; of a FIFO topic, and only of one, the last "
        "five are .fifo",
        kTopicNameBytesMax);
  for (const std::string_view opening :
       {"Invalid parameter: ", "Attributes Reason: ", "Tags Reason: ", "Endpoint Reason: "})
    if (detail.starts_with(opening)) detail.remove_prefix(opening.size());
  return std::string(detail);
}

// Those with the prefix, by name, that are greater than `after`.
std::vector<TopicInfo> topics_with(const TopicPort& topics, std::string_view prefix,
                                   std::string_view after, uint32_t max) {
  std::vector<TopicInfo> found;
  if (after < prefix) {
    // Names with a prefix begin with it, and it may be one itself.
    if (const TopicInfo* topic = topics.find(prefix)) found.push_back(*topic);
    after = prefix;
  }
  if (found.size() < max) topics.list(after, max - static_cast<uint32_t>(found.size()), &found);
  const auto end = std::find_if_not(found.begin(), found.end(), [&](const TopicInfo& topic) {
    return std::string_view(topic.name).starts_with(prefix);
  });
  found.erase(end, found.end());
  return found;
}

}  // namespace

bool Handlers::has_topics(Session& session, const Frame& frame) {
  if (session.setting_.topics != nullptr) return true;
  session.refuse(frame.header.correlation, Errc::unsupported, "this server has no topics");
  return false;
}

const TopicInfo* Handlers::find_topic(Session& session, const Frame& frame, std::string_view name) {
  const TopicInfo* topic = session.port().topics().find(name);
  if (topic == nullptr)
    session.refuse(frame.header.correlation, Errc::topic_not_found,
                   fmt::format("there is no topic '{}'", base::printable(name)));
  return topic;
}

void Handlers::topic_create(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const auto head = take<wire::SettingsBody>(frame.body.data());
  const Bytes texts = frame.body.subspan(sizeof head);
  const uint64_t correlation = frame.header.correlation;
  std::string_view name;
  TopicSettings settings;
  if (!take_settings(head, texts, &name, &settings)) return texts_do_not_fit(session, texts);
  if (!session.allows_named(correlation, rights::kCreateTopic, name)) return;
  if (!allows_settings(session, frame, settings, kTopicSettings, name)) return;
  std::string fault = names_fault(settings, true);
  if (fault.empty()) fault = session.setting_.topics->settings_fault(settings);
  if (!fault.empty()) return session.refuse(correlation, Errc::invalid_argument, fault);
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.note_topic(reply.token, AuditEvent::topic_created, rights::kCreateTopic.action, name);
  session.port().topics().create(name, settings, reply);
}

void Handlers::topic_set(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const auto head = take<wire::SettingsBody>(frame.body.data());
  const Bytes texts = frame.body.subspan(sizeof head);
  const uint64_t correlation = frame.header.correlation;
  std::string_view name;
  TopicSettings settings;
  if (!take_settings(head, texts, &name, &settings)) return texts_do_not_fit(session, texts);
  if (!allows_settings(session, frame, settings, kTopicSettings, name)) return;
  const TopicInfo* topic = find_topic(session, frame, name);
  if (topic == nullptr) return;
  std::string fault = names_fault(settings, false);
  if (fault.empty()) fault = session.setting_.topics->settings_fault(settings);
  if (!fault.empty()) return session.refuse(correlation, Errc::invalid_argument, fault);
  const bool of_policy =
      std::any_of(settings.attributes.begin(), settings.attributes.end(),
                  [](const NamedText& attribute) { return attribute.name == "Policy"; });
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.note_topic(reply.token,
                     of_policy ? AuditEvent::policy_changed : AuditEvent::topic_changed,
                     rights::kSetTopicAttributes.action, name);
  session.port().topics().set(topic->id, settings, reply);
}

void Handlers::topic_delete(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const std::string_view name = without_padding(frame.body);
  if (!session.allows_named(frame.header.correlation, rights::kDeleteTopic, name)) return;
  const TopicInfo* topic = find_topic(session, frame, name);
  if (topic == nullptr) return;
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.note_topic(reply.token, AuditEvent::topic_deleted, rights::kDeleteTopic.action, name);
  session.port().topics().remove(topic->id, reply);
}

void Handlers::topic_show(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const std::string_view name = without_padding(frame.body);
  const uint64_t correlation = frame.header.correlation;
  if (!session.allows_named(correlation, rights::kGetTopicAttributes, name)) return;
  if (!session.allows_named(correlation, rights::kListTopicTags, name)) return;
  const TopicInfo* topic = find_topic(session, frame, name);
  if (topic == nullptr) return;
  answer_topics(session.output_, Opcode::topic_show, correlation, {topic, 1},
                *session.setting_.topics, true);
  session.mark_dirty();
}

void Handlers::topic_list(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const auto body = take<wire::ListBody>(frame.body.data());
  const Bytes rest = frame.body.subspan(sizeof body);
  const uint64_t correlation = frame.header.correlation;
  if (padded8(uint64_t{body.prefix_bytes} + body.after_bytes) != rest.size())
    return session.fail_connection(
        Errc::malformed,
        fmt::format("a prefix of {} and a name of {} bytes do not fit the {} bytes they have",
                    body.prefix_bytes, body.after_bytes, rest.size()));
  if (body.prefix_bytes > kTopicNameBytesMax || body.after_bytes > kTopicNameBytesMax)
    return session.refuse(
        correlation, Errc::invalid_argument,
        fmt::format("a prefix of {} and a name of {} bytes; allowed are up to {} of each",
                    body.prefix_bytes, body.after_bytes, kTopicNameBytesMax));
  if (body.max == 0 || body.max > kTopicListMax)
    return session.refuse(correlation, Errc::invalid_argument,
                          fmt::format("max is {}; allowed are 1 to {}", body.max, kTopicListMax));
  if (!session.allows_named(correlation, rights::kListTopics, {})) return;
  if (session.overfull())
    return session.refuse(correlation, Errc::throttled, errc_text(Errc::throttled));
  const std::vector<TopicInfo> topics =
      topics_with(session.port().topics(), as_text(rest.first(body.prefix_bytes)),
                  as_text(rest.subspan(body.prefix_bytes, body.after_bytes)), body.max);
  answer_topics(session.output_, Opcode::topic_list, correlation, topics, *session.setting_.topics,
                false);
  session.mark_dirty();
}

// --- what the shard answers ---

void Session::on_topics(uint64_t token, const TopicReply& reply) {
  const PendingRequest request = close_request(token);
  tell_note(token, request.correlation, reply.error);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error, kWholeRequest, in_plain_words(reply.detail));
    return;
  }
  switch (request.opcode) {
    case Opcode::topic_create:
      MR_ASSERT(reply.topics.size() == 1);
      answer_topics(output_, request.opcode, request.correlation, reply.topics, *setting_.topics,
                    false);
      break;
    case Opcode::topic_subscribe:
      MR_ASSERT(reply.subscriptions.size() == 1);
      answer_subscriptions(output_, request.opcode, request.correlation, reply.subscriptions,
                           port().topics(), false);
      break;
    default:
      answer_empty(output_, request.opcode, request.correlation);
  }
  mark_dirty();
}

}  // namespace millrace::net

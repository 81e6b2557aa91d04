#include "engine/topics_keeper.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/crash_point.h"
#include "engine/limits.h"
#include "engine/outbox.h"
#include "engine/topic_attributes.h"
#include "engine/topic_records.h"
#include "millrace/named_text.h"
#include "storage/format.h"

namespace millrace::engine {
namespace {

constexpr size_t kProtocolBytesMax = 32;
constexpr size_t kEndpointBytesMax = 2'048;
constexpr size_t kTokenBytesMax = 255;

TopicsKeeper::Decided no(Errc error, std::string detail = {}) {
  return {error, std::move(detail), {}};
}
TopicsKeeper::Decided yes(TopicChange change) {
  return {Errc::ok, {}, std::make_shared<const TopicChange>(std::move(change))};
}

bool is_fifo(std::string_view queue) {
  return queue.ends_with(".fifo");
}

}  // namespace

// --- the log ---

void TopicsKeeper::place(uint32_t id, const storage::Record& record) {
  unplace(id);
  const Place place{record.position, storage::record_stride(record.body.size())};
  log_->add_live(place.position, place.bytes);
  places_[id] = place;
}

void TopicsKeeper::unplace(uint32_t id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return;
  log_->remove_live(found->second.position, found->second.bytes);
  places_.erase(found);
}

std::string TopicsKeeper::on_topic(const storage::Record& record) {
  std::string why;
  auto topic = decode_topic(record.body, &why);
  if (!topic) return why;
  const TopicInfo* by_id = topics_.find(topic->id);
  const TopicInfo* by_name = topics_.find(topic->name);
  if (by_id != by_name) return "it gives a topic another name, or another topic its name";
  next_id_ = std::max(next_id_, raw(topic->id) + 1);
  place(raw(topic->id), record);
  auto early = early_.extract(topic->id);
  topics_.apply({.topic = std::move(*topic)});
  if (!early.empty())
    for (SubscriptionInfo& subscription : early.mapped())
      topics_.apply({.subscription = std::move(subscription)});
  return {};
}

std::string TopicsKeeper::on_subscription(const storage::Record& record) {
  std::string why;
  auto subscription = decode_subscription(record.body, &why);
  if (!subscription) return why;
  const SubscriptionInfo* by_id = topics_.find(subscription->id);
  const SubscriptionInfo* by_endpoint =
      topics_.find(subscription->topic, subscription->protocol, subscription->endpoint);
  if (by_id != by_endpoint || by_id != topics_.find(subscription->uuid))
    return "it gives a subscription another endpoint, or another one its endpoint";
  next_id_ = std::max(next_id_, raw(subscription->id) + 1);
  place(raw(subscription->id), record);
  if (topics_.find(subscription->topic) != nullptr) {
    topics_.apply({.subscription = std::move(*subscription)});
    return {};
  }
  auto& early = early_[subscription->topic];
  std::erase_if(early, [&](const SubscriptionInfo& known) { return known.id == subscription->id; });
  early.push_back(std::move(*subscription));
  return {};
}

std::string TopicsKeeper::on_record(const storage::Record& record) {
  constexpr const char* kShort = "it is too short for its kind";
  switch (static_cast<RecordKind>(record.kind)) {
    case RecordKind::topic_put:
      return on_topic(record);
    case RecordKind::subscription_put:
      return on_subscription(record);
    case RecordKind::topic_delete: {
      const auto gone = read_head<TopicGone>(record.body);
      if (!gone) return kShort;
      std::vector<SubscriptionInfo> with_it;
      topics_.list(TopicId{gone->topic_id}, {}, UINT32_MAX, &with_it);
      for (const SubscriptionInfo& subscription : with_it)
        unplace(raw(subscription.id));
      unplace(gone->topic_id);
      topics_.apply({.topic_gone = TopicId{gone->topic_id}});
      return {};
    }
    case RecordKind::subscription_delete: {
      const auto gone = read_head<SubscriptionGone>(record.body);
      if (!gone) return kShort;
      unplace(gone->subscription_id);
      topics_.apply({.subscription_gone = SubscriptionId{gone->subscription_id}});
      return {};
    }
    default:
      return "its kind is not known to this version";
  }
}

Status TopicsKeeper::append(RecordKind kind, Bytes body, storage::Space space) {
  const std::array<Bytes, 1> parts{body};
  const auto position = log_->append(raw(kind), parts, space);
  if (!position) return fail(position.error());
  last_end_ = *position + storage::record_stride(body.size());
  const std::string wrong = on_record({*position, raw(kind), body});
  MR_ASSERT(wrong.empty());
  base::crash_here("catalog-appended");
  return {};
}

TopicsKeeper::Decided TopicsKeeper::put(const TopicInfo& topic, storage::Space space) {
  const auto appended = append(RecordKind::topic_put, encode_topic(topic), space);
  if (!appended) return no(appended.error());
  return yes({.topic = *topics_.find(topic.id)});
}

TopicsKeeper::Decided TopicsKeeper::put(const SubscriptionInfo& subscription,
                                        storage::Space space) {
  const auto appended =
      append(RecordKind::subscription_put, encode_subscription(subscription), space);
  if (!appended) return no(appended.error());
  return yes({.subscription = *topics_.find(subscription.id)});
}

Status TopicsKeeper::carry(const storage::Record& record) {
  const auto kind = static_cast<RecordKind>(record.kind);
  std::string why;
  uint32_t id = 0;
  if (kind == RecordKind::topic_put) {
    if (const auto topic = decode_topic(record.body, &why)) id = raw(topic->id);
  } else if (kind == RecordKind::subscription_put) {
    if (const auto known = decode_subscription(record.body, &why)) id = raw(known->id);
  }
  const auto found = places_.find(id);
  if (found == places_.end() || found->second.position != record.position) return {};
  return append(kind, record.body, storage::Space::cleans);
}

// --- changes ---

TopicsKeeper::Decided TopicsKeeper::decide(const Mail& mail, uint16_t shards, TimeMs now) {
  switch (mail.admin) {
    case AdminKind::topic_create:
      return create(mail, shards, now);
    case AdminKind::topic_set:
      return set(mail);
    case AdminKind::subscribe:
      return subscribe(mail, now);
    case AdminKind::subscription_set:
      return set_subscription(mail);
    case AdminKind::subscription_confirm:
      return confirm(mail);
    default:
      return remove(mail);
  }
}

TopicsKeeper::Decided TopicsKeeper::create(const Mail& mail, uint16_t shards, TimeMs now) {
  TopicInfo wanted;
  std::string detail;
  if (const TopicInfo* known = topics_.find(mail.name)) {
    wanted.attributes = known->attributes;
    const TopicSettings given{.attributes = mail.settings.attributes};
    if (!apply_topic_settings(given, true, &wanted.attributes, &detail))
      return no(Errc::invalid_argument, std::move(detail));
    if (wanted.attributes != known->attributes)
      return no(Errc::topic_exists,
                "Attributes Reason: Topic already exists with different attributes");
    TopicAttributes tagged;
    if (!apply_topic_settings({.tags = mail.settings.tags}, true, &tagged, &detail))
      return no(Errc::invalid_argument, std::move(detail));
    if (!tagged.tags.empty() && tagged.tags != known->attributes.tags)
      return no(Errc::topic_exists, "Tags Reason: Topic already exists with different tags");
    return yes({.topic = *known});
  }
  if (const auto valid = apply_topic_settings(mail.settings, true, &wanted.attributes, &detail);
      !valid)
    return no(valid.error(), std::move(detail));
  if (!is_topic_name(mail.name, wanted.attributes.fifo))
    return no(Errc::invalid_argument, "Topic Name");
  if (topics_.size() >= kTopicsMax || next_id_ > kQueueIdMax)
    return no(Errc::over_limit, fmt::format("there may be {} topics", kTopicsMax));
  wanted.id = TopicId{next_id_};
  wanted.name = mail.name;
  wanted.created_at_ms = now.value;
  if (wanted.attributes.fifo) wanted.home = ShardId{static_cast<uint16_t>(next_id_ % shards)};
  return put(wanted, storage::Space::grows);
}

TopicsKeeper::Decided TopicsKeeper::set(const Mail& mail) {
  const TopicInfo* known = topics_.find(mail.topic_ask->topic);
  if (known == nullptr) return no(Errc::topic_not_found);
  // Who read, changed and set a text does so again if another was faster.
  if (mail.settings.policy_before &&
      value_of(known->attributes.texts, "Policy") != *mail.settings.policy_before)
    return {Errc::throttled, {}, std::make_shared<const TopicChange>(TopicChange{.topic = *known})};
  TopicInfo wanted = *known;
  std::string detail;
  if (const auto valid = apply_topic_settings(mail.settings, false, &wanted.attributes, &detail);
      !valid)
    return no(valid.error(), std::move(detail));
  if (wanted.attributes == known->attributes) return yes({.topic = *known});
  return put(wanted, storage::Space::grows);
}

TopicsKeeper::Decided TopicsKeeper::check(const TopicInfo& topic,
                                          const SubscriptionInfo& subscription,
                                          const SubscriptionInfo* before) const {
  const bool fifo = is_fifo(subscription.queue);
  const std::string& dead = subscription.attributes.dead_letter_queue;
  if (!dead.empty() && fifo != is_fifo(dead))
    return no(Errc::invalid_argument,
              fifo
                  ? "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO "
                    "Topic."
                  : "RedrivePolicy: must use a standard queue as DLQ for a standard queue");
  const bool filters = !subscription.attributes.filter_policy.empty();
  if (filters && (before == nullptr || before->attributes.filter_policy.empty())) {
    if (topics_.filters_of(topic.id) >= kFiltersPerTopicMax)
      return no(Errc::over_limit,
                fmt::format("FilterPolicy: a topic may have {}", kFiltersPerTopicMax));
    if (topics_.filters() >= kFiltersMax)
      return no(Errc::over_limit, fmt::format("FilterPolicy: there may be {}", kFiltersMax));
  }
  return {};
}

TopicsKeeper::Decided TopicsKeeper::subscribe(const Mail& mail, TimeMs now) {
  const TopicAsk& ask = *mail.topic_ask;
  const TopicInfo* topic = topics_.find(ask.topic);
  if (topic == nullptr) return no(Errc::topic_not_found);
  if (ask.protocol.empty() || ask.protocol.size() > kProtocolBytesMax ||
      ask.token.size() > kTokenBytesMax || ask.queue.size() > kQueueNameBytesMax)
    return no(Errc::invalid_argument, "Protocol");
  if (ask.endpoint.empty() || ask.endpoint.size() > kEndpointBytesMax)
    return no(Errc::invalid_argument, "Endpoint");
  if (is_fifo(ask.queue) && !topic->attributes.fifo)
    return no(Errc::invalid_argument,
              "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to "
              "standard SNS topics");
  std::string detail;
  if (const SubscriptionInfo* known = topics_.find(ask.topic, ask.protocol, ask.endpoint)) {
    SubscriptionAttributes wanted = known->attributes;
    if (const auto valid = apply_subscription_settings(mail.settings, &wanted, &detail); !valid)
      return no(valid.error(), std::move(detail));
    if (wanted == known->attributes) return yes({.subscription = *known});
    return no(Errc::subscription_exists,
              "Attributes Reason: Subscription already exists with different attributes");
  }
  SubscriptionInfo wanted;
  if (const auto valid = apply_subscription_settings(mail.settings, &wanted.attributes, &detail);
      !valid)
    return no(valid.error(), std::move(detail));
  if (topics_.subscriptions() >= kSubscriptionsMax || next_id_ > kQueueIdMax)
    return no(Errc::over_limit, fmt::format("there may be {} subscriptions", kSubscriptionsMax));
  if (is_outside(ask.protocol)) {
    if (topic->attributes.fifo)
      return no(Errc::invalid_argument,
                "Invalid parameter: Endpoint Reason: a FIFO topic delivers to queues only");
    if (topics_.outside() >= kOutboxesMax)
      return no(Errc::over_limit,
                fmt::format("there may be {} subscriptions by http and https", kOutboxesMax));
  }
  if (topic->attributes.fifo &&
      topics_.subscriptions_of(topic->id) >= kSubscriptionsPerFifoTopicMax)
    return no(Errc::over_limit,
              fmt::format("a FIFO topic may have {} subscriptions", kSubscriptionsPerFifoTopicMax));
  wanted.id = SubscriptionId{next_id_};
  wanted.topic = topic->id;
  wanted.uuid = ask.uuid;
  wanted.protocol = ask.protocol;
  wanted.endpoint = ask.endpoint;
  wanted.queue = ask.queue;
  wanted.token = ask.token;
  wanted.pending = !ask.token.empty();
  wanted.created_at_ms = now.value;
  if (Decided checked = check(*topic, wanted, nullptr); checked.error != Errc::ok) return checked;
  return put(wanted, storage::Space::grows);
}

TopicsKeeper::Decided TopicsKeeper::set_subscription(const Mail& mail) {
  const SubscriptionInfo* known = topics_.find(mail.topic_ask->subscription);
  if (known == nullptr) return no(Errc::subscription_not_found);
  SubscriptionInfo wanted = *known;
  std::string detail;
  if (const auto valid = apply_subscription_settings(mail.settings, &wanted.attributes, &detail);
      !valid)
    return no(valid.error(), std::move(detail));
  if (wanted.attributes == known->attributes) return yes({.subscription = *known});
  if (Decided checked = check(*topics_.find(known->topic), wanted, known);
      checked.error != Errc::ok)
    return checked;
  return put(wanted, storage::Space::grows);
}

TopicsKeeper::Decided TopicsKeeper::confirm(const Mail& mail) {
  const SubscriptionInfo* known = topics_.find(mail.topic_ask->subscription);
  if (known == nullptr) return no(Errc::subscription_not_found);
  if (!known->pending) return yes({.subscription = *known});
  SubscriptionInfo wanted = *known;
  wanted.pending = false;
  wanted.authenticated_unsubscribe = mail.topic_ask->authenticated;
  return put(wanted, storage::Space::grows);
}

TopicsKeeper::Decided TopicsKeeper::remove(const Mail& mail) {
  const TopicAsk& ask = *mail.topic_ask;
  if (mail.admin == AdminKind::topic_remove) {
    if (topics_.find(ask.topic) == nullptr) return no(Errc::topic_not_found);
    const TopicGone gone{raw(ask.topic), 0};
    const auto appended = append(RecordKind::topic_delete, bytes_of(gone), storage::Space::frees);
    return appended ? yes({.topic_gone = ask.topic}) : no(appended.error());
  }
  if (topics_.find(ask.subscription) == nullptr) return no(Errc::subscription_not_found);
  const SubscriptionGone gone{raw(ask.subscription), 0};
  const auto appended =
      append(RecordKind::subscription_delete, bytes_of(gone), storage::Space::frees);
  return appended ? yes({.subscription_gone = ask.subscription}) : no(appended.error());
}

}  // namespace millrace::engine

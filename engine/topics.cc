#include "engine/topics.h"

#include "engine/outbox.h"

namespace millrace::engine {

const Topics::Entry* Topics::entry(TopicId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

const TopicInfo* Topics::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &found->second->info;
}

const TopicInfo* Topics::find(TopicId id) const {
  const Entry* found = entry(id);
  return found == nullptr ? nullptr : &found->info;
}

const SubscriptionInfo* Topics::find(SubscriptionId id) const {
  const auto found = subscriptions_.find(id);
  return found == subscriptions_.end() ? nullptr : found->second.get();
}

const SubscriptionInfo* Topics::find(const Uuid& uuid) const {
  const auto found = by_uuid_.find(uuid);
  return found == by_uuid_.end() ? nullptr : found->second;
}

const SubscriptionInfo* Topics::find(TopicId topic, std::string_view protocol,
                                     std::string_view endpoint) const {
  const auto found = by_endpoint_.find({topic, std::string(protocol), std::string(endpoint)});
  return found == by_endpoint_.end() ? nullptr : found->second;
}

void Topics::list(std::string_view after, uint32_t max, std::vector<TopicInfo>* topics) const {
  for (auto found = by_name_.upper_bound(after); found != by_name_.end() && topics->size() < max;
       ++found)
    topics->push_back(found->second->info);
}

void Topics::list(TopicId topic, SubscriptionId after, uint32_t max,
                  std::vector<SubscriptionInfo>* subscriptions) const {
  const auto take = [&](const auto& known) {
    for (auto found = known.upper_bound(after); found != known.end() && subscriptions->size() < max;
         ++found)
      subscriptions->push_back(*found->second);
  };
  if (topic == TopicId{}) return take(subscriptions_);
  if (const Entry* found = entry(topic)) take(found->subscriptions);
}

size_t Topics::subscriptions_of(TopicId topic) const {
  const Entry* found = entry(topic);
  return found == nullptr ? 0 : found->subscriptions.size();
}

size_t Topics::filters_of(TopicId topic) const {
  const Entry* found = entry(topic);
  return found == nullptr ? 0 : found->filters;
}

uint64_t Topics::changes_of(TopicId topic) const {
  const Entry* found = entry(topic);
  return found == nullptr ? 0 : found->changes;
}

void Topics::list_outboxes(std::vector<SubscriptionInfo>* subscriptions) const {
  for (const SubscriptionId id : with_outbox_)
    subscriptions->push_back(*subscriptions_.at(id));
}

void Topics::apply(const TopicChange& change) {
  if (change.topic) put(*change.topic);
  if (change.subscription) put(*change.subscription);
  if (change.subscription_gone != SubscriptionId{}) remove(change.subscription_gone);
  if (change.topic_gone != TopicId{}) remove(change.topic_gone);
}

void Topics::copy(const Topics& other) {
  for (const auto& [name, topic] : other.by_name_)
    put(topic->info);
  for (const auto& [id, subscription] : other.subscriptions_)
    put(*subscription);
}

void Topics::put(const TopicInfo& topic) {
  auto& known = by_name_[topic.name];
  if (known == nullptr) known = std::make_unique<Entry>();
  const uint32_t confirmed = known->info.confirmed;
  const uint32_t pending = known->info.pending;
  known->info = topic;
  known->info.confirmed = confirmed;
  known->info.pending = pending;
  by_id_[topic.id] = known.get();
}

void Topics::count(Entry& entry, const SubscriptionInfo& subscription, bool there) {
  ++entry.changes;
  const uint32_t one = there ? 1 : UINT32_MAX;
  (subscription.pending ? entry.info.pending : entry.info.confirmed) += one;
  if (is_outside(subscription.protocol)) {
    outside_ += there ? 1 : SIZE_MAX;
    ++outbox_changes_;
    if (there && !subscription.pending)
      with_outbox_.insert(subscription.id);
    else
      with_outbox_.erase(subscription.id);
  }
  if (subscription.attributes.filter_policy.empty()) return;
  entry.filters += there ? 1 : SIZE_MAX;
  filters_ += there ? 1 : SIZE_MAX;
}

void Topics::put(const SubscriptionInfo& subscription) {
  const auto topic = by_id_.find(subscription.topic);
  if (topic == by_id_.end()) return;
  auto& known = subscriptions_[subscription.id];
  if (known == nullptr) {
    known = std::make_unique<SubscriptionInfo>(subscription);
    topic->second->subscriptions[subscription.id] = known.get();
    by_uuid_[subscription.uuid] = known.get();
    by_endpoint_[{subscription.topic, subscription.protocol, subscription.endpoint}] = known.get();
  } else {
    count(*topic->second, *known, false);
    *known = subscription;
  }
  count(*topic->second, *known, true);
}

void Topics::remove(SubscriptionId id) {
  const auto found = subscriptions_.find(id);
  if (found == subscriptions_.end()) return;
  const SubscriptionInfo& gone = *found->second;
  Entry& topic = *by_id_.at(gone.topic);
  count(topic, gone, false);
  topic.subscriptions.erase(id);
  by_uuid_.erase(gone.uuid);
  by_endpoint_.erase({gone.topic, gone.protocol, gone.endpoint});
  subscriptions_.erase(found);
}

void Topics::remove(TopicId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  Entry& gone = *found->second;
  while (!gone.subscriptions.empty())
    remove(gone.subscriptions.begin()->first);
  const std::string name = gone.info.name;
  by_id_.erase(found);
  by_name_.erase(name);
}

}  // namespace millrace::engine

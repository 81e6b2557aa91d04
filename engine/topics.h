// Topics: which topics and subscriptions exist, as every shard sees them: its own copy, changed
// only by what the catalog's log has made durable (as Catalog is of queues).
//
// Threads: shard-local (each shard has a copy).  Memory: an entry each, and two or three in tables;
// at most kTopicsMax and kSubscriptionsMax.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "millrace/topics.h"

namespace millrace::engine {

// One change: what is now, or what is gone.
struct TopicChange {
  std::optional<TopicInfo> topic{};
  std::optional<SubscriptionInfo> subscription{};
  TopicId topic_gone{};  // with its subscriptions
  SubscriptionId subscription_gone{};
};

class Topics {
 public:
  // All live until what they are about is changed or removed.
  const TopicInfo* find(std::string_view name) const;
  const TopicInfo* find(TopicId id) const;
  const SubscriptionInfo* find(SubscriptionId id) const;
  const SubscriptionInfo* find(const Uuid& uuid) const;
  const SubscriptionInfo* find(TopicId topic, std::string_view protocol,
                               std::string_view endpoint) const;
  // By name, those greater than `after`, at most `max`.
  void list(std::string_view after, uint32_t max, std::vector<TopicInfo>* topics) const;
  // By id, those greater than `after`, at most `max`; of one topic, or (TopicId{}) of all.
  void list(TopicId topic, SubscriptionId after, uint32_t max,
            std::vector<SubscriptionInfo>* subscriptions) const;

  template <class F>
  void for_each(F&& f) const {
    for (const auto& [name, entry] : by_name_)
      f(entry->info);
  }
  size_t size() const { return by_id_.size(); }
  size_t subscriptions() const { return subscriptions_.size(); }
  size_t subscriptions_of(TopicId topic) const;
  // Subscriptions with a filter policy.
  size_t filters() const { return filters_; }
  size_t filters_of(TopicId topic) const;

  // Those that have an outbox, or will once they are confirmed.
  size_t outside() const { return outside_; }
  uint64_t outbox_changes() const { return outbox_changes_; }
  void list_outboxes(std::vector<SubscriptionInfo>* subscriptions) const;

  // Rises with each change of this topic's subscriptions; 0: there was none.
  uint64_t changes_of(TopicId topic) const;

  void apply(const TopicChange& change);
  // All that `other` has, of an empty one.
  void copy(const Topics& other);

 private:
  struct Entry {
    TopicInfo info;
    std::map<SubscriptionId, const SubscriptionInfo*> subscriptions;
    size_t filters = 0;
    uint64_t changes = 0;
  };
  using Endpoint = std::tuple<TopicId, std::string, std::string>;

  void put(const TopicInfo& topic);
  void put(const SubscriptionInfo& subscription);
  void remove(TopicId id);
  void remove(SubscriptionId id);
  // Adds a subscription to the figures of its topic, or takes it away.
  void count(Entry& entry, const SubscriptionInfo& subscription, bool there);
  const Entry* entry(TopicId id) const;

  std::map<std::string, std::unique_ptr<Entry>, std::less<>> by_name_;
  std::unordered_map<TopicId, Entry*> by_id_;
  std::map<SubscriptionId, std::unique_ptr<SubscriptionInfo>> subscriptions_;
  std::map<Uuid, const SubscriptionInfo*> by_uuid_;
  std::map<Endpoint, const SubscriptionInfo*> by_endpoint_;
  std::set<SubscriptionId> with_outbox_;
  uint64_t outbox_changes_ = 0;
  size_t filters_ = 0;
  size_t outside_ = 0;
};

}  // namespace millrace::engine

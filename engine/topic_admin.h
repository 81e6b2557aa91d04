// TopicAdmin: a shard's TopicPort. Changes are asked of the catalog's keeper on shard 0; what is
// known is answered from this shard's copy.
//
// Threads: shard-local.  Memory: none of its own.
#pragma once

#include <functional>

#include "engine/environment.h"
#include "engine/mailbox.h"
#include "engine/topics.h"

namespace millrace::engine {

class TopicAdmin final : public TopicPort {
 public:
  using Ask = std::function<void(MailPtr mail, ReplyTo reply)>;
  // All are the shard's; `ask` mails to the keeper.
  TopicAdmin(const Topics& topics, Environment& environment, Ask ask)
      : topics_(topics), environment_(environment), ask_(std::move(ask)) {}

  void create(std::string_view name, const TopicSettings& settings, ReplyTo reply) override;
  void set(TopicId topic, const TopicSettings& settings, ReplyTo reply) override;
  void remove(TopicId topic, ReplyTo reply) override;
  void subscribe(const SubscribeRequest& request, ReplyTo reply) override;
  void set(SubscriptionId subscription, const TopicSettings& settings, ReplyTo reply) override;
  void confirm(SubscriptionId subscription, bool authenticated, ReplyTo reply) override;
  void unsubscribe(SubscriptionId subscription, ReplyTo reply) override;

  const TopicInfo* find(std::string_view name) const override { return topics_.find(name); }
  const TopicInfo* find(TopicId id) const override { return topics_.find(id); }
  const SubscriptionInfo* find(const Uuid& uuid) const override { return topics_.find(uuid); }
  const SubscriptionInfo* find(SubscriptionId id) const override { return topics_.find(id); }
  uint64_t changes_of(TopicId topic) const override { return topics_.changes_of(topic); }
  uint64_t outbox_changes() const override { return topics_.outbox_changes(); }
  void list_outboxes(std::vector<SubscriptionInfo>* subscriptions) const override {
    topics_.list_outboxes(subscriptions);
  }
  void list(std::string_view after, uint32_t max, std::vector<TopicInfo>* topics) const override {
    topics_.list(after, max, topics);
  }
  void list(TopicId topic, SubscriptionId after, uint32_t max,
            std::vector<SubscriptionInfo>* subscriptions) const override {
    topics_.list(topic, after, max, subscriptions);
  }

 private:
  const Topics& topics_;
  Environment& environment_;
  Ask ask_;
};

}  // namespace millrace::engine

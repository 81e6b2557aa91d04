// FakeTopics: one topic with one subscription, until it is removed; other changes are checked,
// answered and forgotten.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/topic_attributes.h"
#include "millrace/engine.h"

namespace millrace::net::test {

class FakeTopics final : public TopicPort {
 public:
  FakeTopics() {
    topic_.id = TopicId{7};
    topic_.name = "orders";
    topic_.attributes.tags.push_back({"env", "prod"});
    subscription_.id = SubscriptionId{8};
    subscription_.topic = topic_.id;
    subscription_.protocol = "sqs";
    subscription_.endpoint = "arn:aws:sqs:us-east-1:000000000000:jobs";
    subscription_.queue = "jobs";
    subscription_.token = "token";
    subscription_.attributes.raw = true;
  }

  void give_policy(std::string text) { topic_.attributes.texts = {{"Policy", std::move(text)}}; }

  void create(std::string_view name, const TopicSettings& settings, ReplyTo reply) override {
    TopicInfo made = topic_;
    made.name = name;
    answer(settings, true, made, reply);
  }
  void set(TopicId, const TopicSettings& settings, ReplyTo reply) override {
    answer(settings, false, topic_, reply);
  }
  void remove(TopicId, ReplyTo reply) override {
    gone_ = true;
    reply.sink->on_topics(reply.token, {});
  }
  void subscribe(const SubscribeRequest& request, ReplyTo reply) override {
    answer(request.settings, reply);
  }
  void set(SubscriptionId, const TopicSettings& settings, ReplyTo reply) override {
    answer(settings, reply);
  }
  void confirm(SubscriptionId, bool, ReplyTo reply) override { answer(TopicSettings{}, reply); }
  void unsubscribe(SubscriptionId, ReplyTo reply) override {
    reply.sink->on_topics(reply.token, {});
  }

  uint64_t changes_of(TopicId) const override { return gone_ ? 2 : 1; }
  uint64_t outbox_changes() const override { return 0; }
  void list_outboxes(std::vector<SubscriptionInfo>*) const override {}
  const TopicInfo* find(std::string_view name) const override {
    return !gone_ && name == topic_.name ? &topic_ : nullptr;
  }
  const TopicInfo* find(TopicId id) const override {
    return !gone_ && id == topic_.id ? &topic_ : nullptr;
  }
  const SubscriptionInfo* find(const Uuid& uuid) const override {
    return uuid == subscription_.uuid ? &subscription_ : nullptr;
  }
  const SubscriptionInfo* find(SubscriptionId id) const override {
    return id == subscription_.id ? &subscription_ : nullptr;
  }
  void list(std::string_view after, uint32_t max, std::vector<TopicInfo>* topics) const override {
    if (!gone_ && after < topic_.name && max > 0) topics->push_back(topic_);
  }
  void list(TopicId topic, SubscriptionId after, uint32_t max,
            std::vector<SubscriptionInfo>* subscriptions) const override {
    const bool of_it = topic == TopicId{} || topic == topic_.id;
    if (of_it && raw(after) < raw(subscription_.id) && max > 0)
      subscriptions->push_back(subscription_);
  }

 private:
  static void answer(const TopicSettings& settings, bool creates, TopicInfo topic, ReplyTo reply) {
    std::string detail;
    const auto done = engine::apply_topic_settings(settings, creates, &topic.attributes, &detail);
    reply.sink->on_topics(reply.token, {done.error(), detail, {&topic, 1}, {}});
  }
  void answer(const TopicSettings& settings, ReplyTo reply) const {
    SubscriptionInfo made = subscription_;
    std::string detail;
    const auto done = engine::apply_subscription_settings(settings, &made.attributes, &detail);
    reply.sink->on_topics(reply.token, {done.error(), detail, {}, {&made, 1}});
  }

  bool gone_ = false;
  TopicInfo topic_;
  SubscriptionInfo subscription_;
};

}  // namespace millrace::net::test

// SNS's actions: one row of the table, one function to ask the shard and, where it is asked, one to
// answer its reply.
//
// An action is given its input decoded, its topic or subscription found and its caller authorised.
// It refuses, answers at once, or keeps what the answer will need and gives the shard a request
// with wait(). actions.cc has the table; topics.cc, subscriptions.cc, subscription_attributes.cc,
// tags.cc and permissions.cc the families.
//
// Threads: shard-local.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "millrace/engine.h"
#include "net/aws/kept.h"
#include "net/aws/operation.h"
#include "net/aws/service_front.h"
#include "net/delivery/endpoint_desk.h"
#include "net/sns/errors.h"
#include "net/sns/inputs.h"
#include "net/sns/names.h"
#include "net/sns/settings.h"
#include "net/topics/publisher.h"

namespace millrace::net::sns {

class SnsFront;

class Answer : public ServiceAnswer {
 public:
  Answer(SnsFront& front, HttpExchange& exchange, std::string_view region);

  const SnsSettings& settings();
  TopicPort& topics() { return port().topics(); }
  // Null: nothing is delivered outside.
  delivery::EndpointDesk* endpoints();
  // Of the names that the caller uses.
  const std::string& region() const { return region_; }

  std::string topic_arn(std::string_view name);
  std::string subscription_arn(std::string_view topic, const Uuid& uuid);

  // To be given to the shard at once.
  ReplyTo wait();
  // The messages have passed their checks; on_published() of the action follows.
  void publish(TopicId topic, std::string_view name, std::string base_url,
               std::span<const topics::Publication> messages);

 protected:
  friend class SnsFront;
  SnsFront& sns_;
  std::string region_;
};

// The request in hand.
class Request final : public Answer {
 public:
  Request(SnsFront& front, const HttpRequest& request, HttpExchange& exchange,
          const Caller& called);

  const HttpRequest& http;
  const Caller& caller;
  bool anonymous = false;  // nobody signed it, as a link in a notification
  // As it was named, and what there is of it; until the shard is asked.
  std::string_view topic_name{};
  const TopicInfo* topic = nullptr;
  const SubscriptionInfo* subscription = nullptr;

  void use(const Operation& operation) { operation_ = &operation; }
  // What becomes of it is for the audit log. `key`: as it was claimed, where there is no caller.
  void audit(AuditEvent event, std::string_view name, std::string_view claimed_key = {});
  // A change of the topic is one of its policy.
  void audit_policy() {
    if (audited_ != nullptr) audited_->event = AuditEvent::policy_changed;
  }
};

// The shard has replied.
class Reply final : public Answer {
 public:
  Reply(SnsFront& front, HttpExchange& exchange, const Operation& operation,
        std::string_view region, std::string_view kept_text);
  KeptReader request;  // what was kept of it
};

struct Action : Operation {
  // What its input names, as it was given. Null: it names none.
  const Text* (*topic_arn)(const void* input) = nullptr;
  const Text* (*target_arn)(const void* input) = nullptr;    // another name of the topic's
  const Text* (*resource_arn)(const void* input) = nullptr;  // of a topic, for tags
  const Text* (*subscription_arn)(const void* input) = nullptr;
  const Text* (*topic_name)(const void* input) = nullptr;  // it need not exist
  // A topic or subscription that is gone is as good as one that is removed.
  bool may_be_gone = false;
  bool one_text_for_topic = false;  // of one that is missing or misnamed
  bool for_anybody = false;         // the links of a notification: nobody signs them
  void (*ask)(Request& request, const void* input) = nullptr;
  void (*topics)(Reply& reply, const TopicReply& from_shard) = nullptr;
  void (*published)(Reply& reply, const topics::Published& done) = nullptr;

  constexpr void answered_by(void (*by)(Reply&, const TopicReply&)) { topics = by; }
  constexpr void answered_by(void (*by)(Reply&, const topics::Published&)) { published = by; }
};

std::span<const Action> action_table();
const Action* find_action(std::string_view name);

// publish.cc
void publish(Request& request, const PublishInput& input);
void publish_batch(Request& request, const PublishBatchInput& input);
void message_published(Reply& reply, const topics::Published& done);
void batch_published(Reply& reply, const topics::Published& done);

// topics.cc
void create_topic(Request& request, const CreateTopicInput& input);
void delete_topic(Request& request, const TopicInput& input);
void list_topics(Request& request, const ListInput& input);
void get_topic_attributes(Request& request, const TopicInput& input);
void set_topic_attributes(Request& request, const SetTopicAttributesInput& input);
void topic_created(Reply& reply, const TopicReply& from_shard);
void nothing_left(Reply& reply, const TopicReply& from_shard);   // what is gone is well, too
void topic_changed(Reply& reply, const TopicReply& from_shard);  // answers nothing

// subscriptions.cc
void subscribe(Request& request, const SubscribeInput& input);
void confirm_subscription(Request& request, const ConfirmInput& input);
void unsubscribe(Request& request, const SubscriptionInput& input);
void list_subscriptions(Request& request, const ListInput& input);
void list_subscriptions_of_topic(Request& request, const ListByTopicInput& input);
void subscribed(Reply& reply, const TopicReply& from_shard);
void unsubscribed(Reply& reply, const TopicReply& from_shard);

// subscription_attributes.cc
void get_subscription_attributes(Request& request, const SubscriptionInput& input);
void set_subscription_attributes(Request& request, const SetSubscriptionAttributesInput& input);

// tags.cc
void tag_resource(Request& request, const TagResourceInput& input);
void untag_resource(Request& request, const UntagResourceInput& input);
void list_tags(Request& request, const ResourceInput& input);

// permissions.cc
void add_permission(Request& request, const AddPermissionInput& input);
void remove_permission(Request& request, const RemovePermissionInput& input);
void permission_changed(Reply& reply, const TopicReply& from_shard);

}  // namespace millrace::net::sns

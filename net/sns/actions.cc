#include "net/sns/actions.h"

#include <algorithm>
#include <iterator>

namespace millrace::net::sns {
namespace {

template <class Input>
constexpr bool kNamesTopic = requires(Input input) {
  input.topic_arn;
};
template <class Input>
constexpr bool kNamesTarget = requires(Input input) {
  input.target_arn;
};
template <class Input>
constexpr bool kNamesResource = requires(Input input) {
  input.resource_arn;
};
template <class Input>
constexpr bool kNamesSubscription = requires(Input input) {
  input.subscription_arn;
};
template <class Input>
constexpr bool kHasName = requires(Input input) {
  input.name;
};

template <class Input, void (*kAsk)(Request&, const Input&)>
constexpr Action action_of(std::string_view name, const Shape& shape) {
  Action action;
  action.name = name;
  action.input = &shape;
  action.ask = [](Request& request, const void* input) {
    kAsk(request, *static_cast<const Input*>(input));
  };
  if constexpr (kNamesTopic<Input>)
    action.topic_arn = [](const void* input) {
      return &static_cast<const Input*>(input)->topic_arn;
    };
  if constexpr (kNamesTarget<Input>)
    action.target_arn = [](const void* input) {
      return &static_cast<const Input*>(input)->target_arn;
    };
  if constexpr (kNamesResource<Input>)
    action.resource_arn = [](const void* input) {
      return &static_cast<const Input*>(input)->resource_arn;
    };
  if constexpr (kNamesSubscription<Input>)
    action.subscription_arn = [](const void* input) {
      return &static_cast<const Input*>(input)->subscription_arn;
    };
  if constexpr (kHasName<Input>)
    action.topic_name = [](const void* input) { return &static_cast<const Input*>(input)->name; };
  return action;
}

template <auto kAsk>
struct TopicRow : OperationRow<Action> {
  constexpr TopicRow(std::string_view name, const Shape& shape)
      : OperationRow<Action>{action_of<typename InputOf<decltype(kAsk)>::Type, kAsk>(name, shape)} {
  }
  constexpr TopicRow may_be_gone() const {
    TopicRow changed = *this;
    changed.action.may_be_gone = true;
    return changed;
  }
  constexpr TopicRow one_text_for_topic() const {
    TopicRow changed = *this;
    changed.action.one_text_for_topic = true;
    return changed;
  }
  constexpr TopicRow for_anybody() const {
    TopicRow changed = *this;
    changed.action.for_anybody = true;
    return changed;
  }
};

// Messages first: they are looked up most.
constexpr Action kSnsTable[] = {
    TopicRow<publish>("Publish", kPublishShape).then(message_published),
    TopicRow<publish_batch>("PublishBatch", kPublishBatchShape)
        .allowed_as("Publish")
        .then(batch_published),

    TopicRow<create_topic>("CreateTopic", kCreateTopicShape)
        .owner_only()
        .audited_as(AuditEvent::topic_created)
        .then(topic_created),
    TopicRow<delete_topic>("DeleteTopic", kTopicShape)
        .may_be_gone()
        .is_void()
        .audited_as(AuditEvent::topic_deleted)
        .then(nothing_left),
    TopicRow<list_topics>("ListTopics", kListShape).owner_only(),
    TopicRow<get_topic_attributes>("GetTopicAttributes", kTopicShape),
    TopicRow<set_topic_attributes>("SetTopicAttributes", kSetTopicAttributesShape)
        .is_void()
        .audited_as(AuditEvent::topic_changed)
        .then(topic_changed),

    TopicRow<subscribe>("Subscribe", kSubscribeShape)
        .audited_as(AuditEvent::subscribed)
        .then(subscribed),
    TopicRow<confirm_subscription>("ConfirmSubscription", kConfirmShape)
        .one_text_for_topic()
        .for_anybody()
        .audited_as(AuditEvent::subscribed)
        .then(subscribed),
    TopicRow<unsubscribe>("Unsubscribe", kSubscriptionShape)
        .may_be_gone()
        .for_anybody()
        .is_void()
        .owner_only()
        .audited_as(AuditEvent::unsubscribed)
        .then(unsubscribed),
    TopicRow<list_subscriptions>("ListSubscriptions", kListShape).owner_only(),
    TopicRow<list_subscriptions_of_topic>("ListSubscriptionsByTopic", kListByTopicShape),
    TopicRow<get_subscription_attributes>("GetSubscriptionAttributes", kSubscriptionShape)
        .owner_only(),
    TopicRow<set_subscription_attributes>("SetSubscriptionAttributes",
                                          kSetSubscriptionAttributesShape)
        .is_void()
        .owner_only()
        .audited_as(AuditEvent::subscription_changed)
        .then(topic_changed),

    TopicRow<tag_resource>("TagResource", kTagResourceShape)
        .owner_only()
        .audited_as(AuditEvent::topic_changed)
        .then(topic_changed),
    TopicRow<untag_resource>("UntagResource", kUntagResourceShape)
        .owner_only()
        .audited_as(AuditEvent::topic_changed)
        .then(topic_changed),
    TopicRow<list_tags>("ListTagsForResource", kResourceShape).owner_only(),
    TopicRow<add_permission>("AddPermission", kAddPermissionShape)
        .is_void()
        .audited_as(AuditEvent::policy_changed)
        .then(permission_changed),
    TopicRow<remove_permission>("RemovePermission", kRemovePermissionShape)
        .is_void()
        .audited_as(AuditEvent::policy_changed)
        .then(permission_changed),
};

}  // namespace

std::vector<std::string_view> action_names() {
  std::vector<std::string_view> names;
  for (const Operation& operation : kSnsTable)
    names.push_back(operation.name);
  names.push_back("unknown");
  return names;
}

std::span<const Action> action_table() {
  return kSnsTable;
}

const Action* find_action(std::string_view name) {
  const auto found =
      std::find_if(std::begin(kSnsTable), std::end(kSnsTable),
                   [&](const Operation& operation) { return operation.name == name; });
  return found == std::end(kSnsTable) ? nullptr : found;
}

}  // namespace millrace::net::sns

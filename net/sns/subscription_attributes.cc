// GetSubscriptionAttributes, SetSubscriptionAttributes.
#include <vector>

#include <fmt/format.h>

#include "engine/outbox.h"
#include "engine/topic_attributes.h"
#include "millrace/named_text.h"
#include "net/aws/arn.h"
#include "net/sns/actions.h"
#include "net/sns/topic_policy.h"
#include "net/topics/delivery_policy.h"

namespace millrace::net::sns {
namespace {

std::string truth(bool value) {
  return value ? "true" : "false";
}

}  // namespace

void get_subscription_attributes(Request& request, const SubscriptionInput& /*input*/) {
  constexpr MemberName kAttributes{"Attributes"};
  const SubscriptionInfo& subscription = *request.subscription;
  const std::string& account = request.settings().account;
  AnswerWriter& writer = request.begin();
  writer.begin_map(kAttributes);
  for (const NamedText& text : engine::subscription_attribute_texts(subscription.attributes)) {
    // Kept, and said only while a policy is.
    if (text.name == "FilterPolicyScope" && subscription.attributes.filter_policy.empty()) continue;
    const std::string redrive =
        text.name != "RedrivePolicy"
            ? std::string()
            : fmt::format(R"({{"deadLetterTargetArn":"{}"}})",
                          make_arn("sqs", request.region(), account,
                                   subscription.attributes.dead_letter_queue));
    writer.pair(kAttributes, text.name, redrive.empty() ? text.value : redrive);
  }
  if (engine::is_outside(subscription.protocol))
    writer.pair(kAttributes, "EffectiveDeliveryPolicy",
                topics::effective_delivery_policy(
                    value_of(request.topic->attributes.texts, "DeliveryPolicy"),
                    value_of(subscription.attributes.texts, "DeliveryPolicy")));
  writer.pair(kAttributes, "SubscriptionArn",
              request.subscription_arn(request.topic->name, subscription.uuid));
  writer.pair(kAttributes, "TopicArn", request.topic_arn(request.topic->name));
  writer.pair(kAttributes, "Owner", account);
  writer.pair(kAttributes, "SubscriptionPrincipal", fmt::format("arn:aws:iam::{}:root", account));
  writer.pair(kAttributes, "Protocol", subscription.protocol);
  writer.pair(kAttributes, "Endpoint", subscription.endpoint);
  writer.pair(kAttributes, "PendingConfirmation", truth(subscription.pending));
  // A queue of the topic's own account is confirmed by whoever subscribes it.
  writer.pair(kAttributes, "ConfirmationWasAuthenticated",
              truth(!subscription.queue.empty() || subscription.authenticated_unsubscribe));
  writer.end_map();
  request.finish();
}

void set_subscription_attributes(Request& request, const SetSubscriptionAttributesInput& input) {
  if (!input.attribute_name.given) return request.refuse(value_is_null("attributeName"));
  if (input.attribute_name.value == "DeliveryPolicy")
    if (const auto error = check_delivery_policy(input.attribute_value.value, false))
      return request.refuse(error);
  TopicSettings settings;
  settings.attributes.push_back(
      {std::string(input.attribute_name.value), std::string(input.attribute_value.value)});
  request.topics().set(request.subscription->id, settings, request.wait());
}

}  // namespace millrace::net::sns

// Subscribe, ConfirmSubscription, Unsubscribe, ListSubscriptions, ListSubscriptionsByTopic.
#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "engine/topic_attributes.h"
#include "net/sns/actions.h"
#include "net/sns/pages.h"
#include "net/topics/endpoint.h"

namespace millrace::net::sns {
namespace {

constexpr std::string_view kSubscriptionList = "subscriptions";
constexpr std::string_view kPending = "pending confirmation";
constexpr std::string_view kPendingInLists = "PendingConfirmation";

// What the engine says of a value, as Subscribe says it.
AwsError error_at_subscribe(Errc code, std::string_view detail) {
  const std::string_view name = detail.substr(0, detail.find(':'));
  const bool of_attribute =
      engine::find_subscription_attribute(name) != nullptr && name != "FilterPolicyScope";
  if (code != Errc::invalid_argument || !of_attribute) return error_of(code, detail);
  return invalid_parameter(fmt::format("Attributes Reason: {}", detail));
}

// A topic's subscriptions a page at a time; `visit` says whether to go on.
template <class Visit>
void each_of_topic(TopicPort& topics, TopicId topic, Visit&& visit) {
  std::vector<SubscriptionInfo> page;
  SubscriptionId after{};
  do {
    page.clear();
    topics.list(topic, after, kPageItems, &page);
    for (const SubscriptionInfo& one : page) {
      if (!visit(one)) return;
      after = one.id;
    }
  } while (page.size() == kPageItems);
}

void answer_page(Request& request, TopicId topic, std::string_view list, const Text& token) {
  std::string after_text;
  if (const auto error = read_page(list, token, &after_text)) return request.refuse(error);
  uint32_t after = 0;
  const auto [end, wrong] =
      std::from_chars(after_text.data(), after_text.data() + after_text.size(), after);
  if (!after_text.empty() && (wrong != std::errc() || end != after_text.data() + after_text.size()))
    return request.refuse(invalid_parameter("NextToken"));
  std::vector<SubscriptionInfo> subscriptions;
  request.topics().list(topic, SubscriptionId{after}, kPageItems + 1, &subscriptions);
  const size_t count = std::min<size_t>(subscriptions.size(), kPageItems);
  AnswerWriter& writer = request.begin();
  writer.begin_list("Subscriptions");
  for (size_t i = 0; i < count; ++i) {
    const SubscriptionInfo& one = subscriptions[i];
    const TopicInfo* of = request.topics().find(one.topic);
    const std::string_view name = of == nullptr ? std::string_view() : of->name;
    writer.begin_item("Subscriptions");
    writer.plain("Owner", request.settings().account);
    writer.text("Protocol", one.protocol);
    writer.text("Endpoint", one.endpoint);
    writer.text("SubscriptionArn", one.pending ? std::string(kPendingInLists)
                                               : request.subscription_arn(name, one.uuid));
    writer.text("TopicArn", request.topic_arn(name));
    writer.end_item("Subscriptions");
  }
  writer.end_list();
  if (subscriptions.size() > count)
    writer.plain("NextToken", next_page(list, std::to_string(raw(subscriptions[count - 1].id))));
  request.finish();
}

}  // namespace

void subscribe(Request& request, const SubscribeInput& input) {
  if (!input.protocol.given) return request.refuse(value_is_null("protocol"));
  const std::string_view protocol = input.protocol.value;
  const SnsSettings& settings = request.settings();
  if (const auto fault = topics::protocol_fault(protocol, settings.accept_undeliverable);
      !fault.empty())
    return request.refuse(invalid_parameter(fault));
  SubscribeRequest asked;
  asked.topic = request.topic->id;
  asked.protocol = protocol;
  asked.endpoint = input.endpoint.value;
  if (protocol == "sqs") {
    asked.queue = topics::queue_of(asked.endpoint, settings.account);
    if (asked.queue.empty()) return request.refuse(invalid_parameter("SQS endpoint ARN"));
  }
  for (const Pair& one : input.attributes)
    asked.settings.attributes.push_back({std::string(one.name), std::string(one.value)});
  keep_text(request.kept(), request.topic->name);
  keep(request.kept(), input.return_subscription_arn.value == "true");
  request.topics().subscribe(asked, request.wait());
}

void subscribed(Reply& reply, const TopicReply& from_shard) {
  if (from_shard.error != Errc::ok)
    return reply.refuse(error_at_subscribe(from_shard.error, from_shard.detail));
  const std::string_view topic = reply.request.text();
  const bool always = reply.request.take<bool>();
  const SubscriptionInfo& made = from_shard.subscriptions[0];
  reply.begin().text("SubscriptionArn", made.pending && !always
                                            ? std::string(kPending)
                                            : reply.subscription_arn(topic, made.uuid));
  reply.finish();
}

void confirm_subscription(Request& request, const ConfirmInput& input) {
  if (!input.token.given) return request.refuse(value_is_null("token"));
  const std::string_view token = input.token.value;
  SubscriptionId found{};
  each_of_topic(request.topics(), request.topic->id, [&](const SubscriptionInfo& one) {
    if (!one.token.empty() && one.token == token) found = one.id;
    return found == SubscriptionId{};
  });
  if (found == SubscriptionId{}) return request.refuse(invalid_parameter("Token"));
  keep_text(request.kept(), request.topic->name);
  keep(request.kept(), true);
  // Who wants to be asked again when it ends must be known now.
  const bool authenticated =
      !request.anonymous && input.authenticate_on_unsubscribe.value == "true";
  request.topics().confirm(found, authenticated, request.wait());
}

void unsubscribe(Request& request, const SubscriptionInput& /*input*/) {
  const SubscriptionInfo& subscription = *request.subscription;
  const bool by_link = subscription.protocol.starts_with("http");
  if (request.anonymous && (!by_link || subscription.authenticated_unsubscribe))
    return request.refuse({errors::kAuthorizationError,
                           "Only the subscription's owner may end it, with a signed request"});
  if (subscription.pending)
    return request.refuse(
        invalid_parameter("SubscriptionArn Reason: the subscription is not confirmed"));
  request.topics().unsubscribe(subscription.id, request.wait());
}

void list_subscriptions(Request& request, const ListInput& input) {
  answer_page(request, TopicId{}, kSubscriptionList, input.next_token);
}

void list_subscriptions_of_topic(Request& request, const ListByTopicInput& input) {
  answer_page(request, request.topic->id, fmt::format("of {}", raw(request.topic->id)),
              input.next_token);
}

}  // namespace millrace::net::sns

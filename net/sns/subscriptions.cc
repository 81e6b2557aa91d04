// Subscribe, ConfirmSubscription, Unsubscribe, ListSubscriptions, ListSubscriptionsByTopic.
#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/scram.h"
#include "engine/outbox.h"
#include "engine/topic_attributes.h"
#include "net/aws/request_claims.h"
#include "net/sns/actions.h"
#include "net/sns/pages.h"
#include "net/sns/topic_policy.h"
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

namespace {

// What confirms a subscription by who is asked there. Nobody else can guess it.
std::string make_token() {
  std::array<uint8_t, 32> random;
  base::scram_random(random.data(), random.size());
  return fmt::format("{:02x}", fmt::join(random, ""));
}

// An endpoint outside is looked at before it is subscribed.
void subscribe_outside(Request& request, const SubscribeInput& input, TopicSettings settings) {
  for (const NamedText& one : settings.attributes)
    if (one.name == "DeliveryPolicy")
      if (const auto error = check_delivery_policy(one.value, false, "Attributes Reason: "))
        return request.refuse(error);
  struct Asked {
    TopicId topic;
    std::string protocol, endpoint, token;
    TopicSettings settings;
  };
  const auto asked = std::make_shared<const Asked>(
      Asked{request.topic->id, std::string(input.protocol.value), std::string(input.endpoint.value),
            make_token(), std::move(settings)});
  TopicPort& topics = request.topics();
  delivery::EndpointDesk& endpoints = *request.endpoints();
  const ReplyTo reply = request.wait();
  endpoints.judge(asked->protocol, asked->endpoint, [asked, reply, &topics](const auto& fault) {
    if (!fault.empty())
      return reply.sink->on_topics(reply.token, {Errc::invalid_argument, fault, {}, {}});
    topics.subscribe({.topic = asked->topic,
                      .protocol = asked->protocol,
                      .endpoint = asked->endpoint,
                      .queue = {},
                      .settings = asked->settings,
                      .token = asked->token},
                     reply);
  });
}

delivery::LetterAbout letter_about(Reply& reply, const SubscriptionInfo& subscription,
                                   std::string_view topic, std::string_view base) {
  return {.endpoint = subscription.endpoint,
          .token = subscription.token,
          .uuid = subscription.uuid,
          .topic = subscription.topic,
          .topic_arn = reply.topic_arn(topic),
          .base_url = std::string(base)};
}

}  // namespace

void subscribe(Request& request, const SubscribeInput& input) {
  if (!input.protocol.given) return request.refuse(value_is_null("protocol"));
  const std::string_view protocol = input.protocol.value;
  const SnsSettings& settings = request.settings();
  const bool delivers = request.endpoints() != nullptr;
  if (const auto fault = topics::protocol_fault(protocol, delivers, settings.accept_undeliverable);
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
  keep_text(request.kept(), base_url(request.http, settings.advertise));
  if (engine::is_outside(protocol))
    return subscribe_outside(request, input, std::move(asked.settings));
  request.topics().subscribe(asked, request.wait());
}

void subscribed(Reply& reply, const TopicReply& from_shard) {
  if (from_shard.error != Errc::ok)
    return reply.refuse(error_at_subscribe(from_shard.error, from_shard.detail));
  const std::string_view topic = reply.request.text();
  const bool always = reply.request.take<bool>();
  const std::string_view base = reply.request.text();
  const SubscriptionInfo& made = from_shard.subscriptions[0];
  reply.begin().text("SubscriptionArn", made.pending && !always
                                            ? std::string(kPending)
                                            : reply.subscription_arn(topic, made.uuid));
  reply.finish();
  if (made.pending && engine::is_outside(made.protocol) && reply.endpoints() != nullptr)
    reply.endpoints()->ask_to_confirm(letter_about(reply, made, topic, base));
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
  keep_text(request.kept(), {});
  // Who wants to be asked again when it ends must be known now.
  const bool authenticated =
      !request.anonymous && input.authenticate_on_unsubscribe.value == "true";
  request.topics().confirm(found, authenticated, request.wait());
}

void unsubscribe(Request& request, const SubscriptionInput& /*input*/) {
  const SubscriptionInfo& subscription = *request.subscription;
  const bool by_link = engine::is_outside(subscription.protocol);
  if (request.anonymous && (!by_link || subscription.authenticated_unsubscribe))
    return request.refuse({errors::kAuthorizationError,
                           "Only the subscription's owner may end it, with a signed request"});
  if (subscription.pending)
    return request.refuse(
        invalid_parameter("SubscriptionArn Reason: the subscription is not confirmed"));
  // Of one outside, to tell it so.
  if (engine::is_outside(subscription.protocol)) {
    keep_text(request.kept(), request.topic_name);
    keep_text(request.kept(), base_url(request.http, request.settings().advertise));
    keep_text(request.kept(), subscription.endpoint);
    keep_text(request.kept(), subscription.token);
    keep(request.kept(), subscription.uuid);
    keep(request.kept(), subscription.topic);
  }
  request.topics().unsubscribe(subscription.id, request.wait());
}

void unsubscribed(Reply& reply, const TopicReply& from_shard) {
  const bool outside = !reply.request.empty();
  if (outside && from_shard.error == Errc::ok && reply.endpoints() != nullptr) {
    const std::string_view topic = reply.request.text();
    const std::string_view base = reply.request.text();
    SubscriptionInfo gone;
    gone.endpoint = reply.request.text();
    gone.token = reply.request.text();
    gone.uuid = reply.request.take<Uuid>();
    gone.topic = reply.request.take<TopicId>();
    reply.endpoints()->tell_of_end(letter_about(reply, gone, topic, base));
  }
  nothing_left(reply, from_shard);
}

void list_subscriptions(Request& request, const ListInput& input) {
  answer_page(request, TopicId{}, kSubscriptionList, input.next_token);
}

void list_subscriptions_of_topic(Request& request, const ListByTopicInput& input) {
  answer_page(request, request.topic->id, fmt::format("of {}", raw(request.topic->id)),
              input.next_token);
}

}  // namespace millrace::net::sns

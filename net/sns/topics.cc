// CreateTopic, DeleteTopic, ListTopics, GetTopicAttributes, SetTopicAttributes.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "engine/topic_attributes.h"
#include "net/sns/actions.h"
#include "net/sns/pages.h"
#include "net/sns/tag_check.h"
#include "net/sns/topic_policy.h"
#include "net/topics/delivery_policy.h"

namespace millrace::net::sns {
namespace {

constexpr std::string_view kTopicList = "topics";

// What the engine says of a value, as CreateTopic says it.
AwsError error_at_creation(Errc code, std::string_view detail) {
  const bool of_attribute =
      engine::find_topic_attribute(detail.substr(0, detail.find(':'))) != nullptr;
  if (code != Errc::invalid_argument || !of_attribute) return error_of(code, detail);
  return invalid_parameter(fmt::format("Attributes Reason: {}", detail));
}

// Of the documents that are looked into.
AwsError check_document(std::string_view name, std::string_view value,
                        std::string_view reason = {}) {
  if (name == "Policy") return check_topic_policy(value);
  if (name == "DeliveryPolicy") return check_delivery_policy(value, true, reason);
  return {};
}

void answer_topic(Answer& answer, std::string_view name) {
  answer.begin().text("TopicArn", answer.topic_arn(name));
  answer.finish();
}

}  // namespace

void create_topic(Request& request, const CreateTopicInput& input) {
  if (!input.name.given) return request.refuse(value_is_null("name"));
  TopicSettings settings;
  for (const Pair& one : input.attributes) {
    // Sent by whoever has a document to send and none to change.
    if (one.name == "DataProtectionPolicy") continue;
    if (const auto error = check_document(one.name, one.value, "Attributes Reason: "))
      return request.refuse(error);
    settings.attributes.push_back({std::string(one.name), std::string(one.value)});
  }
  if (const auto error = read_tags(input.tags, {}, &settings)) return request.refuse(error);
  request.topics().create(input.name.value, settings, request.wait());
}

void topic_created(Reply& reply, const TopicReply& from_shard) {
  if (from_shard.error != Errc::ok)
    return reply.refuse(error_at_creation(from_shard.error, from_shard.detail));
  answer_topic(reply, from_shard.topics[0].name);
}

void delete_topic(Request& request, const TopicInput& /*input*/) {
  request.topics().remove(request.topic->id, request.wait());
}

void nothing_left(Reply& reply, const TopicReply& from_shard) {
  const Errc error = from_shard.error;
  if (error != Errc::ok && error != Errc::topic_not_found && error != Errc::subscription_not_found)
    return reply.refuse(error_of(error, from_shard.detail));
  reply.finish_void();
}

void list_topics(Request& request, const ListInput& input) {
  std::string after;
  if (const auto error = read_page(kTopicList, input.next_token, &after))
    return request.refuse(error);
  std::vector<TopicInfo> topics;
  request.topics().list(after, kPageItems + 1, &topics);
  const size_t count = std::min<size_t>(topics.size(), kPageItems);
  AnswerWriter& writer = request.begin();
  writer.begin_list("Topics");
  for (size_t i = 0; i < count; ++i) {
    writer.begin_item("Topics");
    writer.text("TopicArn", request.topic_arn(topics[i].name));
    writer.end_item("Topics");
  }
  writer.end_list();
  if (topics.size() > count)
    writer.plain("NextToken", next_page(kTopicList, topics[count - 1].name));
  request.finish();
}

void get_topic_attributes(Request& request, const TopicInput& /*input*/) {
  constexpr MemberName kAttributes{"Attributes"};
  const TopicInfo& topic = *request.topic;
  const std::string arn = request.topic_arn(topic.name);
  const std::string& account = request.settings().account;
  std::string policy = default_topic_policy(arn, account);
  std::string display_name;
  std::string_view delivery_policy;
  AnswerWriter& writer = request.begin();
  writer.begin_map(kAttributes);
  const std::vector<NamedText> texts = engine::topic_attribute_texts(topic.attributes);
  for (const NamedText& text : texts) {
    if (text.name == "Policy") {
      policy = text.value;
    } else if (text.name == "DisplayName") {
      display_name = text.value;
    } else {
      if (text.name == "DeliveryPolicy") delivery_policy = text.value;
      writer.pair(kAttributes, text.name, text.value);
    }
  }
  writer.pair(kAttributes, "TopicArn", arn);
  writer.pair(kAttributes, "Owner", account);
  writer.pair(kAttributes, "DisplayName", display_name);
  writer.pair(kAttributes, "Policy", policy);
  writer.pair(kAttributes, "EffectiveDeliveryPolicy",
              topics::effective_delivery_policy(delivery_policy));
  writer.pair(kAttributes, "SubscriptionsConfirmed", std::to_string(topic.confirmed));
  writer.pair(kAttributes, "SubscriptionsPending", std::to_string(topic.pending));
  // Those that are gone are not listed either.
  writer.pair(kAttributes, "SubscriptionsDeleted", "0");
  writer.end_map();
  request.finish();
}

void set_topic_attributes(Request& request, const SetTopicAttributesInput& input) {
  if (!input.attribute_name.given) return request.refuse(value_is_null("attributeName"));
  const std::string_view name = input.attribute_name.value;
  const std::string_view value = input.attribute_value.value;
  if (const auto error = check_document(name, value)) return request.refuse(error);
  if (name == "Policy") request.audit_policy();
  TopicSettings settings;
  settings.attributes.push_back({std::string(name), std::string(value)});
  request.topics().set(request.topic->id, settings, request.wait());
}

void topic_changed(Reply& reply, const TopicReply& from_shard) {
  if (from_shard.error != Errc::ok)
    return reply.refuse(error_of(from_shard.error, from_shard.detail));
  reply.finish_void();
}

}  // namespace millrace::net::sns

// The inputs of SNS's actions, as typed structs; inputs.cc has the table of members of each.
//
// Threads: any; no state.
#pragma once

#include "net/aws/shape.h"

namespace millrace::net::sns {

struct CreateTopicInput {
  Text name{};
  List<Pair> attributes{};
  List<Pair> tags{};
};
struct TopicInput {  // DeleteTopic, GetTopicAttributes
  Text topic_arn{};
};
struct SetTopicAttributesInput {
  Text topic_arn{};
  Text attribute_name{};
  Text attribute_value{};
};
struct ListInput {  // ListTopics, ListSubscriptions
  Text next_token{};
};
struct ListByTopicInput {
  Text topic_arn{};
  Text next_token{};
};
struct SubscribeInput {
  Text topic_arn{};
  Text protocol{};
  Text endpoint{};
  List<Pair> attributes{};
  Text return_subscription_arn{};
};
struct ConfirmInput {
  Text topic_arn{};
  Text token{};
  Text authenticate_on_unsubscribe{};
};
struct SubscriptionInput {  // Unsubscribe, GetSubscriptionAttributes
  Text subscription_arn{};
};
struct SetSubscriptionAttributesInput {
  Text subscription_arn{};
  Text attribute_name{};
  Text attribute_value{};
};
struct TagResourceInput {
  Text resource_arn{};
  List<Pair> tags{};
};
struct UntagResourceInput {
  Text resource_arn{};
  List<std::string_view> tag_keys{};
};
struct ResourceInput {
  Text resource_arn{};
};
struct AddPermissionInput {
  Text topic_arn{};
  Text label{};
  List<std::string_view> account_ids{};
  List<std::string_view> actions{};
};
struct RemovePermissionInput {
  Text topic_arn{};
  Text label{};
};

struct AttributeInput {
  std::string_view name{};
  Text data_type{};
  Text string_value{};
  Blob binary_value{};
};
struct MessageInput {
  Text id{};  // of an entry of a batch
  Text message{};
  Text subject{};
  Text message_structure{};
  List<AttributeInput> message_attributes{};
  Text message_group_id{};
  Text message_deduplication_id{};
};
struct PublishInput : MessageInput {
  Text topic_arn{};
  Text target_arn{};  // the same
  Text phone_number{};
};
struct PublishBatchInput {
  Text topic_arn{};
  List<MessageInput> entries{};
};

extern const Shape kPublishShape;
extern const Shape kPublishBatchShape;
extern const Shape kCreateTopicShape;
extern const Shape kTopicShape;
extern const Shape kSetTopicAttributesShape;
extern const Shape kListShape;
extern const Shape kListByTopicShape;
extern const Shape kSubscribeShape;
extern const Shape kConfirmShape;
extern const Shape kSubscriptionShape;
extern const Shape kSetSubscriptionAttributesShape;
extern const Shape kTagResourceShape;
extern const Shape kUntagResourceShape;
extern const Shape kResourceShape;
extern const Shape kAddPermissionShape;
extern const Shape kRemovePermissionShape;

}  // namespace millrace::net::sns

#include "net/sns/inputs.h"

namespace millrace::net::sns {
namespace {

// --- messages ---

constexpr Member kAttribute[] = {
    member<&AttributeInput::data_type>("DataType"),
    member<&AttributeInput::string_value>("StringValue"),
    member<&AttributeInput::binary_value>("BinaryValue"),
};
constexpr Shape kAttributeShape = shape<AttributeInput>(kAttribute);

constexpr Member kMessage = member<&MessageInput::message>("Message");
constexpr Member kSubject = member<&MessageInput::subject>("Subject");
constexpr Member kStructure = member<&MessageInput::message_structure>("MessageStructure");
constexpr Member kAttributes =
    member<&MessageInput::message_attributes>("MessageAttributes", {}, &kAttributeShape)
        .as_entries("Name", "Value");
constexpr Member kGroup = member<&MessageInput::message_group_id>("MessageGroupId");
constexpr Member kDeduplication =
    member<&MessageInput::message_deduplication_id>("MessageDeduplicationId");

constexpr Member kPublish[] = {
    member<&PublishInput::topic_arn>("TopicArn"),
    member<&PublishInput::target_arn>("TargetArn"),
    member<&PublishInput::phone_number>("PhoneNumber"),
    kMessage,
    kSubject,
    kStructure,
    kAttributes,
    kGroup,
    kDeduplication,
};
constexpr Member kEntry[] = {
    member<&MessageInput::id>("Id"),
    kMessage,
    kSubject,
    kStructure,
    kAttributes,
    kGroup,
    kDeduplication,
};
constexpr Shape kEntryShape = shape<MessageInput>(kEntry);
constexpr Member kPublishBatch[] = {
    member<&PublishBatchInput::topic_arn>("TopicArn"),
    member<&PublishBatchInput::entries>("PublishBatchRequestEntries", {}, &kEntryShape)
        .as_members(),
};

// --- topics ---

constexpr Member kCreateTopic[] = {
    member<&CreateTopicInput::name>("Name"),
    member<&CreateTopicInput::attributes>("Attributes").as_entries(),
    member<&CreateTopicInput::tags>("Tags").as_members(),
};
constexpr Member kTopic[] = {member<&TopicInput::topic_arn>("TopicArn")};
constexpr Member kSetTopicAttributes[] = {
    member<&SetTopicAttributesInput::topic_arn>("TopicArn"),
    member<&SetTopicAttributesInput::attribute_name>("AttributeName"),
    member<&SetTopicAttributesInput::attribute_value>("AttributeValue"),
};
constexpr Member kList[] = {member<&ListInput::next_token>("NextToken")};
constexpr Member kListByTopic[] = {
    member<&ListByTopicInput::topic_arn>("TopicArn"),
    member<&ListByTopicInput::next_token>("NextToken"),
};

// --- subscriptions ---

constexpr Member kSubscribe[] = {
    member<&SubscribeInput::topic_arn>("TopicArn"),
    member<&SubscribeInput::protocol>("Protocol"),
    member<&SubscribeInput::endpoint>("Endpoint"),
    member<&SubscribeInput::attributes>("Attributes").as_entries(),
    member<&SubscribeInput::return_subscription_arn>("ReturnSubscriptionArn"),
};
constexpr Member kConfirm[] = {
    member<&ConfirmInput::topic_arn>("TopicArn"),
    member<&ConfirmInput::token>("Token"),
    member<&ConfirmInput::authenticate_on_unsubscribe>("AuthenticateOnUnsubscribe"),
};
constexpr Member kSubscription[] = {
    member<&SubscriptionInput::subscription_arn>("SubscriptionArn"),
};
constexpr Member kSetSubscriptionAttributes[] = {
    member<&SetSubscriptionAttributesInput::subscription_arn>("SubscriptionArn"),
    member<&SetSubscriptionAttributesInput::attribute_name>("AttributeName"),
    member<&SetSubscriptionAttributesInput::attribute_value>("AttributeValue"),
};

// --- tags and permissions ---

constexpr Member kTagResource[] = {
    member<&TagResourceInput::resource_arn>("ResourceArn"),
    member<&TagResourceInput::tags>("Tags").as_members(),
};
constexpr Member kUntagResource[] = {
    member<&UntagResourceInput::resource_arn>("ResourceArn"),
    member<&UntagResourceInput::tag_keys>("TagKeys").as_members(),
};
constexpr Member kResource[] = {member<&ResourceInput::resource_arn>("ResourceArn")};
constexpr Member kAddPermission[] = {
    member<&AddPermissionInput::topic_arn>("TopicArn"),
    member<&AddPermissionInput::label>("Label"),
    member<&AddPermissionInput::account_ids>("AWSAccountId").as_members(),
    member<&AddPermissionInput::actions>("ActionName").as_members(),
};
constexpr Member kRemovePermission[] = {
    member<&RemovePermissionInput::topic_arn>("TopicArn"),
    member<&RemovePermissionInput::label>("Label"),
};

}  // namespace

const Shape kPublishShape = shape<PublishInput>(kPublish);
const Shape kPublishBatchShape = shape<PublishBatchInput>(kPublishBatch);
const Shape kCreateTopicShape = shape<CreateTopicInput>(kCreateTopic);
const Shape kTopicShape = shape<TopicInput>(kTopic);
const Shape kSetTopicAttributesShape = shape<SetTopicAttributesInput>(kSetTopicAttributes);
const Shape kListShape = shape<ListInput>(kList);
const Shape kListByTopicShape = shape<ListByTopicInput>(kListByTopic);
const Shape kSubscribeShape = shape<SubscribeInput>(kSubscribe);
const Shape kConfirmShape = shape<ConfirmInput>(kConfirm);
const Shape kSubscriptionShape = shape<SubscriptionInput>(kSubscription);
const Shape kSetSubscriptionAttributesShape =
    shape<SetSubscriptionAttributesInput>(kSetSubscriptionAttributes);
const Shape kTagResourceShape = shape<TagResourceInput>(kTagResource);
const Shape kUntagResourceShape = shape<UntagResourceInput>(kUntagResource);
const Shape kResourceShape = shape<ResourceInput>(kResource);
const Shape kAddPermissionShape = shape<AddPermissionInput>(kAddPermission);
const Shape kRemovePermissionShape = shape<RemovePermissionInput>(kRemovePermission);

}  // namespace millrace::net::sns

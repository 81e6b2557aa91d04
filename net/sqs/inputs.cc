#include "net/sqs/inputs.h"

namespace millrace::net::sqs {
namespace {

// --- messages ---

constexpr Member kAttribute[] = {
    member<&AttributeInput::data_type>("DataType"),
    member<&AttributeInput::string_value>("StringValue"),
    member<&AttributeInput::binary_value>("BinaryValue"),
    member<&AttributeInput::string_list_values>("StringListValues", "StringListValue"),
    member<&AttributeInput::binary_list_values>("BinaryListValues", "BinaryListValue"),
};
constexpr Shape kAttributeShape = shape<AttributeInput>(kAttribute);

constexpr Member kBody = member<&MessageInput::message_body>("MessageBody");
constexpr Member kDelay = member<&MessageInput::delay_seconds>("DelaySeconds");
constexpr Member kAttributes = member<&MessageInput::message_attributes>(
    "MessageAttributes", "MessageAttribute", &kAttributeShape);
constexpr Member kSystemAttributes = member<&MessageInput::message_system_attributes>(
    "MessageSystemAttributes", "MessageSystemAttribute", &kAttributeShape);
constexpr Member kGroup = member<&MessageInput::message_group_id>("MessageGroupId");
constexpr Member kDeduplication =
    member<&MessageInput::message_deduplication_id>("MessageDeduplicationId");

constexpr Member kSendMessage[] = {
    member<&SendMessageInput::queue_url>("QueueUrl"),
    kBody,
    kDelay,
    kAttributes,
    kSystemAttributes,
    kGroup,
    kDeduplication,
};
constexpr Member kSendEntry[] = {
    member<&MessageInput::id>("Id"),
    kBody,
    kDelay,
    kAttributes,
    kSystemAttributes,
    kGroup,
    kDeduplication,
};
constexpr Shape kSendEntryShape = shape<MessageInput>(kSendEntry);
constexpr Member kSendMessageBatch[] = {
    member<&SendMessageBatchInput::queue_url>("QueueUrl"),
    member<&SendMessageBatchInput::entries>("Entries", "SendMessageBatchRequestEntry",
                                            &kSendEntryShape),
};

constexpr Member kReceiveMessage[] = {
    member<&ReceiveMessageInput::queue_url>("QueueUrl"),
    member<&ReceiveMessageInput::max_number_of_messages>("MaxNumberOfMessages"),
    member<&ReceiveMessageInput::visibility_timeout>("VisibilityTimeout"),
    member<&ReceiveMessageInput::wait_time_seconds>("WaitTimeSeconds"),
    member<&ReceiveMessageInput::attribute_names>("AttributeNames", "AttributeName"),
    member<&ReceiveMessageInput::message_system_attribute_names>("MessageSystemAttributeNames",
                                                                 "MessageSystemAttributeName"),
    member<&ReceiveMessageInput::message_attribute_names>("MessageAttributeNames",
                                                          "MessageAttributeName"),
    member<&ReceiveMessageInput::receive_request_attempt_id>("ReceiveRequestAttemptId"),
};

constexpr Member kHandleId = member<&HandleInput::id>("Id");
constexpr Member kHandle = member<&HandleInput::receipt_handle>("ReceiptHandle");
constexpr Member kVisibility = member<&HandleInput::visibility_timeout>("VisibilityTimeout");
constexpr Member kHandleQueue = member<&OneHandleInput::queue_url>("QueueUrl");
constexpr Member kHandlesQueue = member<&HandlesInput::queue_url>("QueueUrl");

constexpr Member kDeleteMessage[] = {kHandleQueue, kHandle};
constexpr Member kChangeVisibility[] = {kHandleQueue, kHandle, kVisibility};
constexpr Member kDeleteEntry[] = {kHandleId, kHandle};
constexpr Member kChangeEntry[] = {kHandleId, kHandle, kVisibility};
constexpr Shape kDeleteEntryShape = shape<HandleInput>(kDeleteEntry);
constexpr Shape kChangeEntryShape = shape<HandleInput>(kChangeEntry);
constexpr Member kDeleteMessageBatch[] = {
    kHandlesQueue,
    member<&HandlesInput::entries>("Entries", "DeleteMessageBatchRequestEntry", &kDeleteEntryShape),
};
constexpr Member kChangeVisibilityBatch[] = {
    kHandlesQueue,
    member<&HandlesInput::entries>("Entries", "ChangeMessageVisibilityBatchRequestEntry",
                                   &kChangeEntryShape),
};

// --- queues ---

constexpr Member kCreateQueue[] = {
    member<&CreateQueueInput::queue_name>("QueueName"),
    member<&CreateQueueInput::attributes>("Attributes", "Attribute"),
    member<&CreateQueueInput::tags>("tags", "Tag", nullptr, "Key"),
};
constexpr Member kQueue[] = {member<&QueueInput::queue_url>("QueueUrl")};
constexpr Member kGetQueueUrl[] = {
    member<&GetQueueUrlInput::queue_name>("QueueName"),
    member<&GetQueueUrlInput::owner_account>("QueueOwnerAWSAccountId"),
};
constexpr Member kListQueues[] = {
    member<&ListQueuesInput::queue_name_prefix>("QueueNamePrefix"),
    member<&ListQueuesInput::max_results>("MaxResults"),
    member<&ListQueuesInput::next_token>("NextToken"),
};
constexpr Member kListSources[] = {
    member<&ListSourcesInput::queue_url>("QueueUrl"),
    member<&ListSourcesInput::max_results>("MaxResults"),
    member<&ListSourcesInput::next_token>("NextToken"),
};
constexpr Member kGetQueueAttributes[] = {
    member<&GetQueueAttributesInput::queue_url>("QueueUrl"),
    member<&GetQueueAttributesInput::attribute_names>("AttributeNames", "AttributeName"),
};
constexpr Member kSetQueueAttributes[] = {
    member<&SetQueueAttributesInput::queue_url>("QueueUrl"),
    member<&SetQueueAttributesInput::attributes>("Attributes", "Attribute"),
};
constexpr Member kTagQueue[] = {
    member<&TagQueueInput::queue_url>("QueueUrl"),
    member<&TagQueueInput::tags>("Tags", "Tag", nullptr, "Key"),
};
constexpr Member kUntagQueue[] = {
    member<&UntagQueueInput::queue_url>("QueueUrl"),
    member<&UntagQueueInput::tag_keys>("TagKeys", "TagKey"),
};
constexpr Member kAddPermission[] = {
    member<&AddPermissionInput::queue_url>("QueueUrl"),
    member<&AddPermissionInput::label>("Label"),
    member<&AddPermissionInput::account_ids>("AWSAccountIds", "AWSAccountId"),
    member<&AddPermissionInput::actions>("Actions", "ActionName"),
};
constexpr Member kRemovePermission[] = {
    member<&RemovePermissionInput::queue_url>("QueueUrl"),
    member<&RemovePermissionInput::label>("Label"),
};

// --- move tasks ---

constexpr Member kStartMove[] = {
    member<&StartMoveInput::source_arn>("SourceArn"),
    member<&StartMoveInput::destination_arn>("DestinationArn"),
    member<&StartMoveInput::rate>("MaxNumberOfMessagesPerSecond"),
};
constexpr Member kCancelMove[] = {member<&CancelMoveInput::task_handle>("TaskHandle")};
constexpr Member kListMoves[] = {
    member<&ListMovesInput::source_arn>("SourceArn"),
    member<&ListMovesInput::max_results>("MaxResults"),
};

}  // namespace

const Shape kSendMessageShape = shape<SendMessageInput>(kSendMessage);
const Shape kSendMessageBatchShape = shape<SendMessageBatchInput>(kSendMessageBatch);
const Shape kReceiveMessageShape = shape<ReceiveMessageInput>(kReceiveMessage);
const Shape kDeleteMessageShape = shape<OneHandleInput>(kDeleteMessage);
const Shape kDeleteMessageBatchShape = shape<HandlesInput>(kDeleteMessageBatch);
const Shape kChangeVisibilityShape = shape<OneHandleInput>(kChangeVisibility);
const Shape kChangeVisibilityBatchShape = shape<HandlesInput>(kChangeVisibilityBatch);
const Shape kCreateQueueShape = shape<CreateQueueInput>(kCreateQueue);
const Shape kQueueShape = shape<QueueInput>(kQueue);
const Shape kGetQueueUrlShape = shape<GetQueueUrlInput>(kGetQueueUrl);
const Shape kListQueuesShape = shape<ListQueuesInput>(kListQueues);
const Shape kListSourcesShape = shape<ListSourcesInput>(kListSources);
const Shape kGetQueueAttributesShape = shape<GetQueueAttributesInput>(kGetQueueAttributes);
const Shape kSetQueueAttributesShape = shape<SetQueueAttributesInput>(kSetQueueAttributes);
const Shape kTagQueueShape = shape<TagQueueInput>(kTagQueue);
const Shape kUntagQueueShape = shape<UntagQueueInput>(kUntagQueue);
const Shape kAddPermissionShape = shape<AddPermissionInput>(kAddPermission);
const Shape kRemovePermissionShape = shape<RemovePermissionInput>(kRemovePermission);
const Shape kStartMoveShape = shape<StartMoveInput>(kStartMove);
const Shape kCancelMoveShape = shape<CancelMoveInput>(kCancelMove);
const Shape kListMovesShape = shape<ListMovesInput>(kListMoves);

}  // namespace millrace::net::sqs

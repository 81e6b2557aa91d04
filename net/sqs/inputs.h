// The inputs of SQS's actions, as typed structs; inputs.cc has the table of members of each.
//
// Threads: any; no state.
#pragma once

#include "net/aws/shape.h"

namespace millrace::net::sqs {

// A message attribute, or a message system attribute.
struct AttributeInput {
  std::string_view name{};
  Text data_type{};
  Text string_value{};
  Blob binary_value{};
  List<std::string_view> string_list_values{};
  List<std::string_view> binary_list_values{};
};

struct MessageInput {
  Text id{};  // of an entry of a batch
  Text message_body{};
  Integer delay_seconds{};
  List<AttributeInput> message_attributes{};
  List<AttributeInput> message_system_attributes{};
  Text message_group_id{};
  Text message_deduplication_id{};
};
struct SendMessageInput : MessageInput {
  Text queue_url{};
};
struct SendMessageBatchInput {
  Text queue_url{};
  List<MessageInput> entries{};
};

struct ReceiveMessageInput {
  Text queue_url{};
  Integer max_number_of_messages{};
  Integer visibility_timeout{};
  Integer wait_time_seconds{};
  List<std::string_view> attribute_names{};
  List<std::string_view> message_system_attribute_names{};
  List<std::string_view> message_attribute_names{};
  Text receive_request_attempt_id{};
};

// Of DeleteMessage and ChangeMessageVisibility, alone or as an entry of a batch.
struct HandleInput {
  Text id{};
  Text receipt_handle{};
  Integer visibility_timeout{};
};
struct OneHandleInput : HandleInput {
  Text queue_url{};
};
struct HandlesInput {
  Text queue_url{};
  List<HandleInput> entries{};
};

struct CreateQueueInput {
  Text queue_name{};
  List<Pair> attributes{};
  List<Pair> tags{};
};
struct QueueInput {  // DeleteQueue, PurgeQueue, ListQueueTags
  Text queue_url{};
};
struct GetQueueUrlInput {
  Text queue_name{};
  Text owner_account{};
};
struct ListQueuesInput {
  Text queue_name_prefix{};
  Integer max_results{};
  Text next_token{};
};
struct ListSourcesInput {
  Text queue_url{};
  Integer max_results{};
  Text next_token{};
};
struct GetQueueAttributesInput {
  Text queue_url{};
  List<std::string_view> attribute_names{};
};
struct SetQueueAttributesInput {
  Text queue_url{};
  List<Pair> attributes{};
};
struct TagQueueInput {
  Text queue_url{};
  List<Pair> tags{};
};
struct UntagQueueInput {
  Text queue_url{};
  List<std::string_view> tag_keys{};
};
struct AddPermissionInput {
  Text queue_url{};
  Text label{};
  List<std::string_view> account_ids{};
  List<std::string_view> actions{};
};
struct RemovePermissionInput {
  Text queue_url{};
  Text label{};
};
struct StartMoveInput {
  Text source_arn{};
  Text destination_arn{};
  Integer rate{};
};
struct CancelMoveInput {
  Text task_handle{};
};
struct ListMovesInput {
  Text source_arn{};
  Integer max_results{};
};

extern const Shape kSendMessageShape;
extern const Shape kSendMessageBatchShape;
extern const Shape kReceiveMessageShape;
extern const Shape kDeleteMessageShape;
extern const Shape kDeleteMessageBatchShape;
extern const Shape kChangeVisibilityShape;
extern const Shape kChangeVisibilityBatchShape;
extern const Shape kCreateQueueShape;
extern const Shape kQueueShape;
extern const Shape kGetQueueUrlShape;
extern const Shape kListQueuesShape;
extern const Shape kListSourcesShape;
extern const Shape kGetQueueAttributesShape;
extern const Shape kSetQueueAttributesShape;
extern const Shape kTagQueueShape;
extern const Shape kUntagQueueShape;
extern const Shape kAddPermissionShape;
extern const Shape kRemovePermissionShape;
extern const Shape kStartMoveShape;
extern const Shape kCancelMoveShape;
extern const Shape kListMovesShape;

}  // namespace millrace::net::sqs

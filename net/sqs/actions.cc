#include "net/sqs/actions.h"

#include <algorithm>
#include <iterator>

namespace millrace::net::sqs {
namespace {

template <class Input>
constexpr bool kIsAboutQueue = requires(Input input) {
  input.queue_url;
};
template <class Input>
constexpr bool kNamesQueue = requires(Input input) {
  input.queue_name;
};
template <class Input>
constexpr bool kNamesSource = requires(Input input) {
  input.source_arn;
};
template <class Input>
constexpr bool kHasDestination = requires(Input input) {
  input.destination_arn;
};

template <class Input, void (*kAsk)(Request&, const Input&)>
constexpr Action row(std::string_view name, const Shape& shape) {
  Action action;
  action.name = name;
  action.input = &shape;
  action.ask = [](Request& request, const void* input) {
    kAsk(request, *static_cast<const Input*>(input));
  };
  if constexpr (kIsAboutQueue<Input>)
    action.queue_url = [](const void* input) -> const Text* {
      return &static_cast<const Input*>(input)->queue_url;
    };
  if constexpr (kNamesQueue<Input>)
    action.queue_name = [](const void* input) -> const Text* {
      return &static_cast<const Input*>(input)->queue_name;
    };
  if constexpr (kNamesSource<Input>)
    action.queue_name = [](const void* input) -> const Text* {
      return &static_cast<const Input*>(input)->source_arn;
    };
  if constexpr (kHasDestination<Input>)
    action.destination = [](const void* input) -> const Text* {
      return &static_cast<const Input*>(input)->destination_arn;
    };
  return action;
}

template <auto kAsk>
struct Row : OperationRow<Action> {
  constexpr Row(std::string_view name, const Shape& shape)
      : OperationRow<Action>{row<typename InputOf<decltype(kAsk)>::Type, kAsk>(name, shape)} {}
};

// Messages first: they are looked up most.
constexpr Action kTable[] = {
    Row<send_message>("SendMessage", kSendMessageShape).then(message_sent),
    Row<send_message_batch>("SendMessageBatch", kSendMessageBatchShape)
        .allowed_as("SendMessage")
        .then(batch_sent),
    Row<receive_message>("ReceiveMessage", kReceiveMessageShape).then(messages_received),
    Row<delete_message>("DeleteMessage", kDeleteMessageShape).is_void().then(handle_done),
    Row<delete_message_batch>("DeleteMessageBatch", kDeleteMessageBatchShape)
        .allowed_as("DeleteMessage")
        .then(handles_done),
    Row<change_visibility>("ChangeMessageVisibility", kChangeVisibilityShape)
        .is_void()
        .then(handle_done),
    Row<change_visibility_batch>("ChangeMessageVisibilityBatch", kChangeVisibilityBatchShape)
        .allowed_as("ChangeMessageVisibility")
        .then(handles_done),

    Row<create_queue>("CreateQueue", kCreateQueueShape)
        .owner_only()
        .audited_as(AuditEvent::queue_created)
        .then(queue_created),
    Row<delete_queue>("DeleteQueue", kQueueShape)
        .is_void()
        .owner_only()
        .audited_as(AuditEvent::queue_deleted)
        .then(queue_deleted),
    Row<purge_queue>("PurgeQueue", kQueueShape)
        .is_void()
        .audited_as(AuditEvent::queue_purged)
        .then(queue_changed),
    Row<get_queue_url>("GetQueueUrl", kGetQueueUrlShape),
    Row<list_queues>("ListQueues", kListQueuesShape).owner_only().then(queues_listed),
    Row<list_sources>("ListDeadLetterSourceQueues", kListSourcesShape).then(sources_listed),
    Row<get_queue_attributes>("GetQueueAttributes", kGetQueueAttributesShape).then(queue_counted),
    Row<set_queue_attributes>("SetQueueAttributes", kSetQueueAttributesShape)
        .is_void()
        .owner_only()
        .audited_as(AuditEvent::queue_changed)
        .then(queue_changed),

    Row<tag_queue>("TagQueue", kTagQueueShape)
        .is_void()
        .owner_only()
        .audited_as(AuditEvent::queue_changed)
        .then(queue_changed),
    Row<untag_queue>("UntagQueue", kUntagQueueShape)
        .is_void()
        .owner_only()
        .audited_as(AuditEvent::queue_changed)
        .then(queue_changed),
    Row<list_queue_tags>("ListQueueTags", kQueueShape).owner_only(),
    Row<add_permission>("AddPermission", kAddPermissionShape)
        .is_void()
        .owner_only()
        .audited_as(AuditEvent::policy_changed)
        .then(permission_changed),
    Row<remove_permission>("RemovePermission", kRemovePermissionShape)
        .is_void()
        .owner_only()
        .audited_as(AuditEvent::policy_changed)
        .then(permission_changed),

    Row<start_move>("StartMessageMoveTask", kStartMoveShape)
        .owner_only()
        .audited_as(AuditEvent::move_started)
        .then(move_started),
    Row<cancel_move>("CancelMessageMoveTask", kCancelMoveShape)
        .owner_only()
        .audited_as(AuditEvent::move_cancelled)
        .then(move_cancelled),
    Row<list_moves>("ListMessageMoveTasks", kListMovesShape).owner_only().then(moves_listed),
};

}  // namespace

std::vector<std::string_view> action_names() {
  std::vector<std::string_view> names;
  for (const Action& action : kTable)
    names.push_back(action.name);
  names.push_back("unknown");
  return names;
}

std::span<const Action> action_table() {
  return kTable;
}

const Action* find_action(std::string_view name) {
  const auto found = std::find_if(std::begin(kTable), std::end(kTable),
                                  [&](const Action& action) { return action.name == name; });
  return found == std::end(kTable) ? nullptr : found;
}

}  // namespace millrace::net::sqs

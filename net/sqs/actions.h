// SQS's actions: one row of the table, one function to ask the shard and, where it is asked, one to
// answer its reply.
//
// An action is given its input decoded, its caller authorised and its queue found. It refuses,
// answers at once, or keeps what the answer will need and gives the shard a request with wait().
// actions.cc has the table; send.cc, receive.cc, handles.cc, queues.cc, queue_attributes.cc,
// tags.cc, permissions.cc and moves.cc the families.
//
// Threads: shard-local.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "millrace/engine.h"
#include "net/aws/kept.h"
#include "net/aws/md5.h"
#include "net/aws/operation.h"
#include "net/aws/service_front.h"
#include "net/sqs/errors.h"
#include "net/sqs/inputs.h"
#include "net/sqs/settings.h"

namespace millrace::net::sqs {

struct Action;
class SqsFront;

// Reused by all requests of a shard.
struct Scratch {
  std::string run;  // messages, laid out as the shard takes them
  Md5 md5;
};

class Answer : public ServiceAnswer {
 public:
  Answer(SqsFront& front, HttpExchange& exchange, bool xml);

  Scratch& scratch();
  const SqsSettings& settings();
  SqsShared& shared();
  const Action& action() const;
  QueueId queue_id() const { return queue_id_; }  // 0: of no queue

  void refuse(const AwsError& error);

  std::string queue_arn(std::string_view region, std::string_view name);

  // To be given to the shard at once.
  ReplyTo wait(bool receives = false);
  // Of a receive: what its own shard can't fill, the others are asked for.
  ReplyTo wait_for_messages(uint32_t messages_max, uint32_t visibility_ms, uint32_t holder);

 protected:
  friend class SqsFront;
  SqsFront& sqs_;
  QueueId queue_id_{};  // 0: of no queue
};

// The request in hand.
class Request final : public Answer {
 public:
  Request(SqsFront& front, const HttpRequest& request, HttpExchange& exchange, const Caller& called,
          bool is_xml)
      : Answer(front, exchange, is_xml), http(request), caller(called) {}

  const HttpRequest& http;
  const Caller& caller;
  const QueueInfo* queue = nullptr;  // of actions on a queue; until the shard is asked

  void use(const Action& action);
  // Whose the leases are, among the settings' holders.
  uint32_t holder();
  // "http://127.0.0.1:9324", by which the client reached us.
  std::string url_base();
  // What becomes of it is for the audit log. `key`: as it was claimed, where there is no caller.
  void audit(AuditEvent event, std::string_view name, std::string_view about_queue,
             std::string_view claimed_key = {});
  // A change of the queue is one of its policy.
  void audit_policy() {
    if (audited_ != nullptr) audited_->event = AuditEvent::policy_changed;
  }
};

// The shard has replied.
class Reply final : public Answer {
 public:
  Reply(SqsFront& front, HttpExchange& exchange, const Action& action, bool is_xml, QueueId queue,
        std::string_view kept_text);
  KeptReader request;  // what was kept of it
  // Null: it is gone by now.
  const QueueInfo* queue() { return port().find_queue(queue_id_); }
};

struct Action : Operation {
  const Text* (*queue_url)(const void* input) = nullptr;  // null: it has no queue's URL
  // Where it has none, but the name or the ARN of a queue. Null: it is not about one.
  const Text* (*queue_name)(const void* input) = nullptr;
  // The ARN of a queue that messages are sent to by it, which the caller must be allowed to do.
  const Text* (*destination)(const void* input) = nullptr;
  void (*ask)(Request& request, const void* input) = nullptr;
  // What answers, by the kind of reply.
  void (*sent)(Reply& reply, const SendReply& from_shard) = nullptr;
  void (*received)(Reply& reply, const ReceiveReply& from_shard) = nullptr;
  void (*results)(Reply& reply, const ResultsReply& from_shard) = nullptr;
  void (*queues)(Reply& reply, const QueueReply& from_shard) = nullptr;
  void (*moves)(Reply& reply, const MoveReply& from_shard) = nullptr;

  constexpr void answered_by(void (*by)(Reply&, const SendReply&)) { sent = by; }
  constexpr void answered_by(void (*by)(Reply&, const ReceiveReply&)) { received = by; }
  constexpr void answered_by(void (*by)(Reply&, const ResultsReply&)) { results = by; }
  constexpr void answered_by(void (*by)(Reply&, const QueueReply&)) { queues = by; }
  constexpr void answered_by(void (*by)(Reply&, const MoveReply&)) { moves = by; }
};

std::span<const Action> action_table();
const Action* find_action(std::string_view name);

// send.cc
void send_message(Request& request, const SendMessageInput& input);
void send_message_batch(Request& request, const SendMessageBatchInput& input);
void message_sent(Reply& reply, const SendReply& from_shard);
void batch_sent(Reply& reply, const SendReply& from_shard);

// receive.cc
void receive_message(Request& request, const ReceiveMessageInput& input);
void messages_received(Reply& reply, const ReceiveReply& from_shard);

// handles.cc
void delete_message(Request& request, const OneHandleInput& input);
void delete_message_batch(Request& request, const HandlesInput& input);
void change_visibility(Request& request, const OneHandleInput& input);
void change_visibility_batch(Request& request, const HandlesInput& input);
void handle_done(Reply& reply, const ResultsReply& from_shard);
void handles_done(Reply& reply, const ResultsReply& from_shard);

// queues.cc
void create_queue(Request& request, const CreateQueueInput& input);
void delete_queue(Request& request, const QueueInput& input);
void purge_queue(Request& request, const QueueInput& input);
void get_queue_url(Request& request, const GetQueueUrlInput& input);
void list_queues(Request& request, const ListQueuesInput& input);
void list_sources(Request& request, const ListSourcesInput& input);
void queue_created(Reply& reply, const QueueReply& from_shard);
void queue_deleted(Reply& reply, const QueueReply& from_shard);
void queues_listed(Reply& reply, const QueueReply& from_shard);
void sources_listed(Reply& reply, const QueueReply& from_shard);
void queue_changed(Reply& reply, const QueueReply& from_shard);  // answers nothing

// queue_attributes.cc
void get_queue_attributes(Request& request, const GetQueueAttributesInput& input);
void set_queue_attributes(Request& request, const SetQueueAttributesInput& input);
void queue_counted(Reply& reply, const QueueReply& from_shard);

// tags.cc
void tag_queue(Request& request, const TagQueueInput& input);
void untag_queue(Request& request, const UntagQueueInput& input);
void list_queue_tags(Request& request, const QueueInput& input);

// permissions.cc
void add_permission(Request& request, const AddPermissionInput& input);
void remove_permission(Request& request, const RemovePermissionInput& input);
void permission_changed(Reply& reply, const QueueReply& from_shard);

// moves.cc
void start_move(Request& request, const StartMoveInput& input);
void cancel_move(Request& request, const CancelMoveInput& input);
void list_moves(Request& request, const ListMovesInput& input);
void move_started(Reply& reply, const MoveReply& from_shard);
void move_cancelled(Reply& reply, const MoveReply& from_shard);
void moves_listed(Reply& reply, const MoveReply& from_shard);

}  // namespace millrace::net::sqs

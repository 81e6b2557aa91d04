// The ReplySink half of Session: each callback takes the request off the table and encodes its
// answer.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "engine/request_check.h"
#include "net/binary/answers.h"
#include "net/binary/session.h"
#include "net/binary/tokens.h"

namespace millrace::net {
namespace {

// True if `run` is `count` messages whose lengths do not pass its end.
bool lengths_fit(Bytes run, uint32_t count) {
  for (; count > 0; --count) {
    if (run.size() < sizeof(MessageHeader)) return false;
    const uint64_t stride = message_stride(take<MessageHeader>(run.data()));
    if (stride > run.size()) return false;
    run = run.subspan(stride);
  }
  return run.empty();
}

}  // namespace

void Session::on_send(uint64_t token, const SendReply& reply) {
  const PendingRequest request = close_request(token);
  if (reply.error == Errc::ok) [[likely]] {
    answer_send(output_, request.correlation, request.count, reply);
    mark_dirty();
    return;
  }
  // The engine finds a message too large before it finds that it is not all there.
  const bool malformed =
      reply.error == Errc::malformed ||
      (!run_in_hand_.empty() && !lengths_fit(run_in_hand_, request.count) &&
       (reply.error == Errc::message_too_large || reply.error == Errc::invalid_argument));
  if (malformed) {
    fail_later(Errc::malformed);
    return;
  }
  const bool about_a_message =
      reply.error == Errc::message_too_large || reply.error == Errc::invalid_argument;
  // The engine's answer has no words; it comes while the run is still here.
  std::string fault;
  const QueueInfo* queue = port().find_queue(QueueId{request.queue});
  if (reply.error == Errc::invalid_argument && !run_in_hand_.empty() && queue != nullptr)
    fault = engine::fault_text(run_in_hand_, reply.bad_index, queue->attributes);
  refuse_pending(request, reply.error, about_a_message ? reply.bad_index : kWholeRequest, fault);
}

void Session::on_receive(uint64_t token, const ReceiveReply& reply) {
  if (is_subscription(token)) {
    on_push(place_of(token), reply);
    return;
  }
  const PendingRequest request = close_request(token);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error);
    return;
  }
  std::span<const Delivery> deliveries = reply.deliveries;
  if (overfull() || is_stale()) {
    give_back(deliveries);
    deliveries = {};
  }
  answer_deliveries(output_, static_cast<uint8_t>(wire::Opcode::receive) | wire::kReplyBit,
                    request.correlation, deliveries);
  mark_dirty();
}

void Session::on_push(uint32_t place, const ReceiveReply& reply) {
  Subscription& subscription = subscriptions_.at(place);
  if (reply.error != Errc::ok) {
    const Subscription ended = subscription;
    subscriptions_.remove(place);
    refuse_pending({.correlation = ended.correlation, .queue = ended.queue}, reply.error);
    return;
  }
  if (reply.deliveries.empty()) return;
  subscription.granted -= std::min<uint64_t>(subscription.granted, reply.deliveries.size());
  if (overfull() || is_stale()) {
    subscription.credit += reply.deliveries.size();
    give_back(reply.deliveries);
    return;
  }
  size_t largest = 0;
  for (const Delivery& delivery : reply.deliveries) {
    largest = std::max(largest, delivery.message.size());
  }
  subscription.largest = largest;
  answer_deliveries(output_, static_cast<uint8_t>(wire::Opcode::deliver), subscription.correlation,
                    reply.deliveries);
  mark_dirty();
}

void Session::on_results(uint64_t token, const ResultsReply& reply) {
  if (token == kGiveBackToken) return;
  const PendingRequest request = close_request(token);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error);
    return;
  }
  answer_results(output_, request.opcode, request.correlation, reply.results);
  mark_dirty();
}

void Session::on_peek(uint64_t token, const PeekReply& reply) {
  const PendingRequest request = close_request(token);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error);
    return;
  }
  if (overfull()) {
    refuse_pending(request, Errc::throttled);
    return;
  }
  answer_peek(output_, request.correlation, reply.messages, setting_.holders);
  mark_dirty();
}

void Session::on_queues(uint64_t token, const QueueReply& reply) {
  const PendingRequest request = close_request(token);
  tell_note(token, request.correlation, reply.error);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error, kWholeRequest, reply.detail);
    return;
  }
  switch (request.opcode) {
    case wire::Opcode::queue_create:
      MR_ASSERT(reply.queues.size() == 1);
      answer_struct(output_, request.opcode, request.correlation,
                    wire::QueueRef{raw(reply.queues.front().id), 0});
      break;
    case wire::Opcode::queue_list:
    case wire::Opcode::queue_stats:
      if (overfull()) {
        refuse_pending(request, Errc::throttled);
        return;
      }
      if (!answer_queues(output_, request.opcode, request.correlation, reply.queues,
                         request.details)) {
        refuse_pending(request, Errc::over_limit, kWholeRequest,
                       "the queues' figures do not fit a frame: ask for fewer at a time");
        return;
      }
      break;
    default:
      answer_empty(output_, request.opcode, request.correlation);
  }
  mark_dirty();
}

void Session::on_stats(uint64_t token, const BrokerStatsReply& reply) {
  const PendingRequest request = close_request(token);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error);
    return;
  }
  answer_stats(output_, request.correlation, reply.shards);
  mark_dirty();
}

void Session::on_moves(uint64_t token, const MoveReply& reply) {
  const PendingRequest request = close_request(token);
  tell_note(token, request.correlation, reply.error);
  if (reply.error != Errc::ok) {
    refuse_pending(request, reply.error, kWholeRequest, reply.detail);
    return;
  }
  answer_moves(output_, request.opcode, request.correlation, reply.tasks);
  mark_dirty();
}

}  // namespace millrace::net

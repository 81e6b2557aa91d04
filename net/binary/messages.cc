// SEND, RECEIVE, ACK, EXTEND, PEEK.
#include <fmt/format.h>

#include "base/assert.h"
#include "base/printable.h"
#include "engine/properties_check.h"
#include "net/binary/handlers.h"
#include "net/binary/tokens.h"

namespace millrace::net {
namespace {

static_assert(sizeof(ExtendEntry) == sizeof(wire::ExtendItem) &&
              offsetof(ExtendEntry, visibility_ms) == offsetof(wire::ExtendItem, visibility_ms) &&
              offsetof(ExtendEntry, lease_ms_max) == offsetof(wire::ExtendItem, lease_ms_max));

// `count` entries of type T behind a CountBody; false if the body is not exactly that.
template <class T>
bool take_entries(Bytes body, std::span<const T>& entries) {
  const auto head = take<wire::CountBody>(body.data());
  const Bytes rest = body.subspan(sizeof head);
  if (rest.size() != uint64_t{head.count} * sizeof(T)) return false;
  MR_ASSERT(reinterpret_cast<uintptr_t>(rest.data()) % alignof(T) == 0);
  entries = {reinterpret_cast<const T*>(rest.data()), head.count};
  return true;
}

}  // namespace

// Of each queue that entries are about, once for each stretch of them.
template <class T, class QueueOf>
bool Handlers::allows_entries(Session& session, const Frame& frame, const Right& right,
                              std::span<const T> entries, QueueOf queue_of) {
  if (!session.admitted_) return true;
  uint32_t last = 0;
  for (const T& entry : entries) {
    const uint32_t queue = queue_of(entry);
    if (queue == last) continue;
    last = queue;
    const auto index = static_cast<uint32_t>(&entry - entries.data());
    if (!session.allows(frame.header.correlation, right, queue, index)) return false;
  }
  return true;
}

void Handlers::send(Session& session, const Frame& frame) {
  const auto body = take<wire::SendBody>(frame.body.data());
  const Bytes run = frame.body.subspan(sizeof body);
  if (body.count > run.size() / sizeof(MessageHeader)) {
    session.fail_connection(
        Errc::malformed,
        fmt::format("a SEND of {} messages has only {} bytes of them", body.count, run.size()));
    return;
  }
  if (!session.allows(frame.header.correlation, rights::kSendMessage, body.queue_id)) return;
  const ReplyTo reply = session.open_request(frame, body.queue_id, body.count);
  session.run_in_hand_ = run;
  session.port().send({QueueId{body.queue_id}, body.count, run}, reply);
  session.run_in_hand_ = {};
}

bool Handlers::check_receive(Session& session, uint64_t correlation,
                             const ReceiveRequest& request) {
  std::string fault;
  if (request.messages_max == 0 || request.messages_max > kBatchMessagesMax) {
    fault = fmt::format("messages_max is {}; allowed are 1 to {}", request.messages_max,
                        kBatchMessagesMax);
  } else if (request.bytes_max > kBatchBytesMax) {
    fault = fmt::format("bytes_max is {}; allowed are up to {}", request.bytes_max, kBatchBytesMax);
  } else if (request.visibility_ms > kLeaseMsMax && request.visibility_ms != kDelayQueueDefault) {
    fault = fmt::format("visibility_ms is {}; allowed are up to {}", request.visibility_ms,
                        kLeaseMsMax);
  } else if (request.wait_ms > kReceiveWaitMsMax && request.wait_ms != kDelayQueueDefault) {
    fault = fmt::format("wait_ms is {}; allowed are up to {}", request.wait_ms, kReceiveWaitMsMax);
  } else if (!request.attempt_id.empty() && !engine::is_id(request.attempt_id)) {
    fault = fmt::format(
        "the receive attempt id is '{}'; allowed are 1 to {} letters, digits and punctuation marks",
        base::printable(request.attempt_id), kGroupIdBytesMax);
  } else if (const QueueInfo* queue = session.port().find_queue(request.queue);
             !request.attempt_id.empty() && queue != nullptr && !queue->attributes.fifo) {
    fault = fmt::format("only a FIFO queue knows receive attempt ids; '{}' is none", queue->name);
  } else {
    return true;
  }
  session.refuse(correlation, Errc::invalid_argument, fault);
  return false;
}

void Handlers::receive(Session& session, const Frame& frame) {
  const auto body = take<wire::ReceiveBody>(frame.body.data());
  const Bytes rest = frame.body.subspan(sizeof body);
  if (padded8(body.attempt_bytes) != rest.size()) {
    session.fail_connection(
        Errc::malformed, fmt::format("a receive attempt id of {} bytes does not fit the {} it has",
                                     body.attempt_bytes, rest.size()));
    return;
  }
  const ReceiveRequest request{QueueId{body.queue_id},
                               body.messages_max,
                               body.bytes_max == 0 ? kBatchBytesMax : body.bytes_max,
                               body.visibility_ms,
                               body.wait_ms,
                               as_text(rest.first(body.attempt_bytes)),
                               false,
                               session.holder()};
  if (!session.allows(frame.header.correlation, rights::kReceiveMessage, body.queue_id)) return;
  if (!check_receive(session, frame.header.correlation, request)) return;
  const ReplyTo reply = session.open_request(frame, body.queue_id, 1);
  session.requests_.at(place_of(reply.token)).waits = request.wait_ms != 0;
  session.port().receive(request, reply);
}

void Handlers::ack(Session& session, const Frame& frame) {
  std::span<const Receipt> receipts;
  if (!take_entries(frame.body, receipts)) {
    session.fail_connection(Errc::malformed, "the count of an ACK does not match its receipts");
    return;
  }
  const auto queue_of = [](const Receipt& receipt) { return receipt.queue_id; };
  if (!allows_entries(session, frame, rights::kDeleteMessage, receipts, queue_of)) return;
  const auto count = static_cast<uint32_t>(receipts.size());
  session.port().ack({receipts}, session.open_request(frame, 0, count));
}

void Handlers::extend(Session& session, const Frame& frame) {
  std::span<const ExtendEntry> entries;
  if (!take_entries(frame.body, entries)) {
    session.fail_connection(Errc::malformed, "the count of an EXTEND does not match its entries");
    return;
  }
  const auto queue_of = [](const ExtendEntry& entry) { return entry.receipt.queue_id; };
  if (!allows_entries(session, frame, rights::kChangeVisibility, entries, queue_of)) return;
  for (const ExtendEntry& entry : entries) {
    const bool visibility_is_good = entry.visibility_ms <= kLeaseMsMax;
    if (visibility_is_good && entry.lease_ms_max <= kLeaseMsMax) continue;
    session.refuse(
        frame.header.correlation, Errc::invalid_argument,
        fmt::format("{} is {}; allowed are up to {}",
                    visibility_is_good ? "lease_ms_max" : "visibility_ms",
                    visibility_is_good ? entry.lease_ms_max : entry.visibility_ms, kLeaseMsMax),
        static_cast<uint32_t>(&entry - entries.data()));
    return;
  }
  const auto count = static_cast<uint32_t>(entries.size());
  session.port().extend({entries, session.holder()}, session.open_request(frame, 0, count));
}

void Handlers::peek(Session& session, const Frame& frame) {
  const auto body = take<wire::PeekBody>(frame.body.data());
  std::string fault;
  if (body.messages_max == 0 || body.messages_max > kBatchMessagesMax) {
    fault = fmt::format("messages_max is {}; allowed are 1 to {}", body.messages_max,
                        kBatchMessagesMax);
  } else if (body.states == 0 || body.states > 0b111) {
    fault = fmt::format("states is {}; allowed are 1 to 7", body.states);
  }
  if (!fault.empty()) {
    session.refuse(frame.header.correlation, Errc::invalid_argument, fault);
    return;
  }
  // Bodies are shown.
  if (!session.allows(frame.header.correlation, rights::kReceiveMessage, body.queue_id)) return;
  session.port().peek(
      {QueueId{body.queue_id}, body.messages_max, static_cast<uint8_t>(body.states)},
      session.open_request(frame, body.queue_id, 1));
}

}  // namespace millrace::net

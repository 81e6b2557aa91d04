#include "tests/sim/sim_connection.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace millrace::sim {
namespace {

using wire::Opcode;

template <class T>
Bytes bytes_of(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

}  // namespace

SimConnection::SimConnection(ShardPort& port, uint64_t seed)
    : port_(port),
      prng_(seed),
      setting_{.port = &port, .pool = &pool_, .host = this, .limits = {}},
      session_(setting_, 0) {
  (void)ask(Opcode::hello,
            bytes_of(wire::Hello{wire::kMagic, wire::kVersion, wire::kVersion, 0, 0}), {});
}

uint64_t SimConnection::ask(Opcode opcode, Bytes head, Bytes rest) {
  const size_t bytes = padded8(head.size() + rest.size());
  std::byte* body = client::begin_frame(to_server_, opcode, ++last_correlation_, bytes);
  std::memset(body, 0, bytes);
  if (!head.empty()) std::memcpy(body, head.data(), head.size());
  if (!rest.empty()) std::memcpy(body + head.size(), rest.data(), rest.size());
  client::seal_frame(body, bytes);
  return last_correlation_;
}

uint64_t SimConnection::correlation_of(ReplyTo reply) const {
  const auto found = std::find_if(asked_.begin(), asked_.end(), [&](const auto& each) {
    return each.second.reply.sink == reply.sink && each.second.reply.token == reply.token;
  });
  return found == asked_.end() ? 0 : found->first;
}

// --- requests ---

void SimConnection::send(const SendRequest& request, ReplyTo reply) {
  const wire::SendBody body{raw(request.queue), request.count};
  await(ask(Opcode::send, bytes_of(body), request.messages), Opcode::send, reply);
}

void SimConnection::receive(const ReceiveRequest& request, ReplyTo reply) {
  const wire::ReceiveBody body{
      raw(request.queue), request.messages_max,
      request.bytes_max,  request.visibility_ms,
      request.wait_ms,    static_cast<uint32_t>(request.attempt_id.size())};
  await(ask(Opcode::receive, bytes_of(body), as_bytes(request.attempt_id)), Opcode::receive, reply);
}

void SimConnection::ack(const AckRequest& request, ReplyTo reply) {
  const wire::CountBody body{static_cast<uint32_t>(request.receipts.size()), 0};
  await(ask(Opcode::ack, bytes_of(body), std::as_bytes(request.receipts)), Opcode::ack, reply);
}

void SimConnection::extend(const ExtendRequest& request, ReplyTo reply) {
  const wire::CountBody body{static_cast<uint32_t>(request.entries.size()), 0};
  await(ask(Opcode::extend, bytes_of(body), std::as_bytes(request.entries)), Opcode::extend, reply);
}

void SimConnection::peek(const PeekRequest& request, ReplyTo reply) {
  const wire::PeekBody body{raw(request.queue), request.messages_max, request.states, 0};
  await(ask(Opcode::peek, bytes_of(body), {}), Opcode::peek, reply);
}

Status SimConnection::subscribe(const ReceiveRequest& request, uint64_t credit, ReplyTo reply) {
  const wire::SubscribeBody body{raw(request.queue), request.messages_max, request.bytes_max,
                                 request.visibility_ms, credit};
  await(ask(Opcode::subscribe, bytes_of(body), {}), Opcode::subscribe, reply);
  return {};
}

Status SimConnection::add_credit(ReplyTo subscription, uint64_t messages) {
  (void)ask(Opcode::credit, bytes_of(wire::CreditBody{correlation_of(subscription), messages}), {});
  return {};
}

Status SimConnection::unsubscribe(ReplyTo subscription) {
  const uint64_t correlation = correlation_of(subscription);
  asked_.erase(correlation);
  (void)ask(Opcode::unsubscribe, bytes_of(wire::SubscriptionRef{correlation}), {});
  return {};
}

void SimConnection::cancel(ReplyTo reply) {
  const uint64_t correlation = correlation_of(reply);
  asked_.erase(correlation);
  (void)ask(Opcode::cancel, bytes_of(wire::CancelBody{correlation}), {});
}

void SimConnection::purge_queue(QueueId queue, ReplyTo reply) {
  await(ask(Opcode::queue_purge, bytes_of(wire::QueueRef{raw(queue), 0}), {}), Opcode::queue_purge,
        reply);
}

void SimConnection::queue_stats(std::span<const QueueId> queues, ReplyTo reply) {
  const wire::CountBody body{static_cast<uint32_t>(queues.size()), 0};
  await(ask(Opcode::queue_stats, bytes_of(body), std::as_bytes(queues)), Opcode::queue_stats,
        reply);
}

// --- bytes under way ---

void SimConnection::step() {
  if (prng_.chance(2, 3)) move_to_server();
  if (dirty_) {
    dirty_ = false;
    (void)session_.settle();
  }
  if (prng_.chance(2, 3)) move_to_client();
}

void SimConnection::move_to_server() {
  if (to_server_.empty() || !session_.wants_input()) return;
  // Now and then all of it, else any piece: most frames come in several.
  const size_t most = to_server_.size();
  const size_t bytes = prng_.chance(1, 2) ? most : std::min<size_t>(most, prng_.between(1, 400));
  piece_.assign(to_server_.front(), to_server_.front() + bytes);
  to_server_.consume(bytes);
  session_.feed(piece_);
}

void SimConnection::move_to_client() {
  net::OutputBuffer& output = session_.output();
  if (sending_.empty()) {
    if (output.pending() == 0) return;
    sending_ = output.start_sending();
  }
  const size_t most = sending_.size();
  const size_t bytes = prng_.chance(1, 2) ? most : std::min<size_t>(most, prng_.between(1, 400));
  std::memcpy(from_server_.extend(bytes), sending_.data(), bytes);
  sending_ = sending_.subspan(bytes);
  output.sent(bytes);
  dirty_ = true;  // there may be room again
  take_frames();
}

void SimConnection::take_frames() {
  while (fault_.empty()) {
    const uint32_t length = client::frame_bytes_at({from_server_.front(), from_server_.size()});
    if (length == 0 || from_server_.size() < length) return;
    const auto frame = client::read_frame({from_server_.front(), length}, wire::kFrameBytesMax);
    if (!frame) {
      fault_ = fmt::format("a frame of the server is {}", errc_name(frame.error()));
      return;
    }
    answer(*frame);
    from_server_.consume(length);
  }
}

void SimConnection::fail(const Asked& asked, Errc error) {
  const auto [sink, token] = asked.reply;
  switch (asked.opcode) {
    case Opcode::send:
      return sink->on_send(token, {.error = error});
    case Opcode::receive:
    case Opcode::subscribe:
      return sink->on_receive(token, {error, {}});
    case Opcode::ack:
    case Opcode::extend:
      return sink->on_results(token, {error, {}});
    case Opcode::peek:
      return sink->on_peek(token, {error, {}});
    default:
      return sink->on_queues(token, {error, {}, {}});
  }
}

void SimConnection::answer(const client::Frame& frame) {
  const uint64_t correlation = frame.header.correlation;
  const Errc error{frame.header.status};
  if (correlation == 0 || correlation > last_correlation_) {
    fault_ = fmt::format("the server answers {} to request {}", errc_name(error), correlation);
    return;
  }
  const auto found = asked_.find(correlation);
  if (found == asked_.end()) return;  // forgotten, or of no interest
  const Asked asked = found->second;
  if (asked.opcode != Opcode::subscribe || error != Errc::ok) asked_.erase(found);
  if (error != Errc::ok) return fail(asked, error);
  const auto [sink, token] = asked.reply;
  const std::byte* body = frame.body.data();
  switch (asked.opcode) {
    case Opcode::send: {
      const auto sent = client::take<wire::SendAnswer>(body);
      std::vector<uint64_t> scattered(sent.scattered == 0 ? 0 : sent.count);
      if (!scattered.empty())
        std::memcpy(scattered.data(), body + sizeof sent, scattered.size() * sizeof(uint64_t));
      return sink->on_send(token, {.durability = Durability{sent.durability},
                                   .shard = ShardId{static_cast<uint16_t>(sent.shard_slot >> 48)},
                                   .position = Position{sent.position},
                                   .first_slot = Slot{sent.shard_slot << 16 >> 16},
                                   .shard_slots = scattered});
    }
    case Opcode::receive:
    case Opcode::subscribe: {
      // A SUBSCRIBE's own answer brings nothing.
      if (frame.header.opcode == (static_cast<uint8_t>(Opcode::subscribe) | wire::kReplyBit))
        return;
      const auto head = client::take<wire::DeliveryHeader>(body);
      const std::byte* entries = body + sizeof head;
      const Bytes run{entries + head.count * sizeof(wire::DeliveryEntry), head.run_bytes};
      std::vector<Delivery> deliveries;
      for (uint32_t i = 0; i < head.count; ++i) {
        const auto entry =
            client::take<wire::DeliveryEntry>(entries + i * sizeof(wire::DeliveryEntry));
        const auto header = client::take<MessageHeader>(run.data() + entry.run_offset);
        deliveries.push_back({.receipt = entry.receipt,
                              .sent_at = TimeMs{entry.sent_at_ms},
                              .receive_count = entry.receive_count,
                              .first_received_at = TimeMs{0},  // the protocol does not tell
                              .message = run.subspan(entry.run_offset, message_stride(header))});
      }
      return sink->on_receive(token, {Errc::ok, deliveries});
    }
    case Opcode::ack:
    case Opcode::extend: {
      const auto head = client::take<wire::ResultsAnswer>(body);
      std::vector<Errc> results(head.count, Errc::ok);
      if (head.failed > 0)
        std::memcpy(results.data(), body + sizeof head, results.size() * sizeof(Errc));
      return sink->on_results(token, {Errc::ok, results});
    }
    case Opcode::peek:
      return sink->on_peek(token, {});
    default:
      return sink->on_queues(token, {});
  }
}

}  // namespace millrace::sim

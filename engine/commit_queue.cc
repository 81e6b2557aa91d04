#include "engine/commit_queue.h"

#include <algorithm>

#include "base/assert.h"
#include "base/planted.h"
#include "engine/deliveries.h"

namespace millrace::engine {

std::span<const Errc> all_ok(size_t count) {
  static constexpr std::array<Errc, kBatchMessagesMax> kOk{};
  static_assert(Errc{} == Errc::ok);
  MR_ASSERT(count <= kOk.size());
  return {kOk.data(), count};
}

void CommitQueue::park(Level level, Parked parked) {
  if (base::planted(base::Bug::ack_before_sync)) level = Level::written;
  const bool shows = parked.kind == Parked::Kind::receive ||
                     (parked.mail != nullptr && parked.mail->kind == MailKind::receive_answer);
  if (held_ && !shows) level = Level::durable;
  auto& parked_before = queue(level);
  MR_ASSERT(parked_before.empty() || parked_before.back().end <= parked.end);
  parked_before.push(std::move(parked));
}

void CommitQueue::deliver(Parked& parked, Errc error, std::span<const Delivery> deliveries,
                          Mailbox& mailbox) {
  switch (parked.kind) {
    case Parked::Kind::send: {
      SendReply reply = parked.send;
      if (parked.shard_slots != nullptr) reply.shard_slots = *parked.shard_slots;
      if (error != Errc::ok) reply = SendReply{.error = error};
      parked.to.sink->on_send(parked.to.token, reply);
      break;
    }
    case Parked::Kind::receive:
      parked.to.sink->on_receive(parked.to.token, {error, deliveries});
      break;
    case Parked::Kind::results: {
      const auto results =
          parked.results ? std::span<const Errc>(*parked.results) : all_ok(parked.count);
      parked.to.sink->on_results(parked.to.token,
                                 {error, error == Errc::ok ? results : std::span<const Errc>()});
      break;
    }
    case Parked::Kind::mail:
      if (error != Errc::ok) {
        parked.mail->error = error;
        parked.mail->deliveries.clear();  // leases that nobody may see
      } else if (!deliveries.empty()) {
        // A mail outlives the turn and crosses to another thread: it takes the messages along.
        copy_deliveries(deliveries, &parked.mail->bytes, &parked.mail->deliveries);
      }
      mailbox.post(parked.mail_to, std::move(parked.mail));
      break;
  }
}

void CommitQueue::fail_all(Errc error, Mailbox& mailbox) {
  gathering_.clear();
  for (const Level level : {Level::written, Level::durable})
    while (!queue(level).empty()) {
      Parked next = queue(level).pop();
      if (!gone(level, next) && !next.pushed) deliver(next, error, {}, mailbox);
    }
  canceled_.clear();
}

void CommitQueue::cancel(const ReplySink* sink) {
  if (empty()) return;
  canceled_[sink] = {written_.pushed(), durable_.pushed()};
  if (canceled_.size() < sweep_canceled_at_) return;
  std::erase_if(canceled_, [&](const auto& gone) {
    return written_.popped() >= gone.second[0] && durable_.popped() >= gone.second[1];
  });
  sweep_canceled_at_ = std::max(kCanceledKept, 2 * canceled_.size());
}

void CommitQueue::cancel_receives(ReplyTo reply) {
  for (auto* parked_at : {&written_, &durable_})
    for (size_t i = 0; i < parked_at->size(); ++i) {
      Parked& parked = (*parked_at)[i];
      if (parked.kind == Parked::Kind::receive && parked.to.sink == reply.sink &&
          parked.to.token == reply.token)
        parked.to.sink = nullptr;
    }
}

}  // namespace millrace::engine

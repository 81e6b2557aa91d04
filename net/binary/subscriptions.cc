// SUBSCRIBE, CREDIT, UNSUBSCRIBE.
#include "net/binary/subscriptions.h"

#include <fmt/format.h>

#include "net/binary/answers.h"
#include "net/binary/handlers.h"
#include "net/binary/tokens.h"

namespace millrace::net {
namespace {

constexpr uint64_t kCreditMax = uint64_t{1} << 32;

}  // namespace

void Handlers::subscribe(Session& session, const Frame& frame) {
  const auto body = take<wire::SubscribeBody>(frame.body.data());
  const uint64_t correlation = frame.header.correlation;
  const ReceiveRequest request{.queue = QueueId{body.queue_id},
                               .messages_max = body.messages_max,
                               .bytes_max = body.bytes_max == 0 ? kBatchBytesMax : body.bytes_max,
                               .visibility_ms = body.visibility_ms,
                               .holder = session.holder()};
  if (!session.allows(correlation, rights::kReceiveMessage, body.queue_id)) return;
  if (!check_receive(session, correlation, request)) return;
  if (body.credit == 0 || body.credit > kCreditMax) {
    session.refuse(correlation, Errc::invalid_argument,
                   fmt::format("credit is {}; allowed are 1 to {}", body.credit, kCreditMax));
    return;
  }
  if (session.port().find_queue(request.queue) == nullptr) {
    session.refuse_pending({.correlation = correlation, .queue = body.queue_id},
                           Errc::queue_not_found);
    return;
  }
  Subscription subscription;
  subscription.correlation = correlation;
  subscription.queue = body.queue_id;
  subscription.granted = std::min(body.credit, Subscription::kFirstWindow);
  subscription.credit = body.credit - subscription.granted;
  const uint32_t place = session.subscriptions_.add(subscription);
  if (place == Subscriptions::kNotFound) {
    session.refuse(correlation, Errc::over_limit,
                   fmt::format("a connection has at most {} subscriptions", Subscriptions::kMax));
    return;
  }
  // Before the shard knows of it: the answer comes before the first DELIVER.
  answer_struct(session.output_, wire::Opcode::subscribe, correlation,
                wire::SubscriptionRef{correlation});
  session.mark_dirty();
  const Status done = session.port().subscribe(request, subscription.granted,
                                               {&session, subscription_token(place)});
  if (done) return;
  session.subscriptions_.remove(place);
  session.refuse_pending({.correlation = correlation, .queue = body.queue_id}, done.error());
}

void Handlers::credit(Session& session, const Frame& frame) {
  const auto body = take<wire::CreditBody>(frame.body.data());
  const uint32_t place = body.subscription == 0 ? Subscriptions::kNotFound
                                                : session.subscriptions_.find(body.subscription);
  if (place == Subscriptions::kNotFound) {
    session.refuse(
        frame.header.correlation, Errc::subscription_not_found,
        fmt::format("there is no subscription {} on this connection", body.subscription));
    return;
  }
  Subscription& subscription = session.subscriptions_.at(place);
  if (!session.allows(frame.header.correlation, rights::kReceiveMessage, subscription.queue))
    return;
  if (body.messages > kCreditMax || subscription.credit + body.messages > kCreditMax) {
    session.refuse(
        frame.header.correlation, Errc::invalid_argument,
        fmt::format("{} more messages of credit would pass {}", body.messages, kCreditMax));
    return;
  }
  subscription.credit += body.messages;
  answer_empty(session.output_, wire::Opcode::credit, frame.header.correlation);
  session.mark_dirty();  // settle() hands it out
}

void Handlers::unsubscribe(Session& session, const Frame& frame) {
  const auto body = take<wire::SubscriptionRef>(frame.body.data());
  const uint32_t place = body.subscription == 0 ? Subscriptions::kNotFound
                                                : session.subscriptions_.find(body.subscription);
  if (place == Subscriptions::kNotFound) {
    session.refuse(
        frame.header.correlation, Errc::subscription_not_found,
        fmt::format("there is no subscription {} on this connection", body.subscription));
    return;
  }
  (void)session.port().unsubscribe({&session, subscription_token(place)});
  session.subscriptions_.remove(place);
  answer_empty(session.output_, wire::Opcode::unsubscribe, frame.header.correlation);
  session.mark_dirty();
}

}  // namespace millrace::net

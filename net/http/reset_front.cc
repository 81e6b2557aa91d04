#include "net/http/reset_front.h"

#include <string>
#include <utility>

#include <fmt/format.h>

namespace millrace::net {
namespace {

bool from_here(std::string_view peer) {
  return peer.empty() || peer.starts_with("127.") || peer == "::1";
}

}  // namespace

void ResetFront::handle(const HttpRequest& request, HttpExchange& exchange) {
  if (request.method != "POST") {
    constexpr HttpField kTakes{"Allow", "POST"};
    return exchange.answer({.status = 405, .fields = {&kTakes, 1}, .body = "POST is taken here\n"});
  }
  if (!from_here(request.peer)) {
    constexpr std::string_view kWhy = "only from the server's own machine\n";
    record(audit_, {.event = AuditEvent::access_denied,
                    .via = "http",
                    .from = request.peer,
                    .action = kPath,
                    .result = errc_name(Errc::access_denied),
                    .reason = kWhy.substr(0, kWhy.size() - 1)});
    return exchange.answer({.status = 403, .body = kWhy});
  }
  asked_.push_back(&exchange);
  if (under_way_) return;
  asked_from_ = request.peer.empty() ? "unix socket" : request.peer;
  under_way_ = true;
  rounds_ = 0;
  deleted_ = 0;
  topics_ = 0;
  error_ = Errc::ok;
  remove_topics();
}

void ResetFront::remove_topics() {
  std::vector<TopicInfo> topics;
  port_.topics().list({}, kAtOnce, &topics);
  if (error_ == Errc::ok && ++rounds_ > kRoundsMax && !topics.empty()) error_ = Errc::throttled;
  if (error_ != Errc::ok) return finish();
  if (topics.empty()) {
    rounds_ = 0;
    return list();
  }
  // An answer that comes at once must not end the round.
  pending_ = topics.size();
  for (const TopicInfo& topic : topics)
    port_.topics().remove(topic.id, {this, kDelete});
}

void ResetFront::on_topics(uint64_t /*token*/, const TopicReply& reply) {
  // Somebody else may have deleted it.
  if (reply.error == Errc::ok) ++topics_;
  if (reply.error != Errc::ok && reply.error != Errc::topic_not_found) error_ = reply.error;
  if (--pending_ == 0) remove_topics();
}

void ResetFront::list() {
  ++rounds_;
  port_.list_queues({}, {}, kAtOnce, {this, kList});
}

void ResetFront::on_queues(uint64_t token, const QueueReply& reply) {
  if (token == kDelete) {
    // Somebody else may have deleted it.
    if (reply.error == Errc::ok) ++deleted_;
    if (reply.error != Errc::ok && reply.error != Errc::queue_not_found) error_ = reply.error;
    if (--pending_ > 0) return;
    return error_ == Errc::ok ? list() : finish();
  }
  if (reply.error != Errc::ok) error_ = reply.error;
  if (error_ == Errc::ok && rounds_ > kRoundsMax && !reply.queues.empty()) error_ = Errc::throttled;
  if (error_ != Errc::ok || reply.queues.empty()) return finish();
  // An answer that comes at once must not end the round.
  pending_ = reply.queues.size();
  for (const QueueInfo& queue : reply.queues)
    port_.delete_queue(queue.id, {this, kDelete});
}

void ResetFront::finish() {
  under_way_ = false;
  forget_();
  const std::string count = fmt::format("{} queues and {} topics were deleted", deleted_, topics_);
  record(audit_, {.event = AuditEvent::queues_reset,
                  .via = "http",
                  .from = asked_from_,
                  .action = kPath,
                  .result = errc_name(error_),
                  .reason = count});
  const std::string body = error_ == Errc::ok
                               ? fmt::format("{{\"queues\":{},\"topics\":{}}}\n", deleted_, topics_)
                               : fmt::format("{}\n", errc_text(error_));
  for (HttpExchange* const exchange : std::exchange(asked_, {})) {
    if (error_ == Errc::ok)
      exchange->answer({.content_type = "application/json", .body = body});
    else
      exchange->answer({.status = 503, .body = body});
  }
}

}  // namespace millrace::net

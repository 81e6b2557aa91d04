// QUEUE_CREATE, QUEUE_SET, QUEUE_PURGE, QUEUE_DELETE, QUEUE_LIST, QUEUE_STATS, SERVER_STATS,
// MOVE_START, MOVE_CANCEL, MOVE_LIST.
#include <algorithm>

#include <fmt/format.h>

#include "net/binary/answers.h"
#include "net/binary/handlers.h"
#include "net/binary/settings.h"
#include "net/binary/tokens.h"

namespace millrace::net {
namespace {

constexpr uint32_t kListMax = 1000;
constexpr Handlers::SettingRights kQueueSettings{rights::kSetQueueAttributes, rights::kTagQueue,
                                                 rights::kUntagQueue};

}  // namespace

void Handlers::queue_create(Session& session, const Frame& frame) {
  const auto head = take<wire::SettingsBody>(frame.body.data());
  const Bytes texts = frame.body.subspan(sizeof head);
  std::string_view name;
  QueueSettings settings;
  if (!take_settings(head, texts, &name, &settings)) return texts_do_not_fit(session, texts);
  if (!session.allows_named(frame.header.correlation, rights::kCreateQueue, name)) return;
  if (!allows_settings(session, frame, settings, kQueueSettings, name)) return;
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.note(reply.token, AuditEvent::queue_created, rights::kCreateQueue.action, name);
  session.port().create_queue(name, settings, reply);
}

void Handlers::queue_set(Session& session, const Frame& frame) {
  const auto queue = take<wire::QueueRef>(frame.body.data());
  const auto head = take<wire::SettingsBody>(frame.body.data() + sizeof queue);
  const Bytes texts = frame.body.subspan(sizeof queue + sizeof head);
  std::string_view name;
  QueueSettings settings;
  if (!take_settings(head, texts, &name, &settings) || !name.empty())
    return texts_do_not_fit(session, texts);
  const QueueInfo* info = session.port().find_queue(QueueId{queue.queue_id});
  if (info != nullptr && !allows_settings(session, frame, settings, kQueueSettings, info->name))
    return;
  const ReplyTo reply = session.open_request(frame, queue.queue_id, 1);
  const bool of_policy =
      std::any_of(settings.attributes.begin(), settings.attributes.end(),
                  [](const NamedText& attribute) { return attribute.name == "Policy"; });
  session.note_queue(reply.token,
                     of_policy ? AuditEvent::policy_changed : AuditEvent::queue_changed,
                     rights::kSetQueueAttributes.action, queue.queue_id);
  session.port().set_queue(QueueId{queue.queue_id}, settings, reply);
}

// Attributes, tags and their removal are three rights. What is created may have what it has at its
// creation: of these only tags are asked about, as over HTTP nothing is.
bool Handlers::allows_settings(Session& session, const Frame& frame, const QueueSettings& settings,
                               const SettingRights& rights, std::string_view name) {
  const uint64_t correlation = frame.header.correlation;
  const auto opcode = static_cast<wire::Opcode>(frame.header.opcode);
  const bool creates = opcode == wire::Opcode::queue_create || opcode == wire::Opcode::topic_create;
  // An empty change is one of the attributes.
  const bool of_attributes = !creates && (!settings.attributes.empty() ||
                                          (settings.tags.empty() && settings.untagged.empty()));
  if (of_attributes && !session.allows_named(correlation, rights.attributes, name)) return false;
  if (!settings.tags.empty() && !session.allows_named(correlation, rights.tags, name)) return false;
  return settings.untagged.empty() || session.allows_named(correlation, rights.untagged, name);
}

void Handlers::texts_do_not_fit(Session& session, Bytes texts) {
  session.fail_connection(
      Errc::malformed,
      fmt::format("the names and values of settings do not fit the {} bytes they have",
                  texts.size()));
}

void Handlers::queue_purge(Session& session, const Frame& frame) {
  const auto queue = take<wire::QueueRef>(frame.body.data());
  if (!session.allows(frame.header.correlation, rights::kPurgeQueue, queue.queue_id)) return;
  const ReplyTo reply = session.open_request(frame, queue.queue_id, 1);
  session.note_queue(reply.token, AuditEvent::queue_purged, rights::kPurgeQueue.action,
                     queue.queue_id);
  session.port().purge_queue(QueueId{queue.queue_id}, reply);
}

void Handlers::queue_delete(Session& session, const Frame& frame) {
  const auto queue = take<wire::QueueRef>(frame.body.data());
  if (!session.allows(frame.header.correlation, rights::kDeleteQueue, queue.queue_id)) return;
  const ReplyTo reply = session.open_request(frame, queue.queue_id, 1);
  session.note_queue(reply.token, AuditEvent::queue_deleted, rights::kDeleteQueue.action,
                     queue.queue_id);
  session.port().delete_queue(QueueId{queue.queue_id}, reply);
}

void Handlers::queue_list(Session& session, const Frame& frame) {
  const auto body = take<wire::ListBody>(frame.body.data());
  const Bytes rest = frame.body.subspan(sizeof body);
  if (padded8(uint64_t{body.prefix_bytes} + body.after_bytes) != rest.size()) {
    session.fail_connection(
        Errc::malformed,
        fmt::format("a prefix of {} and a name of {} bytes do not fit the {} bytes they have",
                    body.prefix_bytes, body.after_bytes, rest.size()));
    return;
  }
  if (body.prefix_bytes > kQueueNameBytesMax || body.after_bytes > kQueueNameBytesMax) {
    session.refuse(
        frame.header.correlation, Errc::invalid_argument,
        fmt::format("a prefix of {} and a name of {} bytes; allowed are up to {} of each",
                    body.prefix_bytes, body.after_bytes, kQueueNameBytesMax));
    return;
  }
  if (body.max == 0 || body.max > kListMax) {
    session.refuse(frame.header.correlation, Errc::invalid_argument,
                   fmt::format("max is {}; allowed are 1 to {}", body.max, kListMax));
    return;
  }
  if (!session.allows_named(frame.header.correlation, rights::kListQueues, {})) return;
  session.port().list_queues(as_text(rest.first(body.prefix_bytes)),
                             as_text(rest.subspan(body.prefix_bytes, body.after_bytes)), body.max,
                             session.open_request(frame, 0, 1));
}

void Handlers::queue_stats(Session& session, const Frame& frame) {
  const auto body = take<wire::StatsBody>(frame.body.data());
  const Bytes rest = frame.body.subspan(sizeof body);
  if (padded8(uint64_t{body.count} * sizeof(QueueId)) != rest.size()) {
    session.fail_connection(
        Errc::malformed,
        fmt::format("{} queue ids do not fit the {} bytes they have", body.count, rest.size()));
    return;
  }
  if (body.count > kListMax) {
    session.refuse(frame.header.correlation, Errc::batch_too_large,
                   fmt::format("{} queue ids; allowed are up to {}", body.count, kListMax));
    return;
  }
  if (body.details > 1) {
    session.refuse(frame.header.correlation, Errc::invalid_argument,
                   fmt::format("details is {}; allowed are 0 and 1", body.details));
    return;
  }
  const std::span<const QueueId> queues(reinterpret_cast<const QueueId*>(rest.data()), body.count);
  if (!allows_stats(session, frame, queues, body.details == 1)) return;
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.requests_.at(place_of(reply.token)).details = body.details == 1;
  session.port().queue_stats(queues, reply);
}

// None named are all: then it takes a right to each of them.
bool Handlers::allows_stats(Session& session, const Frame& frame, std::span<const QueueId> queues,
                            bool with_details) {
  if (!session.admitted_) return true;
  const uint64_t correlation = frame.header.correlation;
  if (queues.empty())
    return session.allows_named(correlation, rights::kListQueues, {}) &&
           session.allows_named(correlation, rights::kGetQueueAttributes, {}) &&
           (!with_details || session.allows_named(correlation, rights::kListQueueTags, {}));
  return std::all_of(queues.begin(), queues.end(), [&](QueueId queue) {
    return session.allows(correlation, rights::kGetQueueAttributes, raw(queue)) &&
           (!with_details || session.allows(correlation, rights::kListQueueTags, raw(queue)));
  });
}

void Handlers::server_stats(Session& session, const Frame& frame) {
  session.port().broker_stats(session.open_request(frame, 0, 1));
}

void Handlers::move_start(Session& session, const Frame& frame) {
  const auto body = take<wire::MoveStartBody>(frame.body.data());
  const uint64_t correlation = frame.header.correlation;
  if (!session.allows(correlation, rights::kStartMove, body.source)) return;
  if (body.destination != 0 && !session.allows(correlation, rights::kSendMessage, body.destination))
    return;
  const ReplyTo reply = session.open_request(frame, body.source, 1);
  session.note_queue(reply.token, AuditEvent::move_started, rights::kStartMove.action, body.source);
  session.port().start_move({QueueId{body.source}, QueueId{body.destination}, body.rate}, reply);
}

void Handlers::move_cancel(Session& session, const Frame& frame) {
  const auto body = take<wire::MoveCancelBody>(frame.body.data());
  if (!session.allows(frame.header.correlation, rights::kCancelMove, body.source)) return;
  const ReplyTo reply = session.open_request(frame, body.source, 1);
  session.note_queue(reply.token, AuditEvent::move_cancelled, rights::kCancelMove.action,
                     body.source);
  session.port().cancel_move(QueueId{body.source}, body.task, reply);
}

void Handlers::move_list(Session& session, const Frame& frame) {
  const auto body = take<wire::MoveListBody>(frame.body.data());
  if (!session.allows(frame.header.correlation, rights::kListMoves, body.source)) return;
  session.port().list_moves(QueueId{body.source}, body.max,
                            session.open_request(frame, body.source, 1));
}

}  // namespace millrace::net

// QUEUE_CREATE, QUEUE_SET, QUEUE_PURGE, QUEUE_DELETE, QUEUE_LIST, QUEUE_STATS, SERVER_STATS,
// MOVE_START, MOVE_CANCEL, MOVE_LIST.
#include <fmt/format.h>

#include "net/binary/answers.h"
#include "net/binary/handlers.h"
#include "net/binary/settings.h"
#include "net/binary/tokens.h"

namespace millrace::net {
namespace {

constexpr uint32_t kListMax = 1000;

}  // namespace

void Handlers::queue_create(Session& session, const Frame& frame) {
  const auto head = take<wire::SettingsBody>(frame.body.data());
  const Bytes texts = frame.body.subspan(sizeof head);
  std::string_view name;
  QueueSettings settings;
  if (!take_settings(head, texts, &name, &settings)) return texts_do_not_fit(session, texts);
  session.port().create_queue(name, settings, session.open_request(frame, 0, 1));
}

void Handlers::queue_set(Session& session, const Frame& frame) {
  const auto queue = take<wire::QueueRef>(frame.body.data());
  const auto head = take<wire::SettingsBody>(frame.body.data() + sizeof queue);
  const Bytes texts = frame.body.subspan(sizeof queue + sizeof head);
  std::string_view name;
  QueueSettings settings;
  if (!take_settings(head, texts, &name, &settings) || !name.empty())
    return texts_do_not_fit(session, texts);
  session.port().set_queue(QueueId{queue.queue_id}, settings,
                           session.open_request(frame, queue.queue_id, 1));
}

void Handlers::texts_do_not_fit(Session& session, Bytes texts) {
  session.fail_connection(
      Errc::malformed,
      fmt::format("the names and values of a queue do not fit the {} bytes they have",
                  texts.size()));
}

void Handlers::queue_purge(Session& session, const Frame& frame) {
  const auto queue = take<wire::QueueRef>(frame.body.data());
  session.port().purge_queue(QueueId{queue.queue_id},
                             session.open_request(frame, queue.queue_id, 1));
}

void Handlers::queue_delete(Session& session, const Frame& frame) {
  const auto queue = take<wire::QueueRef>(frame.body.data());
  session.port().delete_queue(QueueId{queue.queue_id},
                              session.open_request(frame, queue.queue_id, 1));
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
  const ReplyTo reply = session.open_request(frame, 0, 1);
  session.requests_.at(place_of(reply.token)).details = body.details == 1;
  session.port().queue_stats(queues, reply);
}

void Handlers::server_stats(Session& session, const Frame& frame) {
  session.port().broker_stats(session.open_request(frame, 0, 1));
}

void Handlers::move_start(Session& session, const Frame& frame) {
  const auto body = take<wire::MoveStartBody>(frame.body.data());
  session.port().start_move({QueueId{body.source}, QueueId{body.destination}, body.rate},
                            session.open_request(frame, body.source, 1));
}

void Handlers::move_cancel(Session& session, const Frame& frame) {
  const auto body = take<wire::MoveCancelBody>(frame.body.data());
  session.port().cancel_move(QueueId{body.source}, body.task,
                             session.open_request(frame, body.source, 1));
}

void Handlers::move_list(Session& session, const Frame& frame) {
  const auto body = take<wire::MoveListBody>(frame.body.data());
  session.port().list_moves(QueueId{body.source}, body.max,
                            session.open_request(frame, body.source, 1));
}

}  // namespace millrace::net

// QUEUE_CREATE, QUEUE_SET, QUEUE_PURGE, QUEUE_DELETE, QUEUE_LIST, QUEUE_STATS, SERVER_STATS.
#include <array>

#include <fmt/format.h>

#include "net/binary/answers.h"
#include "net/binary/handlers.h"

namespace millrace::net {
namespace {

constexpr uint32_t kListMax = 1000;

// False if the spec's durability is no level there is; the other values are the engine's to judge.
bool to_settings(const wire::QueueSpec& spec, QueueSettings& settings) {
  constexpr std::array<const char*, 3> kLevels{"none", "interval", "commit"};
  if (spec.durability >= kLevels.size()) return false;
  const auto seconds = [](uint32_t ms) { return fmt::format("{}.{:03}", ms / 1000, ms % 1000); };
  settings.attributes = {{"VisibilityTimeout", seconds(spec.visibility_timeout_ms)},
                         {"DelaySeconds", seconds(spec.delay_ms)},
                         {"MaximumMessageSize", std::to_string(spec.message_bytes_max)},
                         {"ReceiveMessageWaitTimeSeconds", seconds(spec.receive_wait_ms)},
                         {"Durability", kLevels[spec.durability]}};
  return true;
}

std::string durability_fault(uint8_t durability) {
  return fmt::format("durability is {}; allowed are 0 (none), 1 (interval) and 2 (commit)",
                     durability);
}

}  // namespace

void Handlers::queue_create(Session& session, const Frame& frame) {
  const auto spec = take<wire::QueueSpec>(frame.body.data());
  const Bytes rest = frame.body.subspan(sizeof spec);
  if (padded8(spec.name_bytes) != rest.size()) {
    session.fail_connection(
        Errc::malformed, fmt::format("a queue's name of {} bytes does not fit the {} bytes it has",
                                     spec.name_bytes, rest.size()));
    return;
  }
  QueueSettings settings;
  if (!to_settings(spec, settings)) {
    session.refuse(frame.header.correlation, Errc::invalid_argument,
                   durability_fault(spec.durability));
    return;
  }
  session.port().create_queue(as_text(rest.first(spec.name_bytes)), settings,
                              session.open_request(frame, 0, 1));
}

void Handlers::queue_set(Session& session, const Frame& frame) {
  const auto queue = take<wire::QueueRef>(frame.body.data());
  const auto spec = take<wire::QueueSpec>(frame.body.data() + sizeof queue);
  QueueSettings settings;
  if (!to_settings(spec, settings)) {
    session.refuse(frame.header.correlation, Errc::invalid_argument,
                   durability_fault(spec.durability));
    return;
  }
  session.port().set_queue(QueueId{queue.queue_id}, settings,
                           session.open_request(frame, queue.queue_id, 1));
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
  const auto body = take<wire::CountBody>(frame.body.data());
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
  const std::span<const QueueId> queues(reinterpret_cast<const QueueId*>(rest.data()), body.count);
  session.port().queue_stats(queues, session.open_request(frame, 0, 1));
}

void Handlers::server_stats(Session& session, const Frame& frame) {
  session.port().broker_stats(session.open_request(frame, 0, 1));
}

}  // namespace millrace::net

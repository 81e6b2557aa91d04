#include "net/binary/handlers.h"

#include <array>
#include <limits>

#include <fmt/format.h>

#include "base/printable.h"
#include "millrace/properties.h"
#include "net/binary/answers.h"
#include "net/binary/tokens.h"

namespace millrace::net {
namespace {

using wire::Opcode;

constexpr uint32_t kNoMax = std::numeric_limits<uint32_t>::max();

constexpr auto kAnybody = Handlers::Who::anybody;
constexpr auto kByPolicies = Handlers::Who::by_policies;

constexpr Handlers::Row kRows[] = {
    {Opcode::hello, sizeof(wire::Hello), sizeof(wire::Hello) + wire::kClientNameBytesMax,
     Handlers::hello, false, kAnybody},
    {Opcode::login, sizeof(wire::Login), sizeof(wire::Login) + wire::kAccessKeyBytesMax,
     Handlers::login, false, kAnybody},
    {Opcode::login_proof, sizeof(wire::LoginProof), sizeof(wire::LoginProof), Handlers::login_proof,
     false, kAnybody},
    {Opcode::echo, 0, kNoMax, Handlers::echo, false, kAnybody},
    // A longer name is a bad name, not a bad frame.
    {Opcode::resolve, 0, wire::kPreLoginFrameBytesMax, Handlers::resolve, false, kByPolicies},
    {Opcode::send, sizeof(wire::SendBody), kNoMax, Handlers::send, true, kByPolicies},
    {Opcode::receive, sizeof(wire::ReceiveBody), sizeof(wire::ReceiveBody) + kGroupIdBytesMax,
     Handlers::receive, true, kByPolicies},
    {Opcode::ack, sizeof(wire::CountBody), kNoMax, Handlers::ack, true, kByPolicies},
    {Opcode::extend, sizeof(wire::CountBody), kNoMax, Handlers::extend, true, kByPolicies},
    {Opcode::subscribe, sizeof(wire::SubscribeBody), sizeof(wire::SubscribeBody),
     Handlers::subscribe, false, kByPolicies},
    {Opcode::credit, sizeof(wire::CreditBody), sizeof(wire::CreditBody), Handlers::credit, false,
     kByPolicies},
    {Opcode::unsubscribe, sizeof(wire::SubscriptionRef), sizeof(wire::SubscriptionRef),
     Handlers::unsubscribe, false, kAnybody},
    {Opcode::peek, sizeof(wire::PeekBody), sizeof(wire::PeekBody), Handlers::peek, true,
     kByPolicies},
    {Opcode::queue_create, sizeof(wire::SettingsBody), wire::kSettingsBytesMax,
     Handlers::queue_create, true, kByPolicies},
    {Opcode::queue_set, sizeof(wire::QueueRef) + sizeof(wire::SettingsBody),
     wire::kSettingsBytesMax, Handlers::queue_set, true, kByPolicies},
    {Opcode::queue_purge, sizeof(wire::QueueRef), sizeof(wire::QueueRef), Handlers::queue_purge,
     true, kByPolicies},
    {Opcode::queue_delete, sizeof(wire::QueueRef), sizeof(wire::QueueRef), Handlers::queue_delete,
     true, kByPolicies},
    {Opcode::queue_list, sizeof(wire::ListBody), kNoMax, Handlers::queue_list, true, kByPolicies},
    {Opcode::queue_stats, sizeof(wire::StatsBody), kNoMax, Handlers::queue_stats, true,
     kByPolicies},
    // What /metrics says to anybody.
    {Opcode::server_stats, 0, 0, Handlers::server_stats, true, kAnybody},
    {Opcode::move_start, sizeof(wire::MoveStartBody), sizeof(wire::MoveStartBody),
     Handlers::move_start, true, kByPolicies},
    {Opcode::move_cancel, sizeof(wire::MoveCancelBody), sizeof(wire::MoveCancelBody),
     Handlers::move_cancel, true, kByPolicies},
    {Opcode::move_list, sizeof(wire::MoveListBody), sizeof(wire::MoveListBody), Handlers::move_list,
     true, kByPolicies},
    // All queues at once, and the key of their receipts.
    {Opcode::backup_start, 0, 0, Handlers::backup_start, true},
    {Opcode::backup_read, sizeof(wire::BackupReadBody), sizeof(wire::BackupReadBody),
     Handlers::backup_read, true},
    {Opcode::backup_end, sizeof(wire::BackupEndBody), sizeof(wire::BackupEndBody),
     Handlers::backup_end, true},
    {Opcode::topic_create, sizeof(wire::SettingsBody), wire::kTopicSettingsBytesMax,
     Handlers::topic_create, true, kByPolicies},
    {Opcode::topic_set, sizeof(wire::SettingsBody), wire::kTopicSettingsBytesMax,
     Handlers::topic_set, true, kByPolicies},
    {Opcode::topic_delete, 0, wire::kPreLoginFrameBytesMax, Handlers::topic_delete, true,
     kByPolicies},
    {Opcode::topic_show, 0, wire::kPreLoginFrameBytesMax, Handlers::topic_show, false, kByPolicies},
    {Opcode::topic_list, sizeof(wire::ListBody), kNoMax, Handlers::topic_list, false, kByPolicies},
    {Opcode::topic_subscribe, sizeof(wire::TopicSubscribeBody), wire::kTopicSettingsBytesMax,
     Handlers::topic_subscribe, true, kByPolicies},
    {Opcode::subscription_set, sizeof(wire::TopicSubscriptionRef) + sizeof(wire::SettingsBody),
     wire::kTopicSettingsBytesMax, Handlers::subscription_set, true, kByPolicies},
    {Opcode::topic_unsubscribe, sizeof(wire::TopicSubscriptionRef),
     sizeof(wire::TopicSubscriptionRef), Handlers::topic_unsubscribe, true, kByPolicies},
    {Opcode::subscription_list, sizeof(wire::TopicSubscriptionListBody),
     wire::kPreLoginFrameBytesMax, Handlers::subscription_list, false, kByPolicies},
    {Opcode::publish, sizeof(wire::PublishBody), kNoMax, Handlers::publish, true, kByPolicies},
    {Opcode::cancel, sizeof(wire::CancelBody), sizeof(wire::CancelBody), Handlers::cancel, false,
     kAnybody},
};

constexpr std::array<Handlers::Row, 256> by_opcode() {
  std::array<Handlers::Row, 256> table{};
  for (const Handlers::Row& row : kRows) {
    table[static_cast<size_t>(row.opcode)] = row;
  }
  return table;
}
constexpr std::array<Handlers::Row, 256> kTable = by_opcode();

}  // namespace

const Handlers::Row& Handlers::row(uint8_t opcode) {
  return kTable[opcode];
}

void Handlers::hello(Session& session, const Frame& frame) {
  const auto hello = take<wire::Hello>(frame.body.data());
  if (session.logged_in_) {
    session.fail_connection(Errc::protocol_violation, "HELLO comes once, as the first frame");
    return;
  }
  if (hello.magic != wire::kMagic) {
    session.fail_connection(Errc::malformed, "HELLO does not carry Millrace's magic number");
    return;
  }
  if (hello.version_min > wire::kVersion || hello.version_max < wire::kVersion) {
    session.fail_connection(Errc::version_mismatch,
                            fmt::format("the server speaks version {}; asked for were {} to {}",
                                        wire::kVersion, hello.version_min, hello.version_max));
    return;
  }
  const Bytes name = frame.body.subspan(sizeof hello);
  if (padded8(hello.name_bytes) != name.size()) {
    session.fail_connection(Errc::malformed,
                            fmt::format("a client's name of {} bytes does not fit the {} it has",
                                        hello.name_bytes, name.size()));
    return;
  }
  session.client_name_ = as_text(name.first(hello.name_bytes));
  const SessionSetting& setting = session.setting_;
  const bool wants_login = setting.gatekeeper != nullptr && setting.gatekeeper->wants_login();
  if (setting.gatekeeper != nullptr) session.epoch_ = setting.gatekeeper->epoch();
  session.state_ = wants_login ? Session::State::login : Session::State::open;
  session.logged_in_ = !wants_login;
  wire::Welcome welcome{};
  welcome.magic = wire::kMagic;
  welcome.version = wire::kVersion;
  welcome.shards = setting.shards;
  welcome.shard = raw(session.port().id());
  welcome.durability = static_cast<uint8_t>(setting.durability);
  welcome.login = wants_login ? 1 : 0;
  welcome.frame_bytes_max = setting.limits.frame_bytes_max;
  welcome.batch_messages_max = kBatchMessagesMax;
  welcome.message_bytes_max = kMessageBytesMax;
  welcome.inflight_max = setting.limits.inflight_max;
  answer_struct(session.output_, Opcode::hello, frame.header.correlation, welcome);
  session.mark_dirty();
}

void Handlers::echo(Session& session, const Frame& frame) {
  answer_echo(session.output_, frame.header.correlation, frame.body);
  session.mark_dirty();
}

void Handlers::resolve(Session& session, const Frame& frame) {
  const std::string_view name = without_padding(frame.body);
  const QueueInfo* queue = session.port().find_queue(name);
  if (!session.allows_named(frame.header.correlation, rights::kGetQueueUrl, name)) return;
  if (queue == nullptr) {
    session.refuse(frame.header.correlation, Errc::queue_not_found,
                   fmt::format("there is no queue '{}'", base::printable(name)));
    return;
  }
  answer_struct(session.output_, Opcode::resolve, frame.header.correlation,
                wire::QueueRef{raw(queue->id), 0});
  session.mark_dirty();
}

void Handlers::cancel(Session& session, const Frame& frame) {
  const auto body = take<wire::CancelBody>(frame.body.data());
  session.requests_.for_each([&](uint32_t place, const PendingRequest& request) {
    if (request.correlation != body.correlation || request.opcode != Opcode::receive) return;
    session.port().cancel({&session, request_token(place)});
    session.refuse_pending(session.close_request(request_token(place)), Errc::canceled);
  });
  // A RECEIVE that was answered in the meantime is no mistake of the client's.
  answer_empty(session.output_, Opcode::cancel, frame.header.correlation);
  session.mark_dirty();
}

}  // namespace millrace::net

// LOGIN and LOGIN_PROOF; whether who has logged in may do what a frame asks; what the audit log is
// told of it.
#include "net/binary/login.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include <fmt/format.h>

#include "base/printable.h"
#include "millrace/named_text.h"
#include "net/binary/answers.h"
#include "net/binary/handlers.h"
#include "net/binary/session.h"

namespace millrace::net {
namespace {

constexpr size_t kReasonBytesMax = 1'024;

// Why a log-in can't be bound as it asks to be; empty: it can.
std::string_view binding_fault(const wire::Login& login, bool secure, bool has_binding) {
  const auto wanted = static_cast<wire::LoginBinding>(login.binding);
  if (wanted != wire::LoginBinding::none && wanted != wire::LoginBinding::tls_exporter)
    return "a log-in is bound to nothing (0) or to tls-exporter (1)";
  if (!secure && wanted != wire::LoginBinding::none)
    return "there is no TLS session here that the log-in could be bound to";
  if (secure && !has_binding)
    return "this TLS session has no name that a log-in could be bound to: use TLS 1.3, or 1.2 with "
           "the extended master secret";
  if (secure && wanted == wire::LoginBinding::none)
    return "over TLS a log-in must be bound to the session: tls-exporter (1)";
  return {};
}

}  // namespace

void Handlers::login(Session& session, const Frame& frame) {
  if (session.state_ != Session::State::login) {
    session.refuse(frame.header.correlation, Errc::unsupported,
                   session.admitted_ ? "a connection logs in once" : "no log-in is wanted here");
    return;
  }
  SessionLogin& login = session.login();
  if (!login.transcript.empty()) {
    session.fail_connection(Errc::protocol_violation, "LOGIN comes once");
    return;
  }
  const auto body = take<wire::Login>(frame.body.data());
  const Bytes rest = frame.body.subspan(sizeof body);
  const bool reserved_used = std::any_of(std::begin(body.reserved), std::end(body.reserved),
                                         [](uint8_t byte) { return byte != 0; });
  if (body.key_bytes == 0 || padded8(body.key_bytes) != rest.size() || reserved_used) {
    session.fail_connection(
        Errc::malformed,
        fmt::format("an access key's id of {} bytes does not fit the {} it has, or "
                    "reserved bytes are not 0",
                    body.key_bytes, rest.size()));
    return;
  }
  login.key = as_text(rest.first(body.key_bytes));
  const std::string_view fault =
      binding_fault(body, session.setting_.secure, !login.binding.empty());
  if (!fault.empty()) {
    session.refuse_login(fault);
    return;
  }
  const wire::LoginChallenge challenge = session.setting_.gatekeeper->challenge(login.key);
  login.transcript = base::scram_transcript(
      frame.body, std::as_bytes(std::span<const wire::LoginChallenge>(&challenge, 1)),
      login.binding);
  answer_struct(session.output_, wire::Opcode::login, frame.header.correlation, challenge);
  session.mark_dirty();
}

void Handlers::login_proof(Session& session, const Frame& frame) {
  if (session.state_ != Session::State::login) {
    session.refuse(frame.header.correlation, Errc::unsupported, "no proof is wanted here");
    return;
  }
  SessionLogin& login = session.login();
  if (login.transcript.empty()) {
    session.fail_connection(Errc::protocol_violation, "LOGIN_PROOF comes after LOGIN");
    return;
  }
  const auto body = take<wire::LoginProof>(frame.body.data());
  base::ScramDigest proof;
  std::copy(std::begin(body.proof), std::end(body.proof), proof.begin());
  base::ScramDigest signature{};
  login.visitor.address = session.peer_.local ? std::string() : session.peer_.text();
  login.visitor.secure = session.setting_.secure;
  const bool admitted = session.setting_.gatekeeper->admit(login.key, login.transcript, proof,
                                                           &login.visitor, &signature);
  login.transcript = {};
  if (!admitted) {
    session.refuse_login(errc_text(Errc::login_refused));
    return;
  }
  session.admitted_ = true;
  session.state_ = Session::State::open;
  session.logged_in_ = true;
  session.audit(AuditEvent::logged_in, {.result = errc_name(Errc::ok)}, frame.header.correlation);
  wire::LoginAnswer answer{};
  std::copy(signature.begin(), signature.end(), std::begin(answer.signature));
  answer_struct(session.output_, wire::Opcode::login_proof, frame.header.correlation, answer);
  session.mark_dirty();
}

SessionLogin& Session::login() {
  if (login_ == nullptr) login_ = std::make_unique<SessionLogin>();
  return *login_;
}

void Session::bind_to(Bytes session) {
  if (setting_.gatekeeper != nullptr) login().binding.assign(session.begin(), session.end());
}

void Session::refuse_login(std::string_view why) {
  audit(AuditEvent::login_refused, {.result = errc_name(Errc::login_refused), .reason = why},
        last_correlation_);
  fail_connection(Errc::login_refused, why);
}

// False: the connection is closed, since its key is not what it was, or one is wanted now.
bool Session::look_again() {
  Gatekeeper& gatekeeper = *setting_.gatekeeper;
  epoch_ = gatekeeper.epoch();
  if (!logged_in_) return true;
  if (admitted_ ? gatekeeper.still_admits(login_->visitor) : !gatekeeper.wants_login()) return true;
  if (admitted_)
    refuse_login("the access key was changed or taken away");
  else
    fail_connection(Errc::login_required, "credentials are wanted now: connect again and log in");
  return false;
}

bool Session::allowed(uint64_t correlation, const Right& right, uint32_t queue,
                      uint32_t entry_index) {
  const QueueInfo* info = port().find_queue(QueueId{queue});
  return info == nullptr || allowed(correlation, right, info->name, info, entry_index);
}

bool Session::allowed(uint64_t correlation, const Right& right, std::string_view name,
                      const QueueInfo* queue, uint32_t entry_index) {
  const bool of_queue = right.service == "sqs";
  std::string_view policy;
  if (of_queue) {
    if (queue == nullptr && !name.empty()) queue = port().find_queue(name);
    if (queue != nullptr) policy = queue->attributes.policy;
  } else if (const TopicInfo* topic = name.empty() ? nullptr : port().topics().find(name)) {
    policy = value_of(topic->attributes.texts, "Policy");
  }
  const Wanted wanted{.service = right.service,
                      .action = right.action,
                      .owner_only = right.owner_only,
                      .resource = name,
                      .policy = policy};
  const std::string why = setting_.gatekeeper->why_not(login_->visitor, wanted);
  if (why.empty()) return true;
  audit(AuditEvent::access_denied,
        {.action = right.action,
         .queue = of_queue ? name : std::string_view(),
         .topic = of_queue ? std::string_view() : name,
         .result = errc_name(Errc::access_denied),
         .reason = why},
        correlation);
  refuse(correlation, Errc::access_denied, base::printable(why, kReasonBytesMax), entry_index);
  return false;
}

bool Session::allows_owner(uint64_t correlation) {
  if (!admitted_ || login_->visitor.owns_server) return true;
  constexpr std::string_view kWhy = "only the account itself may do this";
  audit(AuditEvent::access_denied, {.result = errc_name(Errc::access_denied), .reason = kWhy},
        correlation);
  refuse(correlation, Errc::access_denied, kWhy);
  return false;
}

// --- the audit log ---

void Session::audit(AuditEvent event, const AuditRecord& about, uint64_t correlation) {
  if (setting_.audit == nullptr) return;
  const std::string from = peer_.name();
  const std::string request = std::to_string(correlation);
  AuditRecord told = about;
  told.event = event;
  told.via = "binary";
  told.from = from;
  if (login_ != nullptr) {
    told.who = login_->visitor.arn;
    told.key = login_->key;
  }
  told.request = request;
  setting_.audit->record(told);
}

void Session::note(uint64_t token, AuditEvent event, std::string_view action,
                   std::string_view queue) {
  if (setting_.audit != nullptr) notes_.add({token, event, action, std::string(queue), {}});
}

void Session::note_topic(uint64_t token, AuditEvent event, std::string_view action,
                         std::string_view topic) {
  if (setting_.audit != nullptr) notes_.add({token, event, action, {}, std::string(topic)});
}

void Session::note_queue(uint64_t token, AuditEvent event, std::string_view action,
                         uint32_t queue) {
  if (setting_.audit == nullptr) return;
  const QueueInfo* info = port().find_queue(QueueId{queue});
  note(token, event, action, info != nullptr ? info->name : fmt::format("queue id {}", queue));
}

void Session::tell_note(uint64_t token, uint64_t correlation, Errc result) {
  AdminNote note;
  if (notes_.empty() || !notes_.take(token, &note)) return;
  audit(note.event,
        {.action = note.action,
         .queue = note.queue,
         .topic = note.topic,
         .result = errc_name(result)},
        correlation);
}

// What is under way when the connection ends is done or not done all the same.
void Session::tell_unanswered() {
  if (notes_.empty()) return;
  for (const AdminNote& note : notes_.take_all())
    audit(note.event,
          {.action = note.action,
           .queue = note.queue,
           .topic = note.topic,
           .result = "unknown",
           .reason = "the connection ended before it was answered"},
          requests_.at(static_cast<uint32_t>(note.token)).correlation);
}

}  // namespace millrace::net

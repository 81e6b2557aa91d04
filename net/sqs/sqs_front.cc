#include "net/sqs/sqs_front.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/printable.h"
#include "net/aws/arn.h"
#include "net/aws/request_claims.h"

namespace millrace::net::sqs {
namespace {

constexpr std::string_view kTargetPrefix = "AmazonSQS.";
constexpr std::string_view kNamespace = "http://queue.amazonaws.com/doc/2012-11-05/";
constexpr uint64_t kGiveBackToken = UINT64_MAX;

// A field's bytes may be any; a form's name is UTF-8.
AwsError unknown_action(std::string_view name) {
  return {errors::kUnknownOperation,
          fmt::format("The action {} is not valid for this endpoint.", name)};
}

// The name in an ARN, or a name.
std::string_view last_part(std::string_view named) {
  return named.substr(named.rfind(':') + 1);
}

}  // namespace

SqsFront::SqsFront(ShardPort& port, std::unique_ptr<Authorizer> authorizer, SqsShared& shared,
                   const SqsSettings& settings, uint64_t seed)
    : ServiceFront({.port = port,
                    .authorizer = std::move(authorizer),
                    .figures = shared.requests(),
                    .audit = settings.audit,
                    .seed = seed,
                    .name_space = kNamespace,
                    .lists = XmlLists::flat}),
      shared_(shared),
      settings_(settings) {}

size_t SqsFront::figure_of(const Operation* operation) const {
  const std::span<const Action> all = action_table();
  return operation == nullptr
             ? all.size()
             : static_cast<size_t>(static_cast<const Action*>(operation) - all.data());
}

// --- requests ---

void SqsFront::handle(const HttpRequest& request, HttpExchange& exchange) {
  arena_.clear();
  kept_.clear();
  const std::string_view target = request.field("x-amz-target");
  const bool json = !target.empty() || is_of_type(request, "application/x-amz-json");
  Request work(*this, request, exchange, caller_, !json);
  // Before anything of the body is decoded where it lies.
  if (const auto error = authorizer_->authenticate(request, "sqs", &caller_)) {
    caller_ = {};
    work.audit(AuditEvent::signature_refused, {}, {}, claimed_key(request));
    return work.refuse(error);
  }
  if (json)
    handle_json(work, target);
  else
    handle_query(work);
}

void SqsFront::handle_json(Request& work, std::string_view target) {
  const Action* action = target.starts_with(kTargetPrefix)
                             ? find_action(target.substr(kTargetPrefix.size()))
                             : nullptr;
  if (action == nullptr || work.http.method != "POST")
    return work.refuse(unknown_action(base::printable(target, 128)));
  work.use(*action);
  void* const input = make_input(*action);
  if (const auto error = json_reader_.read(work.http.body, *action->input, input, arena_))
    return work.refuse(error);
  perform(work, input);
}

void SqsFront::handle_query(Request& work) {
  const MutableBytes form = form_of(work.http).empty() ? MutableBytes() : work.http.body;
  if (const auto error = query_reader_.parse(work.http.query(), form, arena_))
    return work.refuse(error);
  const std::string_view name = query_reader_.find("Action");
  if (name.empty() && work.http.method == "GET") {
    out_ = "<UnknownOperationException/>";
    return respond(*std::exchange(work.exchange_, nullptr), nullptr, true, 404, nullptr,
                   ids_.next());
  }
  const Action* action = find_action(name);
  if (action == nullptr) return work.refuse(unknown_action(shown(name, 128)));
  const bool on_queue_path = work.http.path() != "/" && !work.http.path().empty();
  if (on_queue_path && (name == "CreateQueue" || name == "ListQueues"))
    return work.refuse(unknown_action(name));
  work.use(*action);
  void* const input = make_input(*action);
  if (const auto error = query_reader_.read(*action->input, input, arena_))
    return work.refuse(error);
  perform(work, input);
}

void SqsFront::perform(Request& work, const void* input) {
  const Action& action = work.action();
  if (action.queue_url != nullptr && !find_queue(work, *action.queue_url(input))) return;
  if (!authorize(work, input)) return;
  if (action.audited)
    work.audit(action.event, action.name,
               work.queue != nullptr          ? std::string_view(work.queue->name)
               : action.queue_name != nullptr ? last_part(action.queue_name(input)->value)
                                              : std::string_view());
  action.ask(work, input);
}

bool SqsFront::find_queue(Request& work, const Text& url) {
  const QueuePlace place = parse_queue_url(url.value.empty() ? work.http.path() : url.value);
  // "queue" stands there in URLs of long ago.
  const bool ours = place.account.empty() || place.account == "queue" || is_account(place.account);
  work.queue = ours && !place.name.empty() ? port_.find_queue(place.name) : nullptr;
  if (work.queue == nullptr) {
    work.refuse(queue_does_not_exist());
    return false;
  }
  work.queue_id_ = work.queue->id;
  return true;
}

bool SqsFront::authorize(Request& work, const void* input) {
  const Action& action = work.action();
  Access access{.service = "sqs",
                .action = action.name_in_policies(),
                .owner_only = action.owner_only,
                .region = caller_.region,
                .account = settings_.account,
                .resource = {}};
  const QueueInfo* queue = work.queue;
  if (queue == nullptr && action.queue_name != nullptr) {
    access.resource = last_part(action.queue_name(input)->value);
    queue = port_.find_queue(access.resource);
  }
  AwsError error = authorize(work, access, queue);
  if (!error && action.destination != nullptr && !action.destination(input)->value.empty()) {
    access.action = "SendMessage";
    access.owner_only = false;
    access.resource = last_part(action.destination(input)->value);
    error = authorize(work, access, port_.find_queue(access.resource));
  }
  if (!error) return true;
  work.audit(AuditEvent::access_denied, access.action,
             queue != nullptr ? std::string_view(queue->name) : access.resource);
  work.refuse(error);
  return false;
}

// `queue`: the one that is meant, if it exists.
AwsError SqsFront::authorize(const Request& work, Access access, const QueueInfo* queue) {
  if (queue != nullptr) {
    access.resource = queue->name;
    access.policy = queue->attributes.policy;
  }
  return authorizer_->authorize(work.http, caller_, access);
}

// --- the client is gone, or wants no more ---

void SqsFront::cancel(HttpExchange& exchange) {
  uint64_t token = 0;
  Call* const call = calls_.find(exchange, &token);
  if (call == nullptr) return;
  // What was not a receive is done all the same, and answered to nobody.
  if (!call->receives) return calls_.forget_exchange(*call);
  port_.cancel({this, token});
  if (call->first != nullptr) give_back(call->first->deliveries());
  calls_.close(token);
}

void SqsFront::stop_waiting(HttpExchange& exchange) {
  uint64_t token = 0;
  const Call* const call = calls_.find(exchange, &token);
  if (call == nullptr || !call->receives) return;
  port_.cancel({this, token});
  on_receive(token, {});
}

// --- replies ---

template <class FromShard>
void SqsFront::answer(uint64_t token, const FromShard& from_shard,
                      void (*Action::*how)(Reply&, const FromShard&)) {
  Call* const call = calls_.find(token);
  if (call == nullptr) return;
  const auto& action = static_cast<const Action&>(*call->operation);
  HttpExchange* const exchange = call->exchange;
  const bool xml = call->xml;
  const QueueId queue = call->queue;
  // Its place is free from here on: the answer may bring the next request.
  kept_.swap(call->kept);
  std::unique_ptr<Audited> audited = std::move(call->audited);
  calls_.close(token);
  if (exchange == nullptr)
    return tell(audited.get(), errc_name(from_shard.error), "the client was gone by then", {});
  Reply reply(*this, *exchange, action, xml, queue, kept_);
  reply.audited_ = std::move(audited);
  (action.*how)(reply, from_shard);
}

void SqsFront::on_send(uint64_t token, const SendReply& reply) {
  answer(token, reply, &Action::sent);
}

void SqsFront::on_receive(uint64_t token, const ReceiveReply& reply) {
  Call* const call = calls_.find(token);
  if (call == nullptr || call->exchange == nullptr) {
    give_back(reply.deliveries);
    return answer(token, reply, &Action::received);
  }
  if (asks_for_rest(token, *call, reply)) return;
  const std::unique_ptr<FirstPart> first = std::move(call->first);
  if (first == nullptr) return answer(token, reply, &Action::received);
  // Whatever became of the rest.
  const std::vector<Delivery> all = first->with(reply.deliveries);
  answer(token, ReceiveReply{Errc::ok, all}, &Action::received);
}

// Once; and not if there is little to gain.
bool SqsFront::asks_for_rest(uint64_t token, Call& call, const ReceiveReply& reply) {
  const size_t got = reply.deliveries.size();
  if (got == 0 || got >= call.room || settings_.shards < 2) return false;
  if (engine::delivered_bytes(reply.deliveries) > FirstPart::kBytesMax) return false;
  call.first = std::make_unique<FirstPart>(reply.deliveries);
  const auto rest = static_cast<uint32_t>(call.room - got);
  call.room = 0;
  port_.receive({.queue = call.queue,
                 .messages_max = rest,
                 .bytes_max = kMessageBytesMax - FirstPart::kBytesMax,
                 .visibility_ms = call.visibility_ms,
                 .wait_ms = 0,
                 .rest = true,
                 .holder = call.holder},
                {this, token});
  return true;
}

void SqsFront::give_back(std::span<const Delivery> deliveries) {
  if (deliveries.empty()) return;
  std::vector<ExtendEntry> entries;
  for (const Delivery& delivery : deliveries)
    entries.push_back({delivery.receipt, 0});
  port_.extend({entries}, {this, kGiveBackToken});
}

void SqsFront::on_results(uint64_t token, const ResultsReply& reply) {
  answer(token, reply, &Action::results);
}

void SqsFront::on_queues(uint64_t token, const QueueReply& reply) {
  answer(token, reply, &Action::queues);
}

void SqsFront::on_moves(uint64_t token, const MoveReply& reply) {
  answer(token, reply, &Action::moves);
}

// No action asks for these.
void SqsFront::on_peek(uint64_t /*token*/, const PeekReply& /*reply*/) {}
void SqsFront::on_stats(uint64_t /*token*/, const BrokerStatsReply& /*reply*/) {}

// --- answers ---

Answer::Answer(SqsFront& front, HttpExchange& exchange, bool xml)
    : ServiceAnswer(front, exchange, xml), sqs_(front) {}

const Action& Answer::action() const {
  return static_cast<const Action&>(*operation_);
}
Scratch& Answer::scratch() {
  return sqs_.scratch_;
}
const SqsSettings& Answer::settings() {
  return sqs_.settings_;
}
SqsShared& Answer::shared() {
  return sqs_.shared_;
}

void Answer::refuse(const AwsError& error) {
  if (!xml_ || error.kind != &errors::kQueueDoesNotExist) return ServiceAnswer::refuse(error);
  ServiceAnswer::refuse({*error.kind, "The specified queue does not exist for this wsdl version."});
}

std::string Answer::queue_arn(std::string_view region, std::string_view name) {
  return make_arn("sqs", region, sqs_.settings_.account, name);
}

ReplyTo Answer::wait(bool receives) {
  uint64_t token = 0;
  Call& call = sqs_.calls_.open(*exchange_, &token);
  call.operation = operation_;
  call.queue = queue_id_;
  call.xml = xml_;
  call.receives = receives;
  call.audited = std::move(audited_);
  call.kept.swap(kept());
  return {&sqs_, token};
}

ReplyTo Answer::wait_for_messages(uint32_t messages_max, uint32_t visibility_ms, uint32_t holder) {
  const ReplyTo to = wait(true);
  Call& call = *sqs_.calls_.find(to.token);
  call.room = messages_max;
  call.visibility_ms = visibility_ms;
  call.holder = holder;
  return to;
}

void Request::use(const Action& action) {
  operation_ = &action;
}

void Request::audit(AuditEvent event, std::string_view name, std::string_view about_queue,
                    std::string_view claimed_key) {
  if (Audited* told = ServiceAnswer::audit(http, caller, event, name, claimed_key))
    told->queue = about_queue;
}

uint32_t Request::holder() {
  Holders* holders = settings().holders;
  if (holders == nullptr) return 0;
  std::string name = "HTTP ";
  name += http.peer.empty() ? "unix socket" : http.peer;
  if (!caller.key.empty()) name += " " + caller.key;
  return holders->named(name);
}

Reply::Reply(SqsFront& front, HttpExchange& exchange, const Action& action, bool is_xml,
             QueueId queue, std::string_view kept_text)
    : Answer(front, exchange, is_xml), request(kept_text) {
  operation_ = &action;
  queue_id_ = queue;
}

std::string Request::url_base() {
  return base_url(http, settings().advertise);
}

}  // namespace millrace::net::sqs

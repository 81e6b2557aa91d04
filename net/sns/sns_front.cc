#include "net/sns/sns_front.h"

#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/uuid.h"
#include "millrace/named_text.h"
#include "net/aws/arn.h"
#include "net/aws/request_claims.h"
#include "net/topics/delivery_right.h"

namespace millrace::net::sns {
namespace {

constexpr std::string_view kSnsVersion = "2010-03-31";
constexpr std::string_view kSnsNamespace = "http://sns.amazonaws.com/doc/2010-03-31/";

// By its signature, else by its version, else by an action that SQS has not.
bool is_for_sns(const HttpRequest& request) {
  const std::string_view service = claimed_scope(request).service;
  if (!service.empty()) return service == "sns";
  if (!request.field("x-amz-target").empty()) return false;
  const std::string_view version = raw_parameter(request, "Version");
  if (!version.empty()) return version == kSnsVersion;
  const std::string_view action = raw_parameter(request, "Action");
  return action != "AddPermission" && action != "RemovePermission" &&
         find_action(action) != nullptr;
}

bool is_signed(const HttpRequest& request) {
  return !request.field("authorization").empty() || !claimed_scope(request).service.empty();
}

}  // namespace

SnsFront::SnsFront(ShardPort& port, std::unique_ptr<Authorizer> authorizer, HttpFront& others,
                   SnsShared& shared, const SnsSettings& settings, uint64_t seed,
                   std::function<void()> wake)
    : ServiceFront({.port = port,
                    .authorizer = std::move(authorizer),
                    .figures = shared.requests(),
                    .audit = settings.audit,
                    .seed = seed,
                    .name_space = kSnsNamespace,
                    .lists = XmlLists::nested}),
      others_(others),
      settings_(settings),
      publisher_({.port = port,
                  .signer = shared.signer(),
                  .wake = wake,
                  .may_deliver = may_deliver(),
                  .figures = &shared.publishes(),
                  .seed = ids_.fork()}) {
  delivery::Poster* const poster = shared.poster();
  if (poster == nullptr) return;
  outside_ = std::make_unique<Outside>(port, shared.signer(), *poster, wake, ids_.fork(),
                                       delivery::CourierParts{.port = port,
                                                              .shards = settings_.shards,
                                                              .poster = *poster,
                                                              .wake = wake,
                                                              .may_deliver = may_deliver(),
                                                              .figures = &shared.publishes()});
}

topics::MayDeliver SnsFront::may_deliver() {
  return [this](const QueueInfo& queue, std::string_view topic_arn) {
    return topics::topic_may_send(*authorizer_, topic_arn, queue, settings_.region,
                                  settings_.account);
  };
}

size_t SnsFront::figure_of(const Operation* operation) const {
  const std::span<const Action> all = action_table();
  return operation == nullptr
             ? all.size()
             : static_cast<size_t>(static_cast<const Action*>(operation) - all.data());
}

// --- requests ---

void SnsFront::handle(const HttpRequest& request, HttpExchange& exchange) {
  if (!is_for_sns(request)) {
    if (!answer_certificate(request, exchange)) others_.handle(request, exchange);
    return;
  }
  // A delivery to a server's own front would go round for ever.
  const bool delivered = !request.field("x-amz-sns-message-type").empty();
  arena_.clear();
  kept_.clear();
  Request work(*this, request, exchange, caller_);
  if (delivered)
    return work.refuse(invalid_parameter("Endpoint Reason: a notification is no request of SNS"));
  // Before anything of the body is decoded where it lies.
  if (!authenticate(work, raw_parameter(request, "Action"))) return;
  work.region_ = caller_.region;
  const MutableBytes form = form_of(request).empty() ? MutableBytes() : request.body;
  if (const auto error = query_reader_.parse(request.query(), form, arena_))
    return work.refuse(error);
  const std::string_view name = query_reader_.find("Action");
  const Action* action = find_action(name);
  if (action == nullptr || (work.anonymous && !action->for_anybody))
    return work.refuse(
        {errors::kUnknownOperation,
         fmt::format("The action {} is not valid for this endpoint.", shown(name, 128))});
  work.use(*action);
  void* const input = make_input(*action);
  if (const auto error = query_reader_.read(*action->input, input, arena_))
    return work.refuse(error);
  perform(work, *action, input);
}

bool SnsFront::answer_certificate(const HttpRequest& request, HttpExchange& exchange) {
  if (request.method != "GET" || !request.path().starts_with("/SimpleNotificationService-"))
    return false;
  const auto key = publisher_.signing_key();
  if (key != nullptr && request.path() == key->path())
    exchange.answer({.content_type = "application/x-pem-file", .body = key->certificate()});
  else
    exchange.answer({.status = 404, .body = "there is no such certificate\n"});
  return true;
}

bool SnsFront::authenticate(Request& work, std::string_view action) {
  const Action* known = find_action(action);
  work.anonymous = known != nullptr && known->for_anybody && !is_signed(work.http);
  if (work.anonymous) {
    caller_ = {};
    caller_.region = settings_.region;
    return true;
  }
  const auto error = authorizer_->authenticate(work.http, "sns", &caller_);
  if (!error) return true;
  caller_ = {};
  work.audit(AuditEvent::signature_refused, {}, claimed_key(work.http));
  work.refuse(error);
  return false;
}

void SnsFront::perform(Request& work, const Action& action, const void* input) {
  if (const auto error = find(work, action, input))
    return work.refuse(action.one_text_for_topic ? invalid_parameter("Topic") : error);
  if (!work.anonymous) {
    if (const auto error = authorize(work, action)) {
      work.audit(AuditEvent::access_denied, action.name_in_policies());
      return work.refuse(error);
    }
  }
  if (action.audited) work.audit(action.event, action.name);
  const bool gone = (action.topic_arn != nullptr || action.resource_arn != nullptr)
                        ? work.topic == nullptr
                        : action.subscription_arn != nullptr && work.subscription == nullptr;
  if (gone) {
    if (action.may_be_gone) return work.finish_void();
    if (action.resource_arn != nullptr)
      return work.refuse({errors::kResourceNotFound, "Resource does not exist"});
    if (action.one_text_for_topic) return work.refuse(invalid_parameter("Topic"));
    return work.refuse(action.subscription_arn != nullptr ? subscription_does_not_exist()
                                                          : topic_does_not_exist());
  }
  action.ask(work, input);
}

AwsError SnsFront::find(Request& work, const Action& action, const void* input) {
  // A link that nobody signed says itself where it comes from.
  const Place place{work.anonymous ? std::string_view() : work.region_, settings_.account};
  const auto note_region = [&](const Text& arn) {
    if (work.anonymous) work.region_ = parse_arn(arn.value)->region;
  };
  TopicPort& topics = port_.topics();
  if (action.topic_name != nullptr) work.topic_name = action.topic_name(input)->value;
  if (action.topic_arn != nullptr) {
    const Text* given = action.topic_arn(input);
    if (!given->given && action.target_arn != nullptr) {
      given = action.target_arn(input);
      if (!given->given)
        return invalid_parameter("TopicArn or TargetArn Reason: no value for required parameter");
    }
    const Text& arn = *given;
    if (!arn.given) return value_is_null("topicArn");
    if (auto error = read_topic_arn("TopicArn", arn.value, place, &work.topic_name)) return error;
    note_region(arn);
  }
  if (action.resource_arn != nullptr) {
    const Text& arn = *action.resource_arn(input);
    if (!arn.given) return value_is_null("resourceArn");
    if (auto error = read_topic_arn("ResourceArn", arn.value, place, &work.topic_name))
      return error;
  }
  if (action.subscription_arn != nullptr) {
    const Text& arn = *action.subscription_arn(input);
    if (!arn.given) return value_is_null("subscriptionArn");
    SubscriptionName name;
    if (auto error = read_subscription_arn(arn.value, place, &name)) return error;
    note_region(arn);
    work.topic_name = name.topic;
    work.subscription = topics.find(name.uuid);
  }
  work.topic = topics.find(work.topic_name);
  if (work.subscription != nullptr &&
      (work.topic == nullptr || work.subscription->topic != work.topic->id))
    work.subscription = nullptr;
  return {};
}

AwsError SnsFront::authorize(const Request& work, const Action& action) {
  Access access{.service = "sns",
                .action = action.name_in_policies(),
                .owner_only = action.owner_only,
                .region = caller_.region,
                .account = settings_.account,
                .resource = work.topic_name};
  if (work.topic != nullptr) access.policy = value_of(work.topic->attributes.texts, "Policy");
  AwsError error = authorizer_->authorize(work.http, caller_, access);
  if (error.kind == &errors::kAccessDenied) error.kind = &errors::kAuthorizationError;
  return error;
}

// --- the client is gone, or wants no more ---

void SnsFront::cancel(HttpExchange& exchange) {
  uint64_t token = 0;
  Call* const call = calls_.find(exchange, &token);
  // What was asked for is done all the same, and answered to nobody.
  if (call != nullptr)
    calls_.forget_exchange(*call);
  else
    others_.cancel(exchange);
}

void SnsFront::stop_waiting(HttpExchange& exchange) {
  uint64_t token = 0;
  if (calls_.find(exchange, &token) == nullptr) others_.stop_waiting(exchange);
}

// --- replies ---

template <class Done>
void SnsFront::answer(uint64_t token, const Done& done, void (*Action::*how)(Reply&, const Done&)) {
  Call* const call = calls_.find(token);
  if (call == nullptr) return;
  const auto& action = static_cast<const Action&>(*call->operation);
  HttpExchange* const exchange = call->exchange;
  // Its place is free from here on: the answer may bring the next request.
  kept_.swap(call->kept);
  const std::string region = std::move(call->region);
  std::unique_ptr<Audited> audited = std::move(call->audited);
  calls_.close(token);
  if (exchange == nullptr)
    return tell(audited.get(), errc_name(done.error), "the client was gone by then", {});
  Reply reply(*this, *exchange, action, region, kept_);
  reply.audited_ = std::move(audited);
  (action.*how)(reply, done);
}

void SnsFront::on_topics(uint64_t token, const TopicReply& reply) {
  answer(token, reply, &Action::topics);
}

void SnsFront::on_published(uint64_t token, const topics::Published& published) {
  answer(token, published, &Action::published);
}

// --- answers ---

Answer::Answer(SnsFront& front, HttpExchange& exchange, std::string_view region)
    : ServiceAnswer(front, exchange, true), sns_(front), region_(region) {}

delivery::EndpointDesk* Answer::endpoints() {
  return sns_.outside_ == nullptr ? nullptr : &sns_.outside_->desk;
}

const SnsSettings& Answer::settings() {
  return sns_.settings_;
}

std::string Answer::topic_arn(std::string_view name) {
  return make_arn("sns", region_, sns_.settings_.account, name);
}

std::string Answer::subscription_arn(std::string_view topic, const Uuid& uuid) {
  return fmt::format("{}:{}", topic_arn(topic), base::uuid_text(uuid));
}

ReplyTo Answer::wait() {
  uint64_t token = 0;
  SnsFront::Call& call = sns_.calls_.open(*exchange_, &token);
  call.operation = operation_;
  call.xml = true;
  call.region = region_;
  call.audited = std::move(audited_);
  call.kept.swap(kept());
  return {&sns_, token};
}

void Answer::publish(TopicId topic, std::string_view name, std::string base_url,
                     std::span<const topics::Publication> messages) {
  topics::PublishPlace place{topic, topic_arn(name), std::move(base_url)};
  sns_.publisher_.publish(std::move(place), messages, &sns_, wait().token);
}

Request::Request(SnsFront& front, const HttpRequest& request, HttpExchange& exchange,
                 const Caller& called)
    : Answer(front, exchange, called.region), http(request), caller(called) {}

void Request::audit(AuditEvent event, std::string_view name, std::string_view claimed_key) {
  if (Audited* told = ServiceAnswer::audit(http, caller, event, name, claimed_key))
    told->topic = topic_name;
}

Reply::Reply(SnsFront& front, HttpExchange& exchange, const Operation& operation,
             std::string_view region, std::string_view kept_text)
    : Answer(front, exchange, region), request(kept_text) {
  operation_ = &operation;
}

}  // namespace millrace::net::sns

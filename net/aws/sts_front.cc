#include "net/aws/sts_front.h"

#include <fmt/format.h>

#include "net/aws/request_claims.h"

namespace millrace::net {
namespace {

constexpr std::string_view kStsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/";
constexpr std::string_view kStsAction = "GetCallerIdentity";

// A signature says which service it is for. Of what has none, only the call itself is ours.
bool is_for_sts(const HttpRequest& request) {
  const std::string_view service = claimed_scope(request).service;
  if (!service.empty()) return service == "sts";
  return raw_parameter(request, "Action") == kStsAction;
}

}  // namespace

StsFront::StsFront(std::unique_ptr<Authorizer> authorizer, HttpFront& others, uint64_t seed,
                   AuditLog* audit)
    : authorizer_(std::move(authorizer)),
      others_(others),
      audit_(audit),
      ids_(seed),
      writer_(out_, kStsNamespace) {}

void StsFront::handle(const HttpRequest& request, HttpExchange& exchange) {
  if (!is_for_sts(request)) return others_.handle(request, exchange);
  const RequestId id = ids_.next();
  if (const auto error = authorizer_->authenticate(request, "sts", &caller_)) {
    record(audit_, {.event = AuditEvent::signature_refused,
                    .via = "http",
                    .from = request.peer.empty() ? "unix socket" : request.peer,
                    .key = claimed_key(request),
                    .action = kStsAction,
                    .result = error.kind->code,
                    .reason = error.text,
                    .request = id.text()});
    return answer(exchange, error, id);
  }
  arena_.clear();
  if (const auto error = reader_.parse(request.query(), request.body, arena_))
    return answer(exchange, error, id);
  const std::string_view action = reader_.find("Action");
  if (action != kStsAction)
    return answer(
        exchange,
        {errors::kUnknownOperation,
         fmt::format("The action {} is not valid for this endpoint.", action.substr(0, 128))},
        id);
  answer(exchange, {}, id);
}

void StsFront::answer(HttpExchange& exchange, const AwsError& error, const RequestId& id) {
  if (error) {
    writer_.error(error, id.text());
  } else {
    writer_.begin(kStsAction, true);
    writer_.plain("Arn", caller_.arn);
    writer_.plain("UserId", caller_.user_id.empty() ? caller_.account : caller_.user_id);
    writer_.plain("Account", caller_.account);
    writer_.end(id.text());
  }
  const HttpField field{"x-amzn-RequestId", id.text()};
  exchange.answer({.status = error ? error.kind->status : uint16_t{200},
                   .content_type = "text/xml",
                   .fields = {&field, 1},
                   .body = out_});
}

}  // namespace millrace::net

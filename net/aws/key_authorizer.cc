#include "net/aws/key_authorizer.h"

#include <utility>

#include "base/assert.h"
#include "base/printable.h"

namespace millrace::net {
namespace {

constexpr ErrorKind kBadExpires{"com.amazon.coral.service#AuthorizationQueryParametersError",
                                "AuthorizationQueryParametersError", 400};

const ErrorKind& kind_of(SignatureFault fault, std::string_view service) {
  switch (fault) {
    case SignatureFault::none:
      break;
    case SignatureFault::missing:
      return service == "sqs" ? errors::kAccessDenied : errors::kMissingToken;
    case SignatureFault::incomplete:
      return errors::kIncompleteSignature;
    case SignatureFault::bad_expires:
      return kBadExpires;
    case SignatureFault::mismatch:
      return errors::kInvalidSignature;
    case SignatureFault::unknown_key:
      return errors::kUnrecognizedClient;
  }
  return errors::kAccessDenied;
}

}  // namespace

KeyAuthorizer::KeyAuthorizer(std::shared_ptr<const CredentialStore> store, std::string account,
                             std::string region, int64_t (*now_s)())
    : store_(std::move(store)),
      region_(std::move(region)),
      now_s_(now_s),
      allow_all_(std::move(account), region_),
      credentials_(store_->current()) {
  MR_ASSERT(credentials_ != nullptr);
  follow_store();
}

void KeyAuthorizer::follow_store() {
  const uint64_t epoch = store_->epoch();
  if (epoch == epoch_) return;
  epoch_ = epoch;
  credentials_ = store_->current();
  verifier_.forget_keys();
}

AwsError KeyAuthorizer::authenticate(const HttpRequest& request, std::string_view service,
                                     Caller* caller) {
  follow_store();
  if (credentials_->mode() == AuthMode::off)
    return allow_all_.authenticate(request, service, caller);
  const Verified verified =
      credentials_->mode() == AuthMode::relaxed
          ? verifier_.identify(request, *credentials_)
          : verifier_.verify(request, *credentials_, {service, region_, now_s_()});
  if (verified.fault != SignatureFault::none) {
    return refuse(kind_of(verified.fault, service), std::string(verified.text), request);
  }
  const User& user = *verified.key->user;
  caller->account = user.account;
  caller->user_id = user.is_account() ? std::string_view() : std::string_view(user.id);
  caller->arn = user.arn;
  caller->region = region_;
  caller->key = verified.key->id;
  return {};
}

AwsError KeyAuthorizer::authorize(const HttpRequest& request, const Caller& caller,
                                  const Access& access) {
  if (credentials_->mode() == AuthMode::off) return {};
  const RequestContext context{.source_ip = request.peer,
                               .user_agent = request.field("user-agent"),
                               .secure = request.secure,
                               .now_s = now_s_()};
  std::string why = judge_.why_not(*credentials_, caller, access, context);
  if (why.empty()) return {};
  return refuse(errors::kAccessDenied, std::move(why), request);
}

bool KeyAuthorizer::service_may(std::string_view service, std::string_view source_arn,
                                const Access& access) {
  follow_store();
  if (credentials_->mode() == AuthMode::off) return true;
  return judge_.service_may(
      service, access,
      {.source_arn = source_arn, .source_account = access.account, .now_s = now_s_()});
}

AwsError KeyAuthorizer::refuse(const ErrorKind& kind, std::string text,
                               const HttpRequest& request) {
  constexpr size_t kTextBytesMax = 1'024;
  text = base::printable(text, kTextBytesMax);  // a queue may have any name in a request
  refusals_.add(now_s_(), request.peer, text, kind.code);
  return {kind, std::move(text)};
}

}  // namespace millrace::net

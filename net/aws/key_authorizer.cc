#include "net/aws/key_authorizer.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/log_line.h"
#include "base/printable.h"
#include "net/aws/verdict.h"

namespace millrace::net {
namespace {

constexpr int64_t kLogEveryS = 10;

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

// How the owner gets back in.
bool is_recovery(std::string_view action) {
  return action == "SetQueueAttributes" || action == "RemovePermission";
}

std::string reason_of(Verdict verdict, std::string_view action) {
  switch (verdict) {
    case Verdict::allowed:
      break;
    case Verdict::denied_by_user:
      return "with an explicit deny in an identity-based policy";
    case Verdict::denied_by_queue:
      return "with an explicit deny in a resource-based policy";
    case Verdict::no_user_policy:
      return fmt::format("because no identity-based policy allows the {} action", action);
    case Verdict::no_queue_policy:
      return fmt::format("because no resource-based policy allows the {} action", action);
  }
  return {};
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
  // By name: a reload may have come between.
  const User* user = credentials_->find_user(caller.arn);
  action_.assign(access.service);
  action_ += ':';
  for (const char c : access.action)
    action_ += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  resource_.assign("arn:aws:");
  for (const std::string_view part : {access.service, access.region, access.account}) {
    resource_ += part;
    resource_ += ':';
  }
  resource_ += access.resource;

  const Principal principal{.arn = caller.arn, .account = caller.account};
  const RequestContext context{.source_ip = request.peer,
                               .user_agent = request.field("user-agent"),
                               .secure = request.secure,
                               .now_s = now_s_()};
  const AccessRequest asked{principal, action_, resource_, context};
  Grounds grounds{.same_account = caller.account == access.account,
                  .owner_only = access.owner_only};
  if (user != nullptr) grounds.by_user = user->decide(asked);
  bool unreadable = false;
  grounds.by_queue = ask_policy(
      access, grounds.same_account && user != nullptr && user->is_account(), asked, &unreadable);
  const Verdict verdict = judge(grounds);
  if (verdict == Verdict::allowed) return {};
  return refuse(errors::kAccessDenied,
                fmt::format("User: {} is not authorized to perform: {} on resource: {} {}",
                            caller.arn, action_, resource_,
                            unreadable ? "because its resource-based policy cannot be read"
                                       : reason_of(verdict, action_)),
                request);
}

Decision KeyAuthorizer::ask_policy(const Access& access, bool account_itself,
                                   const AccessRequest& asked, bool* unreadable) {
  if (access.policy.empty() || (account_itself && is_recovery(access.action))) {
    return Decision::none;
  }
  const Policy* policy = policies_.find(asked.resource, access.policy);
  *unreadable = policy == nullptr;
  return policy == nullptr ? Decision::denied : policy->decide(asked);
}

AwsError KeyAuthorizer::refuse(const ErrorKind& kind, std::string text,
                               const HttpRequest& request) {
  constexpr size_t kTextBytesMax = 1'024;
  text = base::printable(text, kTextBytesMax);  // a queue may have any name in a request
  const int64_t now = now_s_();
  if (now - logged_s_ < kLogEveryS && now >= logged_s_) {
    ++not_logged_;
  } else {
    base::log_line(base::LogLevel::warn, "auth", "refused {}: {} ({}); {} more since the last line",
                   request.peer.empty() ? "a unix socket" : request.peer, text, kind.code,
                   not_logged_);
    logged_s_ = now;
    not_logged_ = 0;
  }
  return {kind, std::move(text)};
}

}  // namespace millrace::net

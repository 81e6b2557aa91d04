#include "net/aws/allow_all.h"

#include <utility>

#include <fmt/format.h>

#include "net/aws/request_claims.h"

namespace millrace::net {

AllowAll::AllowAll(std::string account, std::string region)
    : account_(std::move(account)),
      region_(std::move(region)),
      arn_(fmt::format("arn:aws:iam::{}:root", account_)) {}

AwsError AllowAll::authenticate(const HttpRequest& request, std::string_view /*service*/,
                                Caller* caller) {
  caller->account = account_;
  caller->user_id.clear();
  caller->arn = arn_;
  const ClaimedScope scope = claimed_scope(request);
  caller->region = scope.region.empty() ? std::string_view(region_) : scope.region;
  caller->key = scope.key;
  return {};
}

AwsError AllowAll::authorize(const HttpRequest& /*request*/, const Caller& /*caller*/,
                             const Access& /*access*/) {
  return {};
}

}  // namespace millrace::net

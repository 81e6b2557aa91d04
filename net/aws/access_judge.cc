#include "net/aws/access_judge.h"

#include <fmt/format.h>

#include "net/aws/verdict.h"

namespace millrace::net {
namespace {

// How the owner gets back in.
bool is_recovery(std::string_view action) {
  return action == "SetQueueAttributes" || action == "SetTopicAttributes" ||
         action == "RemovePermission";
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

// In action_ and resource_.
void AccessJudge::name(const Access& access) {
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
}

bool AccessJudge::service_may(std::string_view service, const Access& access,
                              const RequestContext& context) {
  name(access);
  const Principal principal{.service = service};
  bool unreadable = false;
  const Decision by_queue =
      ask_policy(access, false, {principal, action_, resource_, context}, &unreadable);
  return judge({.by_user = Decision::allowed,
                .by_queue = by_queue,
                .same_account = true,
                .is_service = true}) == Verdict::allowed;
}

std::string AccessJudge::why_not(const Credentials& credentials, const Caller& caller,
                                 const Access& access, const RequestContext& context) {
  // By name: a reload may have come between.
  const User* user = credentials.find_user(caller.arn);
  name(access);
  const Principal principal{.arn = caller.arn, .account = caller.account};
  const AccessRequest asked{principal, action_, resource_, context};
  Grounds grounds{.same_account = caller.account == access.account,
                  .owner_only = access.owner_only};
  if (user != nullptr) grounds.by_user = user->decide(asked);
  bool unreadable = false;
  grounds.by_queue = ask_policy(
      access, grounds.same_account && user != nullptr && user->is_account(), asked, &unreadable);
  const Verdict verdict = judge(grounds);
  if (verdict == Verdict::allowed) return {};
  return fmt::format("User: {} is not authorized to perform: {} on resource: {} {}", caller.arn,
                     action_, resource_,
                     unreadable ? "because its resource-based policy cannot be read"
                                : reason_of(verdict, action_));
}

Decision AccessJudge::ask_policy(const Access& access, bool account_itself,
                                 const AccessRequest& asked, bool* unreadable) {
  if (access.policy.empty() || (account_itself && is_recovery(access.action))) {
    return Decision::none;
  }
  const Policy* policy = policies_.find(
      asked.resource, access.service == "sns" ? PolicyOf::topic : PolicyOf::queue, access.policy);
  *unreadable = policy == nullptr;
  return policy == nullptr ? Decision::denied : policy->decide(asked);
}

}  // namespace millrace::net

#include "net/aws/policy.h"

#include <algorithm>

#include "net/aws/wildcard.h"

namespace millrace::net {
namespace {

bool any_matches(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(), [text](const std::string& pattern) {
    return matches_wildcard(pattern, text);
  });
}

}  // namespace

// How a statement names a principal: by itself (allowed), by its account (delegated), or not.
Decision Policy::names(const Statement& statement, const Principal& principal, PolicyOf whose) {
  if (whose == PolicyOf::user) return Decision::allowed;
  Decision best = Decision::none;
  for (const PrincipalPattern& pattern : statement.principals) {
    switch (pattern.kind) {
      case PrincipalPattern::Kind::anybody:
        return Decision::allowed;
      case PrincipalPattern::Kind::account:
        if (pattern.text != principal.account) break;
        if (principal.is_account()) return Decision::allowed;
        best = Decision::delegated;
        break;
      case PrincipalPattern::Kind::exactly:
        if (pattern.text == principal.arn) return Decision::allowed;
        break;
      case PrincipalPattern::Kind::service:
        if (pattern.text == principal.service) return Decision::allowed;
        break;
    }
  }
  return best;
}

Decision Policy::decide(const Statement& statement, const AccessRequest& request, PolicyOf whose) {
  if (!any_matches(statement.actions, request.action)) return Decision::none;
  const Decision named = names(statement, request.principal, whose);
  if (named == Decision::none) return Decision::none;
  if (!any_matches(statement.resources, request.resource)) return Decision::none;
  for (const Condition& condition : statement.conditions) {
    if (!condition.holds(request.principal, request.context)) return Decision::none;
  }
  return statement.allow ? named : Decision::denied;
}

Decision Policy::decide(const AccessRequest& request) const {
  Decision best = Decision::none;
  for (const Statement& statement : statements_) {
    best = std::max(best, decide(statement, request, whose_));
    if (best == Decision::denied) break;
  }
  return best;
}

bool Policy::open_to_all() const {
  return std::any_of(statements_.begin(), statements_.end(), [](const Statement& statement) {
    return statement.allow && statement.conditions.empty() &&
           std::any_of(statement.principals.begin(), statement.principals.end(),
                       [](const PrincipalPattern& pattern) {
                         return pattern.kind == PrincipalPattern::Kind::anybody;
                       });
  });
}

}  // namespace millrace::net

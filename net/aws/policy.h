// Policy: a policy document, read once and asked often: what does it say of this principal, action
// and resource?
//
//   auto policy = Policy::parse(text, PolicyOf::queue, &refusal);
//   policy->decide({principal, "sqs:sendmessage", queue_arn, context})
//
// What is not understood is refused as a whole: an element, operator or key that is not known,
// NotPrincipal, NotAction, NotResource, a name that comes twice. A statement that was passed over
// could be the one that forbids.
//
// Principals: "*", an account (its number or its :root ARN), a user's ARN, a service. Roles are
// taken and are nobody here. An Allow to an account is for what the account's own policies then
// allow: `delegated`. Threads: immutable.   Memory: some twice the text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/aws/condition.h"

namespace millrace::net {

// Whose it is: a queue's or a topic's says which principals it is about; a user's is about that
// user.
enum class PolicyOf : uint8_t { queue, topic, user };

// Ordered: of several that apply, the greatest counts.
enum class Decision : uint8_t {
  none,       // nothing is said of it: who asks may not, unless something else allows it
  delegated,  // allowed to who asks by way of the account
  allowed,
  denied,
};

struct PolicyRefusal {
  enum class Reason : uint8_t { not_understood, not_json, too_large, too_many_statements };
  Reason reason = Reason::not_understood;
  size_t statements = 0;
  std::string text;  // for people
};

struct AccessRequest {
  const Principal& principal;
  std::string_view action;    // in lower case: "sqs:sendmessage"
  std::string_view resource;  // its ARN
  const RequestContext& context;
};

class Policy {
 public:
  static constexpr size_t kBytesMax = 20'480;
  static constexpr size_t kStatementsMax = 20;
  static constexpr size_t kPrincipalsMax = 50;
  static constexpr size_t kConditionsMax = 10;
  static constexpr size_t kActionBytesMax = 128;

  static std::optional<Policy> parse(std::string_view text, PolicyOf whose, PolicyRefusal* refusal);
  Decision decide(const AccessRequest& request) const;

  // An Allow for everybody without any condition.
  bool open_to_all() const;

 private:
  friend class PolicyParser;
  struct PrincipalPattern {
    enum class Kind : uint8_t { anybody, account, exactly, service };
    Kind kind = Kind::anybody;
    std::string text;
  };
  struct Statement {
    bool allow = false;
    std::vector<PrincipalPattern> principals;  // of a user's policy: none
    std::vector<std::string> actions;          // in lower case
    std::vector<std::string> resources;
    std::vector<Condition> conditions;
  };
  static Decision names(const Statement& statement, const Principal& principal, PolicyOf whose);
  static Decision decide(const Statement& statement, const AccessRequest& request, PolicyOf whose);

  PolicyOf whose_ = PolicyOf::queue;
  std::vector<Statement> statements_;
};

}  // namespace millrace::net

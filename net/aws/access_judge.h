// AccessJudge: whether a user may do what is asked, by the policies of the user and of the queue.
//
//   if (const std::string why = judge.why_not(credentials, caller, access, context); !why.empty())
//     refuse(why);
//
// The account that owns a queue, by itself, may always set the queue's attributes and remove
// permissions, whatever its policy says: it can otherwise lock itself out. Of a policy that is not
// understood, which can only have been stored when nobody looked, nothing else is allowed.
//
// Threads: one at a time, a shard has its own.   Memory: the queues' policies as last read
// (ResourcePolicies), and two texts.
#pragma once

#include <string>

#include "net/aws/authorizer.h"
#include "net/aws/condition.h"
#include "net/aws/credentials.h"
#include "net/aws/resource_policies.h"

namespace millrace::net {

class AccessJudge {
 public:
  // Empty, or one line for people: who, what, on which queue, and why not.
  std::string why_not(const Credentials& credentials, const Caller& caller, const Access& access,
                      const RequestContext& context);
  // The resource's policy must let it; users have no say in it.
  bool service_may(std::string_view service, const Access& access, const RequestContext& context);

 private:
  void name(const Access& access);
  Decision ask_policy(const Access& access, bool account_itself, const AccessRequest& asked,
                      bool* unreadable);

  ResourcePolicies policies_;
  std::string action_;
  std::string resource_;
};

}  // namespace millrace::net

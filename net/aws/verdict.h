// Verdict: how what a user's policies say and what a queue's policy says make one answer.
//
//  - Any Deny is a no; nothing allowed is a no.
//  - Within the account that owns the queue, one of the two is enough. The account itself needs
//    neither.
//  - From another account both are needed, and what is only for the owner is a no.
//  - A service has no policies of its own: the queue's is needed, and enough.
//  - To what is only for the owner, the queue's policy can say no, and nothing else.
//
// Threads: any; no state.
#pragma once

#include "net/aws/policy.h"

namespace millrace::net {

enum class Verdict : uint8_t {
  allowed,
  denied_by_user,   // a policy of the user's says no
  denied_by_queue,  // the queue's policy says no
  no_user_policy,   // nothing of the user's allows it
  no_queue_policy,  // nothing of the queue's allows it
};

// `by_user`: what the user's policies say; of an account itself, and of a service: allowed.
struct Grounds {
  Decision by_user = Decision::none;
  Decision by_queue = Decision::none;
  bool same_account = false;
  bool is_service = false;
  bool owner_only = false;
};

constexpr Verdict judge(const Grounds& grounds) {
  if (grounds.by_user == Decision::denied) return Verdict::denied_by_user;
  if (grounds.by_queue == Decision::denied) return Verdict::denied_by_queue;
  const bool user_allows = grounds.by_user == Decision::allowed;
  // An Allow to an account is for what its own policies allow besides.
  const bool queue_allows =
      !grounds.owner_only && (grounds.by_queue == Decision::allowed ||
                              (grounds.by_queue == Decision::delegated && user_allows));
  if (grounds.same_account && !grounds.is_service) {
    return user_allows || queue_allows ? Verdict::allowed : Verdict::no_user_policy;
  }
  if (!user_allows) return Verdict::no_user_policy;
  return queue_allows ? Verdict::allowed : Verdict::no_queue_policy;
}

}  // namespace millrace::net

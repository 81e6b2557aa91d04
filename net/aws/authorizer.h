// Authorizer: who sends a request, and whether they may do what it asks.
//
// Asked twice for each request: authenticate() before its body is decoded, which changes the body,
// and authorize() when it is known what is asked of which queue. AllowAll (allow_all.h) is the one
// for a server without credentials.
//
// Threads: one per shard, used on its thread only; what shards share of it is its own affair.
#pragma once

#include <string>
#include <string_view>

#include "net/aws/error.h"
#include "net/http/front.h"

namespace millrace::net {

// Reused from request to request, so that it takes no memory for each.
struct Caller {
  std::string account;  // 12 digits
  std::string user_id;  // what a message's SenderId will be; empty: the account
  std::string arn;      // of the user or the root of the account
  std::string region;   // of the signature's scope, else the server's
  std::string key;      // the access key's id, as it was given; empty: none was
};

// What is asked of which queue or topic.
struct Access {
  std::string_view service;      // "sqs"
  std::string_view action;       // as policies name it: "SendMessage", of a batch too
  bool owner_only = false;       // no policy gives it to others
  std::string_view region;       // with account and resource: its ARN (net/aws/arn.h)
  std::string_view account;      // the owner's
  std::string_view resource;     // the queue's or topic's name; empty: the action has none
  std::string_view policy = {};  // the resource's policy, a JSON text; empty: it has none
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  // Fills `caller`, or says why the request is refused.
  virtual AwsError authenticate(const HttpRequest& request, std::string_view service,
                                Caller* caller) = 0;
  // No error: it is allowed. Of `request` only the head is what was sent.
  virtual AwsError authorize(const HttpRequest& request, const Caller& caller,
                             const Access& access) = 0;
  // Whether a service may do this for a resource of the account itself, as SNS for a topic: the
  // policy of what is asked for must let it.
  virtual bool service_may(std::string_view service, std::string_view source_arn,
                           const Access& access) = 0;
};

}  // namespace millrace::net

// Gatekeeper: who may open a connection of the binary protocol, and what they may do on it.
//
// Asked by the sessions of one shard: a challenge when somebody claims an access key, whether the
// proof is right, and of each request whether a policy allows it. A server without credentials has
// none. KeyGatekeeper (net/aws) is the one for a credentials file; this knows neither files nor
// policies.
//
// Threads: shard-local, a shard has its own; what shards share of it is its own affair.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/scram.h"
#include "millrace/wire.h"

namespace millrace::net {

// Who has logged in, and from where.
struct Visitor {
  std::string key;             // the access key's id, as it was given
  std::string account;         // 12 digits
  std::string arn;             // of the user or the root of the account
  bool owns_server = false;    // it is the account that the queues are in, itself
  base::ScramDigest stored{};  // what its proof was checked with: changes with the secret
  std::string address;         // without its port; empty: a unix socket
  bool secure = false;         // over TLS
};

// What is asked of which queue or topic, by the names that policies have.
struct Wanted {
  std::string_view service;        // "sqs", "sns"
  std::string_view action;         // "SendMessage"
  bool owner_only = false;         // no policy gives it to others
  std::string_view resource = {};  // the queue's or topic's name; empty: of no single one
  std::string_view policy = {};    // its policy, a JSON text; empty: it has none
};

class Gatekeeper {
 public:
  virtual ~Gatekeeper() = default;

  // Changes when the credentials were read anew: whoever is inside is looked at again.
  virtual uint64_t epoch() const = 0;
  // Whether anything but HELLO needs a log-in.
  virtual bool wants_login() = 0;

  // Salt and a nonce of this moment, for a key that there may or may not be.
  virtual wire::LoginChallenge challenge(std::string_view key) = 0;
  // Whether the proof is right: then `visitor`, whose address is there already, is filled in and
  // `signature` is the server's own. A key that there is not takes as long as one whose proof is
  // wrong.
  virtual bool admit(std::string_view key, std::string_view transcript,
                     const base::ScramDigest& proof, Visitor* visitor,
                     base::ScramDigest* signature) = 0;
  // Whether the key is still there, enabled, with the secret it had, and of the same user.
  virtual bool still_admits(const Visitor& visitor) = 0;
  // Empty, or one line: why not.
  virtual std::string why_not(const Visitor& visitor, const Wanted& wanted) = 0;
};

}  // namespace millrace::net

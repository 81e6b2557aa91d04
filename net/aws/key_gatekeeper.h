// KeyGatekeeper: the gatekeeper of a server with a credentials file: the same access keys, users
// and policies as over HTTP (KeyAuthorizer), by log-in instead of signature.
//
// With the mode off nobody needs to log in and all is allowed; in both others a log-in is checked
// in full: there is nothing that a client could be spared. A key that is issued with a session
// token can't log in: a log-in has no place for the token.
//
// Threads: one at a time, a shard has its own; the store is shared.
#pragma once

#include <memory>
#include <string>

#include "net/aws/access_judge.h"
#include "net/aws/credential_store.h"
#include "net/aws/refusal_log.h"
#include "net/binary/gatekeeper.h"

namespace millrace::net {

class KeyGatekeeper final : public Gatekeeper {
 public:
  // The store serves log-ins. Queues are in `account`; `now_s` as KeyAuthorizer has it.
  KeyGatekeeper(std::shared_ptr<const CredentialStore> store, std::string account,
                std::string region, int64_t (*now_s)());

  uint64_t epoch() const override { return store_->epoch(); }
  bool wants_login() override;
  wire::LoginChallenge challenge(std::string_view key) override;
  bool admit(std::string_view key, std::string_view transcript, const base::ScramDigest& proof,
             Visitor* visitor, base::ScramDigest* signature) override;
  bool still_admits(const Visitor& visitor) override;
  std::string why_not(const Visitor& visitor, const Wanted& wanted) override;

 private:
  void follow_store();

  const std::shared_ptr<const CredentialStore> store_;
  const std::string account_;
  const std::string region_;
  int64_t (*const now_s_)();
  uint64_t epoch_ = 0;
  std::shared_ptr<const LoginKeys> keys_;
  AccessJudge judge_;
  Caller caller_;
  RefusalLog refusals_;
};

}  // namespace millrace::net

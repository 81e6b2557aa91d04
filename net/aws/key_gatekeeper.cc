#include "net/aws/key_gatekeeper.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "base/printable.h"
#include "millrace/result.h"

namespace millrace::net {

KeyGatekeeper::KeyGatekeeper(std::shared_ptr<const CredentialStore> store, std::string account,
                             std::string region, int64_t (*now_s)())
    : store_(std::move(store)),
      account_(std::move(account)),
      region_(std::move(region)),
      now_s_(now_s),
      keys_(store_->login_keys()) {
  MR_ASSERT(keys_ != nullptr);
  follow_store();
}

void KeyGatekeeper::follow_store() {
  const uint64_t epoch = store_->epoch();
  if (epoch == epoch_) return;
  epoch_ = epoch;
  keys_ = store_->login_keys();
}

bool KeyGatekeeper::wants_login() {
  follow_store();
  return keys_->credentials().mode() != AuthMode::off;
}

wire::LoginChallenge KeyGatekeeper::challenge(std::string_view key) {
  follow_store();
  wire::LoginChallenge challenge{};
  base::scram_random(challenge.nonce, sizeof challenge.nonce);
  const base::ScramSalt salt = keys_->salt_of(key);
  std::copy(salt.begin(), salt.end(), std::begin(challenge.salt));
  challenge.iterations = base::kScramIterations;
  return challenge;
}

bool KeyGatekeeper::admit(std::string_view key, std::string_view transcript,
                          const base::ScramDigest& proof, Visitor* visitor,
                          base::ScramDigest* signature) {
  follow_store();
  LoginKeys::Found found = keys_->find(key);
  const bool proves = base::scram_proves(found.keys, transcript, proof);
  *signature = base::scram_signature(found.keys, transcript);
  const bool admitted = proves && found.key != nullptr && found.key->token.empty();
  if (!admitted) {
    refusals_.add(now_s_(), visitor->address,
                  "a log-in with the access key " + base::printable(key),
                  errc_name(Errc::login_refused));
  } else {
    const User& user = *found.key->user;
    visitor->key = found.key->id;
    visitor->account = user.account;
    visitor->arn = user.arn;
    visitor->owns_server = user.is_account() && user.account == account_;
    visitor->stored = found.keys.stored;
  }
  base::scram_wipe(&found.keys, sizeof found.keys);
  return admitted;
}

bool KeyGatekeeper::still_admits(const Visitor& visitor) {
  follow_store();
  const LoginKeys::Found found = keys_->find(visitor.key);
  return found.key != nullptr && found.key->token.empty() && found.key->user->arn == visitor.arn &&
         base::scram_equal(found.keys.stored, visitor.stored);
}

std::string KeyGatekeeper::why_not(const Visitor& visitor, const Wanted& wanted) {
  follow_store();
  caller_.account = visitor.account;
  caller_.arn = visitor.arn;
  const RequestContext context{
      .source_ip = visitor.address, .secure = visitor.secure, .now_s = now_s_()};
  std::string why = judge_.why_not(keys_->credentials(), caller_,
                                   {.service = wanted.service,
                                    .action = wanted.action,
                                    .owner_only = wanted.owner_only,
                                    .region = region_,
                                    .account = account_,
                                    .resource = wanted.resource,
                                    .policy = wanted.policy},
                                   context);
  if (!why.empty())
    refusals_.add(now_s_(), visitor.address, base::printable(why, 1'024),
                  errc_name(Errc::access_denied));
  return why;
}

}  // namespace millrace::net

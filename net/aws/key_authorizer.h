// KeyAuthorizer: the authorizer of a server with a credentials file: signatures by its access keys,
// the policies of its users and of the queues.
//
// How much of it depends on the file's mode. The region is the server's in any mode but off: ARNs
// are made with it, and a policy that names one must not be passed by with another.
// The account that owns a queue, by itself, may always set the queue's attributes and remove
// permissions, whatever its policy says: it can otherwise lock itself out. Of a policy that is not
// understood, which can only have been stored when nobody looked, nothing else is allowed.
//
// What is refused is logged, a line in ten seconds at most, with a count.
//
// Threads: one at a time, a shard has its own; the store is shared.
#pragma once

#include <memory>
#include <string>

#include "net/aws/access_judge.h"
#include "net/aws/allow_all.h"
#include "net/aws/credential_store.h"
#include "net/aws/refusal_log.h"
#include "net/aws/sigv4.h"

namespace millrace::net {

class KeyAuthorizer final : public Authorizer {
 public:
  // `now_s` tells the time of day in seconds since the Unix epoch.
  KeyAuthorizer(std::shared_ptr<const CredentialStore> store, std::string account,
                std::string region, int64_t (*now_s)());
  AwsError authenticate(const HttpRequest& request, std::string_view service,
                        Caller* caller) override;
  AwsError authorize(const HttpRequest& request, const Caller& caller,
                     const Access& access) override;
  bool service_may(std::string_view service, std::string_view source_arn,
                   const Access& access) override;

 private:
  void follow_store();
  AwsError refuse(const ErrorKind& kind, std::string text, const HttpRequest& request);

  std::shared_ptr<const CredentialStore> store_;
  std::string region_;
  int64_t (*now_s_)();
  AllowAll allow_all_;
  uint64_t epoch_ = 0;
  std::shared_ptr<const Credentials> credentials_;
  SignatureVerifier verifier_;
  AccessJudge judge_;
  RefusalLog refusals_;
};

}  // namespace millrace::net

// SignatureVerifier: is a request signed, with AWS's signature version 4, by one of our keys?
//
//   const Verified verified = verifier.verify(request, credentials, {"sqs", "us-east-1", now_s});
//   if (verified.fault != SignatureFault::none) refuse(verified.fault, verified.text);
//
// Checks in this order: there is a signature; it has the form of one; its scope is ours and of the
// date it was made; the key is known; host and date are signed, and every x-amz- field; it was made
// within 15 minutes of now, or presigned and not expired; the payload's hash, where one is sent;
// the signature itself, compared in constant time. A key that is not known is refused after the
// same work as a wrong signature.
//
// Equal requests in one second have equal signatures, so that refusing what came before would
// refuse honest ones: against who listens and sends again TLS helps, and nothing here.
//
// Threads: one at a time; a shard has its own.   Memory: some 100 KiB at most, reused; the derived
// keys of up to 4,096 pairs of a key and a date, wiped at the end.
#pragma once

#include <string>
#include <string_view>

#include "net/aws/canonical_request.h"
#include "net/aws/credentials.h"
#include "net/aws/sha256.h"
#include "net/aws/signature_parts.h"
#include "net/aws/signing_keys.h"

namespace millrace::net {

inline constexpr int64_t kClockSkewS = 15 * 60;

struct Verified {
  SignatureFault fault = SignatureFault::none;
  const AccessKey* key = nullptr;  // of the credentials; null on a fault
  std::string_view region{};       // of the signature's scope; as long as the request
  std::string_view text{};         // what is wrong; until the next call
};

class SignatureVerifier {
 public:
  struct Expected {
    std::string_view service;
    std::string_view region;  // empty: any
    int64_t now_s = 0;
  };

  Verified verify(const HttpRequest& request, const Credentials& credentials,
                  const Expected& expected);
  // Who the request says it is from, with a known key; nothing else is checked.
  Verified identify(const HttpRequest& request, const Credentials& credentials);
  // The credentials are others from now on.
  void forget_keys() { keys_.clear(); }

 private:
  SignatureFault check_scope(const Expected& expected);
  SignatureFault check_signed_headers(const HttpRequest& request);
  SignatureFault check_time(int64_t now_s);
  SignatureFault check_signature(const HttpRequest& request, const AccessKey* key);
  const AccessKey* known_key(const Credentials& credentials) const;
  SignatureFault mismatch(std::string text);
  Verified refused(SignatureFault fault);

  SignatureReader reader_;
  CanonicalRequest canonical_;
  Sha256 sha_;
  SigningKeys keys_;
  std::string to_sign_;
  std::string text_;
};

}  // namespace millrace::net

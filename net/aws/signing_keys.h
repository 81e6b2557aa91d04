// SigningKeys: the keys that are derived from a secret for a date, a region and a service, kept so
// that deriving (four MACs) is done once a day and not for every request.
//
// To be asked only after a request's time was checked: so a key has few dates, and what is kept
// stays small. Threads: one at a time.   Memory: some 200 bytes a key, wiped at the end.
#pragma once

#include <span>
#include <string>
#include <unordered_map>

#include "net/aws/credentials.h"
#include "net/aws/sha256.h"
#include "net/aws/signature_parts.h"

namespace millrace::net {

class SigningKeys {
 public:
  static constexpr size_t kCountMax = 4'096;

  SigningKeys() = default;
  ~SigningKeys() { clear(); }
  SigningKeys(const SigningKeys&) = delete;
  SigningKeys& operator=(const SigningKeys&) = delete;

  // `key` null: one that fits no signature. Until the next call.
  std::span<const uint8_t> key_for(const AccessKey* key, const SignatureParts& parts, Sha256& sha);
  void clear();

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  // By the credential as it comes: key/date/region/service/terminator.
  std::unordered_map<std::string, Sha256Digest, Hash, std::equal_to<>> keys_;
};

// The key that signs requests of this scope.
Sha256Digest derive_signing_key(std::string_view secret, std::string_view date,
                                std::string_view region, std::string_view service,
                                std::string_view terminator, Sha256& sha);

}  // namespace millrace::net

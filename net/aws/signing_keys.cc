#include "net/aws/signing_keys.h"

#include <openssl/crypto.h>

namespace millrace::net {
namespace {

constexpr Sha256Digest kNobodysKey{};

}  // namespace

std::span<const uint8_t> SigningKeys::key_for(const AccessKey* key, const SignatureParts& parts,
                                              Sha256& sha) {
  const auto found = keys_.find(parts.credential);
  if (key == nullptr) return kNobodysKey;
  if (found != keys_.end()) return found->second;
  if (keys_.size() >= kCountMax) clear();
  return keys_
      .emplace(parts.credential, derive_signing_key(key->secret, parts.date, parts.region,
                                                    parts.service, parts.terminator, sha))
      .first->second;
}

void SigningKeys::clear() {
  for (auto& [credential, key] : keys_)
    OPENSSL_cleanse(key.data(), key.size());
  keys_.clear();
}

Sha256Digest derive_signing_key(std::string_view secret, std::string_view date,
                                std::string_view region, std::string_view service,
                                std::string_view terminator, Sha256& sha) {
  std::string first = "AWS4";
  first.reserve(first.size() + secret.size());
  first += secret;
  Sha256Digest key = sha.hmac({reinterpret_cast<const uint8_t*>(first.data()), first.size()}, date);
  OPENSSL_cleanse(first.data(), first.size());
  for (const std::string_view part : {region, service, terminator})
    key = sha.hmac(key, part);
  return key;
}

}  // namespace millrace::net

#include "net/aws/login_keys.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace millrace::net {
namespace {

constexpr size_t kDigestBytes = sizeof(base::ScramDigest);

}  // namespace

base::ScramSalt LoginSalts::of(std::string_view key) const {
  const base::ScramDigest mac = base::scram_mac(secret_, key);
  base::ScramSalt salt;
  std::copy_n(mac.begin(), salt.size(), salt.begin());
  return salt;
}

LoginKeys::LoginKeys(std::shared_ptr<const Credentials> credentials, const LoginSalts& salts)
    : credentials_(std::move(credentials)), salts_(salts) {
  // Random digests are of no secret that anybody could know.
  base::scram_random(nobodys_.stored.data(), nobodys_.stored.size());
  base::scram_random(nobodys_.server.data(), nobodys_.server.size());
  const std::span<const AccessKey> keys = credentials_->keys();
  MR_ASSERT(pages_.reserve(keys.size() * 2 * kDigestBytes));
  for (const AccessKey& key : keys) {
    base::ScramKeys made =
        base::scram_keys(key.secret, salts_.of(key.id), base::kScramIterations, nullptr);
    char bytes[2 * kDigestBytes];
    std::memcpy(bytes, made.stored.data(), kDigestBytes);
    std::memcpy(bytes + kDigestBytes, made.server.data(), kDigestBytes);
    digests_.emplace(key.id, pages_.keep({bytes, sizeof bytes}));
    base::scram_wipe(bytes, sizeof bytes);
    base::scram_wipe(&made, sizeof made);
  }
}

LoginKeys::Found LoginKeys::find(std::string_view key) const {
  const AccessKey* known = credentials_->find(key);
  if (known == nullptr) return {nobodys_, nullptr};
  const std::string_view bytes = digests_.find(key)->second;
  Found found{{}, known};
  std::memcpy(found.keys.stored.data(), bytes.data(), kDigestBytes);
  std::memcpy(found.keys.server.data(), bytes.data() + kDigestBytes, kDigestBytes);
  return found;
}

}  // namespace millrace::net

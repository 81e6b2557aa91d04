// LoginKeys: what log-ins of the binary protocol are checked with, derived from credentials.
//
// For each access key the two digests that SCRAM keeps of a secret (base/scram.h), made once when
// the credentials are read. A key that there is not has digests too, which no proof fits, and a
// salt: who claims it is answered as any other, after as much work.
//
// Salts are made from the key's id and a number of this process's, so that they stay through a
// reload, and a digest changes only if the secret does.
// Threads: immutable.   Memory: 200 bytes a key, the digests in pages of their own (SecretPages).
#pragma once

#include <memory>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/scram.h"
#include "net/aws/credentials.h"
#include "net/aws/secret_pages.h"

namespace millrace::net {

class LoginSalts {
 public:
  LoginSalts() { base::scram_random(secret_.data(), secret_.size()); }
  base::ScramSalt of(std::string_view key) const;

 private:
  base::ScramDigest secret_{};
};

class LoginKeys {
 public:
  // Takes some milliseconds a key.
  LoginKeys(std::shared_ptr<const Credentials> credentials, const LoginSalts& salts);
  LoginKeys(const LoginKeys&) = delete;
  LoginKeys& operator=(const LoginKeys&) = delete;

  const Credentials& credentials() const { return *credentials_; }
  base::ScramSalt salt_of(std::string_view key) const { return salts_.of(key); }
  struct Found {
    base::ScramKeys keys{};
    const AccessKey* key = nullptr;  // null: there is none of this id; no proof fits `keys`
  };
  Found find(std::string_view key) const;

 private:
  const std::shared_ptr<const Credentials> credentials_;
  const LoginSalts salts_;
  base::ScramKeys nobodys_{};
  SecretPages pages_;
  // The stored digest, and behind it the server's.
  boost::unordered_flat_map<std::string_view, std::string_view> digests_;
};

}  // namespace millrace::net

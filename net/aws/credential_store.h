// CredentialStore: the credentials that are in force, for all shards, and how others take their
// place.
//
// A shard compares epoch(), one atomic, with the one it knows, and asks for current() only when it
// has changed: a reload is seen by each shard with its next request, and no request sees half of
// one. Threads: any; reload() from one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "net/aws/credentials.h"
#include "net/aws/login_keys.h"

namespace millrace::net {

class CredentialStore {
 public:
  // `account` is that of keys and users which name none.
  CredentialStore(std::string path, std::string account);
  // What log-ins need is derived too, from now on: some milliseconds of each reload() for each key.
  void serve_logins() { serves_logins_ = true; }

  // Reads the file. False, with one line in `why`, if it cannot be used, or if its mode is less
  // strict than the one in force, on which the server's listeners may depend: what was in force
  // stays.
  bool reload(std::string* why);
  // For those who have no file.
  void put(std::shared_ptr<const Credentials> credentials);

  uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }
  // Null until there are some.
  std::shared_ptr<const Credentials> current() const;
  // Those of current(), at one moment with it; null without serve_logins().
  std::shared_ptr<const LoginKeys> login_keys() const;

 private:
  const std::string path_;
  const std::string account_;
  const LoginSalts salts_;
  bool serves_logins_ = false;
  mutable std::mutex mutex_;
  std::shared_ptr<const Credentials> current_;
  std::shared_ptr<const LoginKeys> login_keys_;
  std::atomic<uint64_t> epoch_ = 0;
};

}  // namespace millrace::net

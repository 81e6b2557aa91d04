#include "net/aws/credential_store.h"

namespace millrace::net {

CredentialStore::CredentialStore(std::string path, std::string account)
    : path_(std::move(path)), account_(std::move(account)) {}

bool CredentialStore::reload(std::string* why) {
  std::shared_ptr<const Credentials> read = Credentials::load(path_, account_, why);
  if (read == nullptr) return false;
  const std::shared_ptr<const Credentials> before = current();
  if (before != nullptr && read->mode() < before->mode()) {
    *why = path_ + ": a mode that is less strict needs a restart";
    return false;
  }
  put(std::move(read));
  return true;
}

void CredentialStore::put(std::shared_ptr<const Credentials> credentials) {
  std::shared_ptr<const LoginKeys> login_keys;
  if (serves_logins_ && credentials != nullptr)
    login_keys = std::make_shared<const LoginKeys>(credentials, salts_);
  {
    const std::lock_guard lock(mutex_);
    login_keys_.swap(login_keys);
    current_.swap(credentials);
    epoch_.fetch_add(1, std::memory_order_release);
  }
  // What was in force is wiped here, outside of the lock.
}

std::shared_ptr<const Credentials> CredentialStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::shared_ptr<const LoginKeys> CredentialStore::login_keys() const {
  const std::lock_guard lock(mutex_);
  return login_keys_;
}

}  // namespace millrace::net

#include "net/aws/credential_store.h"

namespace millrace::net {

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
  {
    const std::lock_guard lock(mutex_);
    current_.swap(credentials);
    epoch_.fetch_add(1, std::memory_order_release);
  }
  // What was in force is wiped here, outside of the lock.
}

std::shared_ptr<const Credentials> CredentialStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

}  // namespace millrace::net

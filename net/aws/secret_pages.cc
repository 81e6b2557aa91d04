#include "net/aws/secret_pages.h"

#include <cstring>
#include <sys/mman.h>

#include <openssl/crypto.h>

#include "base/assert.h"

namespace millrace::net {

SecretPages::~SecretPages() {
  if (pages_ == nullptr) return;
  OPENSSL_cleanse(pages_, size_);
  ::munmap(pages_, size_);
}

bool SecretPages::reserve(size_t bytes) {
  MR_ASSERT(pages_ == nullptr);
  constexpr size_t kPage = 4096;
  size_ = (bytes / kPage + 1) * kPage;
  void* pages = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return false;
  pages_ = static_cast<char*>(pages);
  ::madvise(pages_, size_, MADV_DONTDUMP);
  ::madvise(pages_, size_, MADV_DONTFORK);
  ::mlock(pages_, size_);  // RLIMIT_MEMLOCK may forbid it; then they may be swapped
  return true;
}

std::string_view SecretPages::keep(std::string_view secret) {
  MR_ASSERT(secret.size() <= size_ - used_);
  if (secret.empty()) return {};
  char* copy = pages_ + used_;
  std::memcpy(copy, secret.data(), secret.size());
  used_ += secret.size();
  return {copy, secret.size()};
}

}  // namespace millrace::net

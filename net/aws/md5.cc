#include "net/aws/md5.h"

#include <openssl/evp.h>

#include "base/assert.h"

namespace millrace::net {

std::array<char, 32> Digest::text() const {
  constexpr char kHex[] = "0123456789abcdef";
  std::array<char, 32> digits{};
  for (size_t i = 0; i < bytes.size(); ++i) {
    digits[2 * i] = kHex[bytes[i] >> 4];
    digits[2 * i + 1] = kHex[bytes[i] & 15];
  }
  return digits;
}

void Md5::Free::operator()(evp_md_st* algorithm) const {
  EVP_MD_free(algorithm);
}
void Md5::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

// "-fips": also where only approved algorithms are given by default. It guards against accidents.
Md5::Md5() : algorithm_(EVP_MD_fetch(nullptr, "MD5", "-fips")), context_(EVP_MD_CTX_new()) {
  MR_ASSERT(algorithm_ != nullptr && context_ != nullptr);
}

Md5::~Md5() = default;

Digest Md5::of(Bytes bytes) {
  begin();
  add(bytes);
  return end();
}

void Md5::begin() {
  MR_ASSERT(EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr) == 1);
}

void Md5::add(Bytes bytes) {
  MR_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Digest Md5::end() {
  Digest digest;
  unsigned int size = 0;
  MR_ASSERT(EVP_DigestFinal_ex(context_.get(), digest.bytes.data(), &size) == 1);
  MR_ASSERT(size == digest.bytes.size());
  return digest;
}

}  // namespace millrace::net

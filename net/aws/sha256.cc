#include "net/aws/sha256.h"

#include <cstring>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/assert.h"

namespace millrace::net {
namespace {

constexpr size_t kHmacBlock = 64;

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}
void Sha256::Free::operator()(evp_md_st* algorithm) const {
  EVP_MD_free(algorithm);
}

Sha256::Sha256()
    : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  MR_ASSERT(algorithm_ != nullptr && context_ != nullptr);
}

Sha256::~Sha256() = default;

void Sha256::begin() {
  MR_ASSERT(EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr) == 1);
}

void Sha256::add(std::string_view bytes) {
  MR_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256::end() {
  Sha256Digest digest;
  unsigned size = 0;
  MR_ASSERT(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
  MR_ASSERT(size == digest.size());
  return digest;
}

Sha256Digest Sha256::hmac(std::span<const uint8_t> key, std::string_view text) {
  std::array<uint8_t, kHmacBlock> block{};
  if (key.size() > kHmacBlock) {
    const Sha256Digest shorter = of({reinterpret_cast<const char*>(key.data()), key.size()});
    std::memcpy(block.data(), shorter.data(), shorter.size());
  } else if (!key.empty()) {
    std::memcpy(block.data(), key.data(), key.size());
  }
  const std::string_view block_text(reinterpret_cast<const char*>(block.data()), block.size());
  for (uint8_t& byte : block)
    byte ^= 0x36;
  begin();
  add(block_text);
  add(text);
  const Sha256Digest inner = end();
  for (uint8_t& byte : block)
    byte ^= 0x36 ^ 0x5c;
  begin();
  add(block_text);
  add({reinterpret_cast<const char*>(inner.data()), inner.size()});
  OPENSSL_cleanse(block.data(), block.size());
  return end();
}

std::array<char, 64> hex_of(const Sha256Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 64> hex;
  for (size_t i = 0; i < digest.size(); ++i) {
    hex[2 * i] = kDigits[digest[i] >> 4];
    hex[2 * i + 1] = kDigits[digest[i] & 15];
  }
  return hex;
}

}  // namespace millrace::net

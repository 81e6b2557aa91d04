#include "net/tls/tls_certificate.h"

#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "net/private_file.h"

namespace millrace::net {
namespace {

constexpr size_t kKeyBytesMax = 64u << 10;
constexpr const char* kSuites12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

// What OpenSSL says of the failure that the others followed from; all are then forgotten.
std::string openssl_reason() {
  const unsigned long error = ERR_peek_error();
  const char* reason = error == 0                ? nullptr
                       : ERR_SYSTEM_ERROR(error) ? std::strerror(ERR_GET_REASON(error))
                                                 : ERR_reason_error_string(error);
  ERR_clear_error();
  return reason == nullptr ? "it is not in the form" : reason;
}

// A key with a passphrase is refused, not asked for on somebody's terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

std::unique_ptr<EVP_PKEY, FreeKey> read_key(const std::string& path, std::string* why) {
  std::optional<std::string> text = read_private_file(path, kKeyBytesMax, why, Links::followed);
  if (!text) return nullptr;
  const std::unique_ptr<BIO, FreeBio> bio(
      BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  std::unique_ptr<EVP_PKEY, FreeKey> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  OPENSSL_cleanse(text->data(), text->size());
  if (key == nullptr) *why = fmt::format("{}: {}", path, openssl_reason());
  return key;
}

}  // namespace

bool TlsCertificate::reload(std::string* why) {
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) {
    *why = openssl_reason();
    return false;
  }
  SSL_CTX* const c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(
      c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(c, SSL_VERIFY_NONE, nullptr);
  constexpr unsigned char kSessionContext[] = "millrace";
  if (SSL_CTX_set_cipher_list(c, kSuites12) != 1 ||
      SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") != 1 ||
      SSL_CTX_set_session_id_context(c, kSessionContext, sizeof kSessionContext - 1) != 1) {
    *why = openssl_reason();
    return false;
  }
  if (SSL_CTX_use_certificate_chain_file(c, certificate_path_.c_str()) != 1) {
    *why = fmt::format("{}: {}", certificate_path_, openssl_reason());
    return false;
  }
  const auto key = read_key(key_path_, why);
  if (key == nullptr) return false;
  if (SSL_CTX_use_PrivateKey(c, key.get()) != 1 || SSL_CTX_check_private_key(c) != 1) {
    *why =
        fmt::format("{} is not the key of {}: {}", key_path_, certificate_path_, openssl_reason());
    return false;
  }
  std::shared_ptr<SSL_CTX> made(std::move(context));
  const std::lock_guard lock(mutex_);
  current_.swap(made);
  return true;
}

std::shared_ptr<ssl_ctx_st> TlsCertificate::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

}  // namespace millrace::net

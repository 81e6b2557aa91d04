// A self-signed certificate and its key, made when a test asks, as PEM files.
#pragma once

#include <memory>
#include <string>
#include <sys/stat.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/support/temporary_directory.h"

namespace millrace::net::test {

class TestCertificate {
 public:
  explicit TestCertificate(const std::string& name = "localhost", bool rsa = false,
                           const char* passphrase = nullptr)
      : certificate(directory_ / "certificate.pem"), key(directory_ / "key.pem") {
    write(name, rsa, passphrase);
  }

  // Others in their place.
  void write(const std::string& name, bool rsa = false, const char* passphrase = nullptr) {
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> made(
        rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, void (*)(X509*)> x509(X509_new(), X509_free);
    X509_set_version(x509.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509.get()), 86400);
    X509_set_pubkey(x509.get(), made.get());
    X509_NAME* subject = X509_get_subject_name(x509.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509.get(), subject);
    X509_sign(x509.get(), made.get(), EVP_sha256());
    save(certificate, [&](BIO* bio) { PEM_write_bio_X509(bio, x509.get()); });
    save(key, [&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, made.get(), passphrase != nullptr ? EVP_aes_128_cbc() : nullptr,
                               nullptr, 0, nullptr, const_cast<char*>(passphrase));
    });
    ::chmod(key.c_str(), 0600);
  }

 private:
  TemporaryDirectory directory_;

  template <class Write>
  static void save(const std::string& path, Write write) {
    BIO* bio = BIO_new_file(path.c_str(), "w");
    write(bio);
    BIO_free(bio);
  }

 public:
  const std::string certificate;
  const std::string key;
};

}  // namespace millrace::net::test

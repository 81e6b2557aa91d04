#include "net/topics/signing_key.h"

#include <array>
#include <vector>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/assert.h"
#include "net/aws/base64.h"
#include "net/aws/sha256.h"

namespace millrace::net::topics {
namespace {

constexpr unsigned kKeyBits = 2'048;
constexpr uint64_t kFileBytesMax = 64u << 10;
constexpr std::string_view kUnfinishedFile = "keys/sns-signing.new";
// A checker has nobody to ask whether it was renewed.
constexpr long kCertificateSeconds = 100L * 365 * 86'400;

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Certificate = std::unique_ptr<X509, void (*)(X509*)>;
using Memory = std::unique_ptr<BIO, int (*)(BIO*)>;

Memory memory() {
  return {BIO_new(BIO_s_mem()), BIO_free};
}
Memory memory_of(std::string_view text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}
std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

std::string pem_of(X509* certificate) {
  const Memory bio = memory();
  MR_ASSERT(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return text_of(bio.get());
}

std::string self_signed(EVP_PKEY* key) {
  const Certificate made(X509_new(), X509_free);
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -86'400);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), kCertificateSeconds);
  X509_set_pubkey(made.get(), key);
  X509_NAME* const name = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("Millrace notifications"), -1,
                             -1, 0);
  X509_set_issuer_name(made.get(), name);
  MR_ASSERT(X509_sign(made.get(), key, EVP_sha256()) > 0);
  return pem_of(made.get());
}

}  // namespace

SigningKey::SigningKey(std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key, std::string certificate)
    : key_(std::move(key)), certificate_(std::move(certificate)) {
  constexpr size_t kIdDigits = 32;
  const auto digits = hex_of(Sha256().of(certificate_));
  path_ = "/SimpleNotificationService-";
  path_.append(view_of(digits).substr(0, kIdDigits)).append(".pem");
}

SigningKey::~SigningKey() = default;

std::unique_ptr<SigningKey> SigningKey::make() {
  Key key(EVP_RSA_gen(kKeyBits), EVP_PKEY_free);
  MR_ASSERT(key != nullptr);
  std::string certificate = self_signed(key.get());
  return std::unique_ptr<SigningKey>(new SigningKey(std::move(key), std::move(certificate)));
}

std::unique_ptr<SigningKey> SigningKey::read(storage::Disk& disk, std::string* why) {
  why->clear();
  const auto refuse = [why](std::string_view text) {
    *why = fmt::format("{}: {}", kFile, text);
    return nullptr;
  };
  const auto file = disk.open(kFile, storage::OpenMode::read_only);
  if (!file && file.error() == Errc::not_found) return nullptr;
  if (!file) return refuse(errc_text(file.error()));
  std::string pem;
  const auto size = disk.size(*file);
  if (size && *size <= kFileBytesMax) {
    pem.resize(*size);
    const auto got = disk.read(*file, 0, std::as_writable_bytes(std::span(pem)));
    pem.resize(got ? *got : 0);
  }
  disk.close(*file);
  const Memory bio = memory_of(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  OPENSSL_cleanse(pem.data(), pem.size());
  if (key == nullptr || certificate == nullptr || EVP_PKEY_is_a(key.get(), "RSA") != 1 ||
      X509_check_private_key(certificate.get(), key.get()) != 1)
    return refuse("it has no RSA key with its certificate behind it");
  return std::unique_ptr<SigningKey>(new SigningKey(std::move(key), pem_of(certificate.get())));
}

Status SigningKey::keep(storage::Disk& disk) const {
  const Memory bio = memory();
  MR_ASSERT(
      PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  std::string pem = text_of(bio.get()) + certificate_;
  const auto write = [&]() -> Status {
    if (const auto made = disk.make_directory(kFolder); !made) return made;
    // Of a start that did not get so far.
    if (const auto gone = disk.remove(kUnfinishedFile); !gone && gone.error() != Errc::not_found)
      return gone;
    const auto file = disk.open(kUnfinishedFile, storage::OpenMode::create_new);
    if (!file) return fail(file.error());
    const std::array<Bytes, 1> parts{as_bytes(pem)};
    Status done = disk.write(*file, 0, parts);
    if (done) done = disk.sync(*file);
    disk.close(*file);
    if (done) done = disk.rename(kUnfinishedFile, kFile);
    return done ? disk.sync_directory(kFolder) : done;
  };
  const Status written = write();
  OPENSSL_cleanse(pem.data(), pem.size());
  return written;
}

std::string SigningKey::sign(std::string_view text, std::string_view version) const {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  const EVP_MD* const digest = version == "2" ? EVP_sha256() : EVP_sha1();
  const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::vector<unsigned char> signature(static_cast<size_t>(EVP_PKEY_get_size(key_.get())));
  size_t size = signature.size();
  MR_ASSERT(EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) == 1);
  MR_ASSERT(EVP_DigestSign(context.get(), signature.data(), &size, bytes, text.size()) == 1);
  std::string base64;
  append_base64(base64, std::as_bytes(std::span(signature).first(size)));
  return base64;
}

}  // namespace millrace::net::topics

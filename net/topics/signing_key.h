// SigningKey: the key that signs notifications, and its certificate: RSA, 2048 bits, self-signed.
//
// Kept in keys/sns-signing.pem of the data directory, for its owner only; made when it is first
// wanted. Whoever checks a signature asks the server for the certificate, by the URL that stands in
// the notification.
//
// Threads: immutable once made; sign() by any.   Memory: some 10 KiB.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/data_directory.h"
#include "storage/disk.h"

struct evp_pkey_st;

namespace millrace::net::topics {

class SigningKey {
 public:
  static constexpr std::string_view kFolder = engine::kKeysDirectory;
  static constexpr std::string_view kFile = "keys/sns-signing.pem";

  // The one that is kept. Null with an empty `why`: there is none yet; else it cannot be used.
  static std::unique_ptr<SigningKey> read(storage::Disk& disk, std::string* why);
  // A new one, which takes a tenth of a second, and is not kept yet.
  static std::unique_ptr<SigningKey> make();
  // Durable on return.
  Status keep(storage::Disk& disk) const;

  ~SigningKey();
  SigningKey(const SigningKey&) = delete;
  SigningKey& operator=(const SigningKey&) = delete;

  // In base64. Half a millisecond. `version` as a topic's SignatureVersion: "1" is SHA-1, "2"
  // SHA-256.
  std::string sign(std::string_view text, std::string_view version) const;

  const std::string& certificate() const { return certificate_; }  // PEM
  const std::string& path() const { return path_; }  // "/SimpleNotificationService-....pem"

 private:
  SigningKey(std::unique_ptr<evp_pkey_st, void (*)(evp_pkey_st*)> key, std::string certificate);

  const std::unique_ptr<evp_pkey_st, void (*)(evp_pkey_st*)> key_;
  const std::string certificate_;
  std::string path_;
};

}  // namespace millrace::net::topics

// TlsCertificate: the certificate and the key that the server shows, and how others take their
// place.
//
// TLS 1.2 and 1.3, with forward secrecy and authenticated encryption only; no compression, no
// renegotiation; sessions resume by tickets. Connections that are open keep what they began with; a
// reload is for those that come. Threads: any; reload() from one at a time.
#pragma once

#include <memory>
#include <mutex>
#include <string>

struct ssl_ctx_st;

namespace millrace::net {

class TlsCertificate {
 public:
  // PEM files: the certificate with the chain behind it, and the key, which must be for its owner
  // only (net/private_file.h).
  TlsCertificate(std::string certificate_path, std::string key_path)
      : certificate_path_(std::move(certificate_path)), key_path_(std::move(key_path)) {}

  // Reads both files. False, with one line in `why`, if they cannot be used: what was in force
  // stays.
  bool reload(std::string* why);
  // Null until there is one.
  std::shared_ptr<ssl_ctx_st> current() const;

 private:
  const std::string certificate_path_;
  const std::string key_path_;
  mutable std::mutex mutex_;
  std::shared_ptr<ssl_ctx_st> current_;
};

}  // namespace millrace::net

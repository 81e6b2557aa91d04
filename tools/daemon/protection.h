// Protection: what keeps strangers out: the credentials and the certificate, read at start and
// again on SIGHUP.
//
// What cannot be read again changes nothing: what was in force stays, and the log says why.
// Threads: one; what it hands out is for all.
#pragma once

#include <memory>
#include <string>

#include "net/aws/credential_store.h"
#include "net/server.h"
#include "net/tls/tls_certificate.h"
#include "tools/daemon/settings.h"

namespace millrace::tools {

class Protection {
 public:
  // Reads the files that the settings name. False, with one line in `why`, if one cannot be used.
  bool load(const Settings& settings, std::string* why);
  // Opens the audit log again, too, which may be null, and tells it what became of the others.
  void reload(net::AuditLog* audit);

  // Null without --credentials.
  std::shared_ptr<const net::CredentialStore> credentials() const { return credentials_; }
  // Fills in what the server has to know of it.
  void apply(net::ServerOptions& options) const;

 private:
  std::string account_;
  std::string region_;
  std::shared_ptr<net::CredentialStore> credentials_;
  std::shared_ptr<net::TlsCertificate> certificate_;
};

}  // namespace millrace::tools

#include "tools/daemon/protection.h"

#include "base/log_line.h"

namespace millrace::tools {
namespace {

using base::LogLevel;

}  // namespace

bool Protection::load(const Settings& settings, std::string* why) {
  if (settings.tls_certificate.empty() != settings.tls_key.empty()) {
    *why = "--tls-cert and --tls-key go together: one of them is missing";
    return false;
  }
  if (!settings.credentials.empty()) {
    credentials_ =
        std::make_shared<net::CredentialStore>(settings.credentials, settings.sqs.account);
    if (!credentials_->reload(why)) {
      *why = "--credentials " + *why;
      return false;
    }
  }
  if (settings.tls_certificate.empty()) return true;
  certificate_ = std::make_shared<net::TlsCertificate>(settings.tls_certificate, settings.tls_key);
  if (certificate_->reload(why)) return true;
  *why = "TLS: " + *why;
  return false;
}

void Protection::reload() {
  std::string why;
  if (credentials_ != nullptr) {
    if (credentials_->reload(&why))
      base::log_line(LogLevel::info, "server", "SIGHUP: {} access keys are in force",
                     credentials_->current()->key_count());
    else
      base::log_line(LogLevel::error, "server", "SIGHUP: the credentials stay as they were: {}",
                     why);
  }
  if (certificate_ != nullptr) {
    if (certificate_->reload(&why))
      base::log_line(LogLevel::info, "server", "SIGHUP: new connections get the new certificate");
    else
      base::log_line(LogLevel::error, "server", "SIGHUP: the certificate stays as it was: {}", why);
  }
  if (credentials_ == nullptr && certificate_ == nullptr)
    base::log_line(LogLevel::info, "server", "SIGHUP: there are no credentials or certificates");
}

void Protection::apply(net::ServerOptions& options) const {
  options.tls = certificate_;
  options.http_authenticated =
      credentials_ != nullptr && credentials_->current()->mode() == net::AuthMode::strict;
}

}  // namespace millrace::tools

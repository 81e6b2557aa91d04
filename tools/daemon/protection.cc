#include "tools/daemon/protection.h"

#include <fmt/format.h>

#include "base/log_line.h"
#include "base/os_clock.h"
#include "net/aws/key_gatekeeper.h"

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
    account_ = settings.sqs.account;
    region_ = settings.sqs.region;
    if (settings.listen != "off") credentials_->serve_logins();
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

void Protection::reload(net::AuditLog* audit) {
  if (credentials_ == nullptr && certificate_ == nullptr && audit == nullptr)
    base::log_line(LogLevel::info, "server", "SIGHUP: there is nothing to read again");
  std::string why;
  const auto tell = [audit, &why](bool done, std::string_view what, const std::string& news) {
    if (done)
      base::log_line(LogLevel::info, "server", "SIGHUP: {}", news);
    else
      base::log_line(LogLevel::error, "server", "SIGHUP: the {}: {}", what, why);
    net::record(audit, {.event = net::AuditEvent::settings_reread,
                        .via = "server",
                        .result = done ? "ok" : "refused",
                        .reason = done ? news : why});
  };
  // First, so that the others are told in the new one.
  if (audit != nullptr)
    tell(audit->reopen(&why), "audit log goes on in the old file", "the audit log is opened again");
  if (credentials_ != nullptr) {
    const bool done = credentials_->reload(&why);
    tell(done, "credentials stay as they were",
         fmt::format("{} access keys are in force", credentials_->current()->key_count()));
  }
  if (certificate_ != nullptr)
    tell(certificate_->reload(&why), "certificate stays as it was",
         "new connections get the new certificate");
}

void Protection::apply(net::ServerOptions& options) const {
  options.tls = certificate_;
  options.authenticated =
      credentials_ != nullptr && credentials_->current()->mode() == net::AuthMode::strict;
  if (credentials_ == nullptr) return;
  options.gatekeepers = [store = credentials_, account = account_, region = region_] {
    return std::make_unique<net::KeyGatekeeper>(
        store, account, region, +[] { return base::os_wall_ms() / 1000; });
  };
}

}  // namespace millrace::tools

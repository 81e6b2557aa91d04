// SnsSettings: what the server was told about its SNS; SnsShared: what the shards' fronts know
// together.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/audit/audit_log.h"
#include "net/http/request_figures.h"
#include "net/topics/publish_figures.h"
#include "net/topics/signer.h"

namespace millrace::net::sns {

// All of SNS's actions, and "unknown".
std::vector<std::string_view> action_names();

struct SnsSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";  // where a request's signature names none
  std::string advertise{};           // base of links in notifications; empty: as the Host says
  // Endpoints that nothing is ever delivered to (email, sms, lambda, ...) may be subscribed.
  bool accept_undeliverable = false;
  AuditLog* audit = nullptr;  // null: there is none
};

// Threads: any.
class SnsShared {
 public:
  explicit SnsShared(std::unique_ptr<topics::Signer> signer) : signer_(std::move(signer)) {}

  topics::Signer& signer() { return *signer_; }
  topics::PublishFigures& publishes() { return publishes_; }
  // By the table of actions, and behind it what names none of them.
  RequestFigures& requests() { return requests_; }

 private:
  const std::unique_ptr<topics::Signer> signer_;
  topics::PublishFigures publishes_;
  RequestFigures requests_{action_names()};
};

}  // namespace millrace::net::sns

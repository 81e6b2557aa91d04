// SnsSettings: what the server was told about its SNS; SnsShared: what the shards' fronts know
// together.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/audit/audit_log.h"
#include "net/delivery/poster.h"
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
  uint16_t shards = 1;
  AuditLog* audit = nullptr;  // null: there is none
};

// Threads: any.
class SnsShared {
 public:
  // `poster`: null if nothing is delivered outside.
  explicit SnsShared(std::unique_ptr<topics::Signer> signer,
                     std::unique_ptr<delivery::Poster> poster = nullptr)
      : signer_(std::move(signer)), poster_(std::move(poster)) {}

  topics::Signer& signer() { return *signer_; }
  delivery::Poster* poster() { return poster_.get(); }
  topics::PublishFigures& publishes() { return publishes_; }
  // By the table of actions, and behind it what names none of them.
  RequestFigures& requests() { return requests_; }

 private:
  const std::unique_ptr<topics::Signer> signer_;
  const std::unique_ptr<delivery::Poster> poster_;
  topics::PublishFigures publishes_;
  RequestFigures requests_{action_names()};
};

}  // namespace millrace::net::sns

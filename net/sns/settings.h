// SnsSettings: what the server was told about its SNS; SnsShared: what the shards' fronts know
// together.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/audit/audit_log.h"
#include "net/http/request_figures.h"

namespace millrace::net::sns {

// All of SNS's actions, and "unknown".
std::vector<std::string_view> action_names();

struct SnsSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";  // where a request's signature names none
  // Endpoints that nothing is ever delivered to (email, sms, lambda, ...) may be subscribed.
  bool accept_undeliverable = false;
  AuditLog* audit = nullptr;  // null: there is none
};

// Threads: any.
class SnsShared {
 public:
  // By the table of actions, and behind it what names none of them.
  RequestFigures& requests() { return requests_; }

 private:
  RequestFigures requests_{action_names()};
};

}  // namespace millrace::net::sns

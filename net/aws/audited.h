// Audited: what the audit log will be told of a request, once it is known what became of it.
//
// Only of those that change something or are refused for who asks: all others have none.
#pragma once

#include <string>

#include "net/audit/audit_log.h"

namespace millrace::net {

struct Audited {
  AuditEvent event{};
  std::string from;
  std::string who;
  std::string key;
  std::string action;
  std::string queue;
  std::string topic;
};

}  // namespace millrace::net

// AdminNotes: what the audit log is to be told of the changes that one connection has asked for,
// once it is known what became of them.
//
// Threads: shard-local.   Memory: some 100 bytes a change under way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/audit/audit_log.h"

namespace millrace::net {

struct AdminNote {
  uint64_t token = 0;  // of the request
  AuditEvent event{};
  std::string_view action;  // one of ours
  std::string queue;
  std::string topic;
};

class AdminNotes {
 public:
  void add(AdminNote note) { notes_.push_back(std::move(note)); }
  bool empty() const { return notes_.empty(); }
  // False: there is none of this request.
  bool take(uint64_t token, AdminNote* note) {
    for (AdminNote& one : notes_) {
      if (one.token != token) continue;
      *note = std::move(one);
      one = std::move(notes_.back());
      notes_.pop_back();
      return true;
    }
    return false;
  }
  std::vector<AdminNote> take_all() { return std::exchange(notes_, {}); }

 private:
  std::vector<AdminNote> notes_;
};

}  // namespace millrace::net

// SqsSettings: what the server was told about its SQS; SqsShared: what the shards' fronts know
// together.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "millrace/types.h"
#include "net/audit/audit_log.h"
#include "net/holders.h"
#include "net/http/request_figures.h"

namespace millrace::net::sqs {

// All of SQS's actions, and "unknown".
std::vector<std::string_view> action_names();

struct SqsSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";  // where a request's signature names none
  std::string advertise{};           // base of queue URLs; empty: as the request's Host says
  int64_t purge_wait_ms = 60'000;    // between two purges of a queue
  uint16_t shards = 1;               // of the broker
  int64_t recreate_wait_ms = 0;      // from a queue's deletion to another of its name; SQS: 60 s
  Holders* holders = nullptr;        // told who receives; null: nobody asks
  AuditLog* audit = nullptr;         // null: there is none
};

// When queues were purged and deleted. A restart forgets it: it only keeps clients to habits that
// they need elsewhere.
//
// Threads: any. Never asked on the path of a message.   Memory: one entry a queue purged in the
// last wait, and a name deleted in it.
class SqsShared {
 public:
  // True, and noted, if the last purge was longer ago.
  bool try_purge(QueueId queue, TimeMs now, int64_t wait_ms);
  void note_deleted(std::string_view name, TimeMs now, int64_t wait_ms);
  bool deleted_lately(std::string_view name, TimeMs now, int64_t wait_ms);
  void forget();
  // By the table of actions, and behind it what names none of them.
  RequestFigures& requests() { return requests_; }

 private:
  RequestFigures requests_{action_names()};
  std::mutex mutex_;
  std::unordered_map<uint32_t, TimeMs> purged_;
  std::unordered_map<std::string, TimeMs> deleted_;
};

}  // namespace millrace::net::sqs

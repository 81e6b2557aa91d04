// HttpFronts: who answers the paths of the HTTP port, besides health: SQS, and what --test-api
// adds.
//
// Outlives the server. Threads: add() is called once on each shard's; what the shards share is in
// SqsShared.
#pragma once

#include "millrace/engine.h"
#include "net/http/router.h"
#include "net/sqs/settings.h"
#include "tools/daemon/settings.h"

namespace millrace::tools {

class HttpFronts {
 public:
  explicit HttpFronts(const Settings& settings) : settings_(settings) {}
  // The fronts of one shard.
  void add(ShardPort& port, net::HttpRouter& router);

 private:
  const Settings& settings_;
  net::sqs::SqsShared sqs_shared_;
};

}  // namespace millrace::tools

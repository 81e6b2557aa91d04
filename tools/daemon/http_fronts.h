// HttpFronts: who answers the paths of the HTTP port, besides health: SQS, and what --test-api
// adds.
//
// Outlives the server. Threads: add() is called once on each shard's; what the shards share is in
// SqsShared.
#pragma once

#include <memory>
#include <utility>

#include "millrace/engine.h"
#include "net/aws/authorizer.h"
#include "net/aws/credential_store.h"
#include "net/http/router.h"
#include "net/sqs/settings.h"
#include "tools/daemon/settings.h"

namespace millrace::tools {

class HttpFronts {
 public:
  // Without credentials anything is accepted.
  HttpFronts(const Settings& settings, std::shared_ptr<const net::CredentialStore> credentials,
             uint16_t shards)
      : settings_(settings), sqs_(settings.sqs), credentials_(std::move(credentials)) {
    sqs_.shards = shards;
  }
  // The fronts of one shard.
  void add(ShardPort& port, net::HttpRouter& router);
  const net::RequestFigures& requests() { return sqs_shared_.requests(); }

 private:
  std::unique_ptr<net::Authorizer> make_authorizer() const;

  const Settings& settings_;
  net::sqs::SqsSettings sqs_;
  const std::shared_ptr<const net::CredentialStore> credentials_;
  net::sqs::SqsShared sqs_shared_;
};

}  // namespace millrace::tools

// HttpFronts: who answers the paths of the HTTP port, besides health: SQS and SNS, and what
// --test-api adds; and what the binary protocol shares with SNS.
//
// Outlives the server. Threads: add() is called once on each shard's; what the shards share is in
// SqsShared and SnsShared.
#pragma once

#include <memory>
#include <utility>

#include "millrace/engine.h"
#include "net/aws/authorizer.h"
#include "net/aws/credential_store.h"
#include "net/binary/topic_desk.h"
#include "net/holders.h"
#include "net/http/router.h"
#include "net/protocol.h"
#include "net/sns/settings.h"
#include "net/sqs/settings.h"
#include "tools/daemon/settings.h"

namespace millrace::tools {

class HttpFronts {
 public:
  // Without credentials anything is accepted. `audit` may be null.
  HttpFronts(const Settings& settings, std::shared_ptr<const net::CredentialStore> credentials,
             std::shared_ptr<net::Holders> holders, net::AuditLog* audit, uint16_t shards,
             std::unique_ptr<net::topics::Signer> signer)
      : settings_(settings),
        sqs_(settings.sqs),
        sns_(settings.sns),
        credentials_(std::move(credentials)),
        holders_(std::move(holders)),
        sns_shared_(std::move(signer), make_poster(settings)) {
    sqs_.shards = shards;
    sqs_.holders = holders_.get();
    sqs_.audit = audit;
    sns_.account = sqs_.account;
    sns_.region = sqs_.region;
    sns_.advertise = sqs_.advertise;
    sns_.audit = audit;
    sns_.shards = shards;
  }
  // The fronts of one shard.
  void add(ShardPort& port, net::HttpRouter& router);
  // What its binary listener publishes with. `http`: where this port was bound, or "off".
  std::unique_ptr<net::TopicDesk> make_desk(const net::ShardSetting& shard,
                                            const std::string& http);
  const net::RequestFigures& sqs_requests() { return sqs_shared_.requests(); }
  const net::RequestFigures& sns_requests() { return sns_shared_.requests(); }
  const net::topics::PublishFigures& publishes() { return sns_shared_.publishes(); }

 private:
  std::unique_ptr<net::Authorizer> make_authorizer() const;
  // Null: nothing is delivered outside.
  static std::unique_ptr<net::delivery::Poster> make_poster(const Settings& settings);

  const Settings& settings_;
  net::sqs::SqsSettings sqs_;
  net::sns::SnsSettings sns_;
  const std::shared_ptr<const net::CredentialStore> credentials_;
  const std::shared_ptr<net::Holders> holders_;
  net::sqs::SqsShared sqs_shared_;
  net::sns::SnsShared sns_shared_;
};

}  // namespace millrace::tools

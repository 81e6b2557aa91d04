// BinaryProtocol: begins the sessions of a shard's binary listener.
#pragma once

#include <memory>

#include "net/binary/session.h"
#include "net/protocol.h"

namespace millrace::net {

class BinaryProtocol final : public Protocol {
 public:
  BinaryProtocol(const ShardSetting& shard, uint16_t shards, Durability durability)
      : setting_{.port = shard.port,
                 .pool = shard.pool,
                 .host = shard.host,
                 .holders = shard.holders,
                 .limits = shard.limits,
                 .shards = shards,
                 .durability = durability} {}

  std::unique_ptr<Conversation> begin(uint32_t id, const Peer& peer) override {
    return std::make_unique<Session>(setting_, id, peer);
  }
  bool trusts(const Peer& peer) const override { return peer.local; }

 private:
  const SessionSetting setting_;
};

}  // namespace millrace::net

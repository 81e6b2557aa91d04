// BinaryProtocol: begins the sessions of a shard's binary listener.
#pragma once

#include <memory>
#include <utility>

#include "net/binary/session.h"
#include "net/protocol.h"

namespace millrace::net {

class BinaryProtocol final : public Protocol {
 public:
  // `gatekeeper` may be null: there are no credentials; so may `topics`: there are none.
  BinaryProtocol(const ShardSetting& shard, uint16_t shards, Durability durability,
                 std::unique_ptr<Gatekeeper> gatekeeper, std::unique_ptr<TopicDesk> topics)
      : gatekeeper_(std::move(gatekeeper)),
        topics_(std::move(topics)),
        setting_{.port = shard.port,
                 .pool = shard.pool,
                 .host = shard.host,
                 .holders = shard.holders,
                 .gatekeeper = gatekeeper_.get(),
                 .topics = topics_.get(),
                 .audit = shard.audit,
                 .secure = shard.secure,
                 .limits = shard.limits,
                 .shards = shards,
                 .durability = durability} {}

  std::unique_ptr<Conversation> begin(uint32_t id, const Peer& peer) override {
    return std::make_unique<Session>(setting_, id, peer);
  }
  bool trusts(const Peer& peer) const override { return peer.local; }
  uint32_t bytes_each() const override { return 1'024; }
  void turn() override {
    if (topics_ != nullptr) topics_->turn();
  }

 private:
  const std::unique_ptr<Gatekeeper> gatekeeper_;
  const std::unique_ptr<TopicDesk> topics_;
  const SessionSetting setting_;
};

}  // namespace millrace::net

// HttpProtocol: begins the sessions of a shard's HTTP listener, and has what they share: the
// parser, the fronts by path.
//
// A peer on this machine counts as logged in from the start: many clients open more connections at
// once than an unknown address may have. Others count once their first request has come.
#pragma once

#include <memory>

#include "net/http/session.h"
#include "net/protocol.h"
#include "net/stop_gate.h"

namespace millrace::net {

class HttpProtocol final : public Protocol {
 public:
  HttpProtocol(const ShardSetting& shard, const StopGate& gate);
  HttpProtocol(const HttpProtocol&) = delete;
  HttpProtocol& operator=(const HttpProtocol&) = delete;

  HttpRouter& router() { return router_; }
  std::unique_ptr<Conversation> begin(uint32_t id, const Peer& peer) override;
  bool trusts(const Peer& peer) const override { return peer.local || peer.loopback(); }
  uint32_t bytes_each() const override { return 2'048; }
  void turn() override { router_.turn(); }

 private:
  HttpRouter router_;
  RequestParser parser_;
  ResponseHead head_;
  const HttpSetting setting_;
};

}  // namespace millrace::net

// TlsProtocol: another protocol, spoken through TLS.
#pragma once

#include <memory>

#include "net/protocol.h"
#include "net/tls/tls_certificate.h"
#include "net/tls/tls_conversation.h"

namespace millrace::net {

class TlsProtocol final : public Protocol {
 public:
  TlsProtocol(const ShardSetting& shard, std::shared_ptr<const TlsCertificate> certificate,
              const ProtocolMaker& make_inner);
  TlsProtocol(const TlsProtocol&) = delete;
  TlsProtocol& operator=(const TlsProtocol&) = delete;

  std::unique_ptr<Conversation> begin(uint32_t id, const Peer& peer) override;
  bool trusts(const Peer& peer) const override { return inner_->trusts(peer); }
  uint32_t bytes_each() const override { return inner_->bytes_each() + kTlsBytes; }
  void turn() override { inner_->turn(); }

 private:
  static constexpr uint32_t kTlsBytes = 24u << 10;  // OpenSSL's, of a session that has begun

  const std::shared_ptr<const TlsCertificate> certificate_;
  const std::unique_ptr<Protocol> inner_;
  Buffer plain_;
  const TlsSetting setting_;
};

}  // namespace millrace::net

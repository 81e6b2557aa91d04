#include "net/tls/tls_protocol.h"

#include <openssl/ssl.h>

#include "base/assert.h"

namespace millrace::net {
namespace {

ShardSetting secured(ShardSetting shard) {
  shard.secure = true;
  return shard;
}

}  // namespace

TlsProtocol::TlsProtocol(const ShardSetting& shard,
                         std::shared_ptr<const TlsCertificate> certificate,
                         const ProtocolMaker& make_inner)
    : certificate_(std::move(certificate)),
      inner_(make_inner(secured(shard))),
      plain_(shard.pool->take(SSL3_RT_MAX_PLAIN_LENGTH + kReceivePadding)),
      setting_{.shard = shard,
               .plain = {plain_.data.get(), SSL3_RT_MAX_PLAIN_LENGTH + kReceivePadding}} {}

std::unique_ptr<Conversation> TlsProtocol::begin(uint32_t id, const Peer& peer) {
  // The SSL counts itself in as a user of its context.
  SSL* ssl = SSL_new(certificate_->current().get());
  MR_ASSERT(ssl != nullptr);
  return std::make_unique<TlsConversation>(setting_, ssl, inner_->begin(id, peer));
}

}  // namespace millrace::net

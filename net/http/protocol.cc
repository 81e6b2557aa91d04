#include "net/http/protocol.h"

#include "net/http/health_front.h"

namespace millrace::net {

HttpProtocol::HttpProtocol(const ShardSetting& shard, const StopGate& gate)
    : parser_(shard.limits),
      setting_{.shard = shard, .router = &router_, .parser = &parser_, .head = &head_} {
  router_.use_waker(shard.wake);
  HttpFront& health = router_.own(std::make_unique<HealthFront>(*shard.port, gate));
  router_.add(std::string(HealthFront::kAlive), health);
  router_.add(std::string(HealthFront::kReady), health);
}

std::unique_ptr<Conversation> HttpProtocol::begin(uint32_t id, const Peer& peer) {
  return std::make_unique<HttpSession>(setting_, id, peer.text());
}

}  // namespace millrace::net

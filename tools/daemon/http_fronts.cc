#include "tools/daemon/http_fronts.h"

#include <memory>
#include <random>
#include <string>

#include "net/aws/allow_all.h"
#include "net/http/echo_front.h"
#include "net/sqs/sqs_front.h"

namespace millrace::tools {

void HttpFronts::add(ShardPort& port, net::HttpRouter& router) {
  if (settings_.test_api)
    router.add(std::string(net::kEchoPath), router.own(std::make_unique<net::EchoFront>()));
  auto authorizer = std::make_unique<net::AllowAll>(settings_.sqs.account, settings_.sqs.region);
  std::random_device entropy;
  const uint64_t seed = uint64_t{entropy()} << 32 | entropy();
  router.add_for_others(router.own(std::make_unique<net::sqs::SqsFront>(
      port, std::move(authorizer), sqs_shared_, settings_.sqs, seed)));
}

}  // namespace millrace::tools

#include "tools/daemon/http_fronts.h"

#include <memory>
#include <random>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/os_clock.h"
#include "net/aws/allow_all.h"
#include "net/aws/key_authorizer.h"
#include "net/aws/sts_front.h"
#include "net/http/echo_front.h"
#include "net/http/fixed_front.h"
#include "net/http/reset_front.h"
#include "net/sns/sns_front.h"
#include "net/sqs/sqs_front.h"
#include "net/topics/publishing_desk.h"

namespace millrace::tools {
namespace {

// As scripts look for it, blanks and all.
constexpr const char* kLocalstackHealth =
    "{\"services\": {\"sns\": \"running\", \"sqs\": \"running\"}, \"edition\": \"millrace\", "
    "\"version\": "
    "\"" MILLRACE_VERSION "\"}\n";

}  // namespace

std::unique_ptr<net::Authorizer> HttpFronts::make_authorizer() const {
  if (credentials_ == nullptr) return std::make_unique<net::AllowAll>(sqs_.account, sqs_.region);
  return std::make_unique<net::KeyAuthorizer>(
      credentials_, sqs_.account, sqs_.region, +[] { return base::os_wall_ms() / 1000; });
}

std::unique_ptr<net::delivery::Poster> HttpFronts::make_poster(const Settings& settings) {
  if (settings.deliver_to.off()) return nullptr;
  return std::make_unique<net::delivery::Poster>(settings.deliver_to, settings.deliver_ca);
}

void HttpFronts::add(ShardPort& port, net::HttpRouter& router) {
  if (settings_.test_api) {
    router.add(std::string(net::kEchoPath), router.own(std::make_unique<net::EchoFront>()));
    net::HttpFront& reset = router.own(std::make_unique<net::ResetFront>(
        port, [this] { sqs_shared_.forget(); }, sqs_.audit));
    router.add(std::string(net::ResetFront::kPath), reset);
    router.add(std::string(net::ResetFront::kMotoPath), reset);
  }
  if (settings_.localstack)
    router.add("/_localstack/health", router.own(std::make_unique<net::FixedFront>(
                                          200, "application/json", kLocalstackHealth)));
  // Not SQS's, whatever it would say.
  net::HttpFront& nothing = router.own(
      std::make_unique<net::FixedFront>(404, "text/plain; charset=utf-8", "nothing is here\n"));
  for (const char* path : {"/_millrace/", "/moto-api/", "/_localstack/", "/_aws/"})
    router.add(path, nothing);
  std::random_device entropy;
  const auto seed = [&entropy] { return uint64_t{entropy()} << 32 | entropy(); };
  net::HttpFront& sqs = router.own(
      std::make_unique<net::sqs::SqsFront>(port, make_authorizer(), sqs_shared_, sqs_, seed()));
  auto made = std::make_unique<net::sns::SnsFront>(port, make_authorizer(), sqs, sns_shared_, sns_,
                                                   seed(), router.waker());
  router.add_turn([front = made.get()] { front->turn(); });
  net::HttpFront& sns = router.own(std::move(made));
  router.add_for_others(
      router.own(std::make_unique<net::StsFront>(make_authorizer(), sns, seed(), sqs_.audit)));
}

std::unique_ptr<net::TopicDesk> HttpFronts::make_desk(const net::ShardSetting& shard,
                                                      const std::string& http) {
  std::random_device entropy;
  std::string base_url = sns_.advertise;
  // Links lead to where SNS answers, if it does; else to where it would.
  if (base_url.empty())
    base_url = fmt::format(
        "{}://{}", settings_.tls_certificate.empty() ? "http" : "https",
        http.find(':') == std::string::npos || http.starts_with("unix:") ? "127.0.0.1:9324" : http);
  return std::make_unique<net::topics::PublishingDesk>(
      net::topics::DeskParts{.port = *shard.port,
                             .signer = sns_shared_.signer(),
                             .wake = shard.wake,
                             .authorizer = make_authorizer(),
                             .figures = &sns_shared_.publishes(),
                             .seed = uint64_t{entropy()} << 32 | entropy(),
                             .account = sns_.account,
                             .region = sns_.region,
                             .base_url = std::move(base_url),
                             .accept_undeliverable = sns_.accept_undeliverable});
}

}  // namespace millrace::tools

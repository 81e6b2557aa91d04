#include "net/topics/endpoint.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "engine/outbox.h"
#include "net/aws/arn.h"
#include "net/aws/error.h"

namespace millrace::net::topics {
namespace {

// Known to SNS, and nothing that this server can reach.
constexpr std::array<std::string_view, 6> kUndeliverable{"email",       "email-json", "sms",
                                                         "application", "lambda",     "firehose"};

}  // namespace

std::string protocol_fault(std::string_view protocol, bool outside, bool accept_undeliverable) {
  constexpr size_t kShownMax = 64;
  if (protocol == "sqs") return {};
  if (engine::is_outside(protocol)) {
    if (outside) return {};
    return fmt::format("Protocol Reason: this server does not deliver over {}; sqs it does",
                       protocol);
  }
  const bool known =
      std::find(kUndeliverable.begin(), kUndeliverable.end(), protocol) != kUndeliverable.end();
  if (known && accept_undeliverable) return {};
  return fmt::format("Amazon SNS does not support this protocol string: {}",
                     shown(protocol, kShownMax));
}

std::string_view queue_of(std::string_view endpoint, std::string_view account) {
  const auto arn = parse_arn(endpoint);
  if (!arn || arn->service != "sqs" || arn->account != account) return {};
  return arn->resource.find(':') == std::string_view::npos ? arn->resource : std::string_view();
}

}  // namespace millrace::net::topics
